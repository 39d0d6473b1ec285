"""Maintenance windows of the configuration, as silences that nobody can change."""

from datetime import UTC, datetime

from service.core.silences import Silence, SilenceKind, Weekly
from service.settings import Settings

_ALWAYS = datetime(2000, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
OWNER = "configuration"


def maintenance_of(settings: Settings) -> tuple[Silence, ...]:
    starts_at, ends_at = _ALWAYS
    return tuple(
        Silence(
            id=f"config:{one.name}",
            kind=SilenceKind.MAINTENANCE,
            matchers=one.matchers,
            created_by=OWNER,
            comment=one.comment or one.name,
            starts_at=starts_at,
            ends_at=ends_at,
            recurrence=(
                Weekly(weekdays=one.weekdays, start_time=one.start_time, end_time=one.end_time, location=one.location),
            ),
            created_at=starts_at,
            updated_at=starts_at,
        )
        for one in settings.maintenance
    )

"""What keeps alerts from people for a while: silences, maintenance windows and planned spend. Pure.

- A *silence* is about now: while it is active, alerts that match it are told to nobody, whatever they are about. So it
  looks at the clock, as Alertmanager's does.
- A *maintenance* window is about what happened: a bill of the night comes the next day, when the window is long over.
  So it looks at the time of the alert's own buckets.
- *Planned spend* is about what happened, too, and only covers so much a day: a rise within the amount is expected, and
  one beyond it is told.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from connectors.series import Grain
from service.core.alerts import Alert, AlertKind
from service.core.labels import subject_of
from service.core.matchers import Matcher, MatcherError, all_hold, parse_matcher
from service.core.time_intervals import TimeInterval, any_contains, parse_times, parse_weekdays
from service.core.wording import amount

MAX_MATCHERS = 20
MAX_WINDOWS = 20
_DAY_SECONDS = 86_400
_MOST_BUCKETS = 1500
"""More than a day of minutes in a row are not within windows of a day's times."""
_RISES = (AlertKind.SPIKE, AlertKind.NEW_SPEND)


class SilenceKind(StrEnum):
    SILENCE = "silence"
    MAINTENANCE = "maintenance"
    PLANNED_SPEND = "planned_spend"


class SilenceState(StrEnum):
    PENDING = "pending"
    """It has not begun."""
    ACTIVE = "active"
    """Also between two windows of its recurrence."""
    EXPIRED = "expired"


class Weekly(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When it recurs: local times of the day on days of the week, `monday` or `monday:friday`; no days: every day.
    A night is two windows, up to 24:00 and from 00:00. location: IANA time zone."""

    weekdays: tuple[str, ...] = ()
    start_time: str = "00:00"
    end_time: str = "24:00"
    location: str = "UTC"


class Silence(Struct, frozen=True, kw_only=True):
    """id: ours; of one in the configuration `config:<name>`. matchers: in Alertmanager's syntax, all must hold.

    recurrence: within starts_at and ends_at only while one of these windows is open; none: all the time.
    amount_per_day, unit: of planned spend, how much more than usual is covered. expired_at: when a person ended it.
    """

    id: str
    kind: SilenceKind
    matchers: tuple[str, ...]
    created_by: str
    comment: str
    starts_at: datetime
    ends_at: datetime
    recurrence: tuple[Weekly, ...] = ()
    amount_per_day: float | None = None
    unit: str | None = None
    created_at: datetime
    updated_at: datetime
    expired_at: datetime | None = None

    @property
    def until(self) -> datetime:
        return self.ends_at if self.expired_at is None else min(self.ends_at, self.expired_at)


class SilenceError(ValueError):
    """A silence that makes no sense. field: which of its fields."""

    def __init__(self, field: str, what: str) -> None:
        super().__init__(f"{field}: {what}")
        self.field = field
        self.what = what


class _Read(NamedTuple):
    matchers: tuple[Matcher, ...]
    windows: tuple[TimeInterval, ...]


def usual_start(kind: SilenceKind, now: datetime) -> datetime:
    """When one that people make begins, if they do not say: planned spend and maintenance with today (UTC), since they
    are about the time of the spend, whose bill comes late."""
    return now if kind is SilenceKind.SILENCE else now.replace(hour=0, minute=0, second=0, microsecond=0)


def check(silence: Silence) -> None:
    """Raises SilenceError for the first thing that is wrong."""
    if not 1 <= len(silence.matchers) <= MAX_MATCHERS:
        raise SilenceError("matchers", f"expected 1 to {MAX_MATCHERS} matchers, got {len(silence.matchers)}")
    if len(silence.recurrence) > MAX_WINDOWS:
        raise SilenceError("recurrence", f"expected at most {MAX_WINDOWS} windows, got {len(silence.recurrence)}")
    matchers = [_matcher(number, text) for number, text in enumerate(silence.matchers)]
    if not any(matcher.selects for matcher in matchers):
        raise SilenceError("matchers", "expected one that can leave an alert out: these match everything")
    for number, window in enumerate(silence.recurrence):
        try:
            _window(window)
        except ValueError as error:
            raise SilenceError(f"recurrence[{number}]", str(error)) from None
    if silence.starts_at >= silence.ends_at:
        raise SilenceError("ends_at", f"expected a time after starts_at, got {silence.ends_at.isoformat()}")
    is_plan = silence.kind is SilenceKind.PLANNED_SPEND
    if is_plan and not (silence.amount_per_day is not None and 0 < silence.amount_per_day < 1e15):
        raise SilenceError("amount_per_day", "expected how much more than usual a day is planned, above 0")
    if is_plan and not silence.unit:
        raise SilenceError("unit", "expected the unit of the amount, such as USD")
    if not is_plan and silence.amount_per_day is not None:
        raise SilenceError("amount_per_day", f"expected none: it is for planned_spend, not for {silence.kind.value}")


def state_of(silence: Silence, at: datetime) -> SilenceState:
    if at >= silence.until:
        return SilenceState.EXPIRED
    return SilenceState.PENDING if at < silence.starts_at else SilenceState.ACTIVE


def is_open(silence: Silence, at: datetime) -> bool:
    """Whether *at* is in it, and in one of its windows."""
    windows = _read(silence).windows
    return silence.starts_at <= at < silence.until and (not windows or any_contains(windows, at))


def expires_soon(silence: Silence, at: datetime, within: timedelta) -> bool:
    """Whether it is active and ends *within* that time: somebody may want it to last longer."""
    return state_of(silence, at) is SilenceState.ACTIVE and silence.until - at <= within


def silenced_by(found: Iterable[Silence], alert: Alert, at: datetime) -> tuple[str, ...]:
    """Ids of those that keep *alert* from people at *at*, in order."""
    holding = [one for one in found if _holds(one, alert, at)]
    if not holding:
        return ()
    subject = subject_of(alert)
    return tuple(sorted(one.id for one in holding if all_hold(_read(one).matchers, subject)))


def _holds(silence: Silence, alert: Alert, at: datetime) -> bool:
    """As far as time goes."""
    match silence.kind:
        case SilenceKind.PLANNED_SPEND:
            return False
        case SilenceKind.SILENCE:
            return is_open(silence, at)
        case SilenceKind.MAINTENANCE:
            return _is_within(silence, alert)


def planned(found: Iterable[Silence], alert: Alert) -> str | None:
    """What covers the rise of *alert*, in words; None when its worst bucket rose by more than all plans together."""
    if alert.kind not in _RISES:
        return None
    meant = [one for one in found if one.kind is SilenceKind.PLANNED_SPEND and one.unit == alert.unit]
    meant = [one for one in meant if _is_within(one, alert)]
    if not meant:
        return None
    subject = subject_of(alert)
    plans = [one for one in meant if all_hold(_read(one).matchers, subject)]
    total = sum(one.amount_per_day or 0.0 for one in plans)
    excess = (alert.actual - alert.expected) * _DAY_SECONDS / Grain(alert.grain).seconds
    if not plans or not excess <= total:  # also of what is no number
        return None
    names = ", ".join(dict.fromkeys(one.created_by for one in plans))
    return f"{amount(total, alert.unit)} a day planned by {names}: {plans[0].comment}"


def open_now(found: Sequence[Silence], at: datetime) -> frozenset[str]:
    """Ids of the silences that are open: what alerts are silenced changes only when this, or one of them, does."""
    return frozenset(one.id for one in found if one.kind is SilenceKind.SILENCE and is_open(one, at))


def _is_within(silence: Silence, alert: Alert) -> bool:
    """Whether each of the alert's buckets has a part of it; where it recurs, whether each begins in one of its windows.

    So an alert that began before, or goes on after, is told: what the window was for does not explain it.
    """
    width = timedelta(seconds=Grain(alert.grain).seconds)
    last = alert.starts_at + (max(alert.buckets, 1) - 1) * width
    if not (silence.starts_at < alert.starts_at + width and last < silence.until):
        return False
    windows = _read(silence).windows
    if not windows:
        return True
    count = max(alert.buckets, 1)
    return count <= _MOST_BUCKETS and all(
        any_contains(windows, alert.starts_at + place * width) for place in reversed(range(count))
    )


@lru_cache(maxsize=8192)
def _read(silence: Silence) -> _Read:
    matchers = tuple(_matcher(number, text) for number, text in enumerate(silence.matchers))
    return _Read(matchers, tuple(map(_window, silence.recurrence)))


def _matcher(number: int, text: str) -> Matcher:
    try:
        return parse_matcher(text)
    except MatcherError as error:
        raise SilenceError(f"matchers[{number}]", str(error)) from None


def _window(window: Weekly) -> TimeInterval:
    """Raises ValueError."""
    return TimeInterval(
        times=(parse_times(window.start_time, window.end_time),),
        weekdays=tuple(map(parse_weekdays, window.weekdays)),
        location=window.location,
    )

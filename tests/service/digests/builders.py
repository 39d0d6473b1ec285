"""Digests, and what they are made of, of which a test states only what matters."""

from datetime import UTC, datetime, timedelta

from connectors.facts import Basis
from service.core.spend import SpendStatement
from service.digests.content import Moment
from service.digests.schedule import Period
from service.digests.sums import DaySum, SpendBasis
from service.settings import Digest

MONDAY = datetime(2026, 11, 23, 7, tzinfo=UTC)
"""When the digest of the week from the 16th is due."""
WEEK = Period(start=datetime(2026, 11, 16, tzinfo=UTC), end=datetime(2026, 11, 23, tzinfo=UTC))
MOMENT = Moment(period=WEEK, due_at=MONDAY, made_at=MONDAY, since=MONDAY - timedelta(days=7))
DAY = timedelta(days=1)


def make_settings(**changes: object) -> Digest:
    return Digest.model_validate({"name": "weekly", "receivers": ["mail"], "time_zone": "Europe/Berlin", **changes})


def november(day: int, *, hour: int = 0) -> datetime:
    """Days below 1 are of October."""
    return datetime(2026, 11, 1, hour, tzinfo=UTC) + (day - 1) * DAY


def make_sum(day: int, amount: float, value: str = "search", **changes: object) -> DaySum:
    start = november(day)
    fields = {"value": value, "unit": "USD", "grain_seconds": 86_400, "day": start, "amount": amount}
    return DaySum(**{**fields, "basis": SpendBasis.BILLED, "until": start + DAY, **changes})  # type: ignore[arg-type]  # any field


def make_statement(day: int, amount: float, team: str = "search", **changes: object) -> SpendStatement:
    series = f"default/effective_cost/USD/1d/tag:team={team}"
    fields = {"series": series, "start": november(day), "amount": amount, "basis": Basis.BILLED, "born": 1, "offset": 1}
    return SpendStatement(**{**fields, **changes})  # type: ignore[arg-type]  # any field

"""A detector's judgement of one bucket."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    WARMING_UP = "warming_up"
    """Too little has been learned to judge; not the same as a score of 0."""
    NORMAL = "normal"
    HIGH = "high"
    LOW = "low"


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """What a detector expects of the bucket at one time, before it is seen. In the unit of the series."""

    expected: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """score: 0 (as expected) to 1 (never seen); 0.5 lies on the bound. `band` is None while warming up."""

    status: Status
    score: float
    actual: float
    band: Band | None

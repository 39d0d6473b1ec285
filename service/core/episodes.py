"""Consecutive abnormal buckets of one direction: what becomes one alert."""

from base64 import b32encode
from dataclasses import dataclass, replace
from hashlib import blake2b

from connectors.facts import Basis
from detectors.verdict import Band
from service.core.alerts import AlertKind
from service.core.amounts import bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One bucket and what was expected of it. actual in nano-units, the band in units of the series."""

    index: int
    actual: int
    basis: Basis
    band: Band
    score: float

    @property
    def deviation(self) -> int:
        """actual - expected in nano-units."""
        return self.actual - bound(self.band.expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """kind, first bucket: its identity. worst: the bucket furthest from what was expected; the earliest of equals.

    impact: sum of (actual - expected) in nano-units. held: the amounts in nano-units, oldest first, kept from
    the detector until the episode ends or they are accepted; None of a bucket between them that was missing, or back
    for a moment. over: a later bucket has ended it, or it was accepted.
    """

    kind: AlertKind
    first: int
    worst: Judged
    impact: int
    held: tuple[int | None, ...]
    over: bool = False
    accepted: bool = False

    @property
    def last(self) -> int:
        return self.first + len(self.held) - 1

    @property
    def abnormal(self) -> tuple[int, ...]:
        """Numbers of the buckets that are held, oldest first."""
        return tuple(self.first + place for place, nano in enumerate(self.held) if nano is not None)

    @property
    def count(self) -> int:
        """How many buckets are held."""
        return len(self.held) - self.held.count(None)

    def can_join(self, index: int, pauses: int) -> bool:
        """Whether bucket *index* comes after its last, with at most so many between them."""
        return 0 < index - self.last <= pauses + 1

    def joined(self, judged: Judged) -> "Episode":
        """The episode with a bucket after its last."""
        return replace(
            self,
            worst=judged if abs(judged.deviation) > abs(self.worst.deviation) else self.worst,
            impact=self.impact + judged.deviation,
            held=(*self.held, *(None,) * (judged.index - self.last - 1), judged.actual),
        )

    def ended(self, *, accepted: bool = False) -> "Episode":
        return replace(self, over=True, accepted=accepted)


def begin(kind: AlertKind, judged: Judged) -> Episode:
    return Episode(kind=kind, first=judged.index, worst=judged, impact=judged.deviation, held=(judged.actual,))


def alert_id(series: str, kind: AlertKind, starts_at: int) -> str:
    """Deterministic, so that a replay makes the same; 26 lower-case letters and digits.

    starts_at: start of the first bucket in seconds since 1970.
    """
    digest = blake2b(f"{series}|{kind.value}|{starts_at}".encode(), digest_size=16).digest()
    return b32encode(digest).decode().rstrip("=").lower()

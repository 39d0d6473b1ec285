"""Several detectors with one threshold: so many false alarms a month, whatever the series and whoever speaks.

Each member's distances are calibrated by what this series gave before (detectors.tail), so its bound lies where the
series goes by itself at a known rate; the rate is shared out among the members and their two sides (Bonferroni), since
any of them may speak. The band of the ensemble runs between the nearest bounds of all: the one that is crossed is that
of the member that speaks.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from detectors.calendar import DAY, HOUR
from detectors.creep import Creep
from detectors.detector import StateError
from detectors.guards import finite, judge, warming_up
from detectors.kinds import Factory, prepared
from detectors.member import TAILS, Member, ratio_within
from detectors.parameters import Parameter, Value, check, names_in
from detectors.rolling import Rolling
from detectors.seasonal import Seasonal
from detectors.shift import Shift
from detectors.state import HEADER, check_header, fingerprint
from detectors.tail import spreads_of
from detectors.verdict import Band, Verdict

_MONTH = 30 * DAY
_MOST_RATE = 0.02
_MEMBERS = {
    Seasonal.name: partial(prepared, Seasonal),
    Rolling.name: partial(prepared, Rolling),
    Shift.name: partial(prepared, Shift),
    Creep.name: partial(prepared, Creep),
}
_USUAL = "seasonal,shift,creep"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleConfig:
    """Checked parameters; one object is shared by all series of a policy.

    rate: how often one side of one member may be exceeded, a share of all buckets.
    """

    members: tuple[str, ...]
    make: tuple[Factory, ...] = field(compare=False)
    rate: float
    fingerprint: float


class Ensemble:
    """Members that speak in one scale.

    >>> detector = Ensemble(Ensemble.configure(grain_seconds=86400, params={"members": "shift,creep"}))
    >>> for day in range(60):
    ...     detector.learn_one(100.0 + (-3.0, 4.0, -1.0, 1.0, -1.0)[day % 5], day * 86400)
    >>> [detector.score_one(value, 60 * 86400).status.value for value in (104.0, 150.0)]
    ['normal', 'high']
    """

    __slots__ = ("_config", "_members")

    name: ClassVar[str] = "ensemble"
    state_version: ClassVar[int] = 1
    summary: ClassVar[str] = "several detectors, calibrated to one rate of false alarms"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            name="members",
            default=_USUAL,
            choices=tuple(_MEMBERS),
            several=True,
            meaning="which detectors, with their default parameters; the first one says what is expected",
        ),
        Parameter(
            name="false_alarms",
            default=0.05,
            default_note="daily and longer 0.05, hourly 0.2, finer 1",
            minimum=0.0001,
            maximum=100.0,
            meaning="how many a quiet series may raise in 30 days",
        ),
    )

    @classmethod
    def configure(cls, *, grain_seconds: int, params: Mapping[str, Value]) -> EnsembleConfig:
        """Raises ParameterError that names every mistake."""
        checked = check(cls.name, cls.parameters, params)
        members = names_in(str(checked.get("members", _USUAL)))
        usual = 0.05 if grain_seconds >= DAY else 0.2 if grain_seconds >= HOUR else 1.0
        a_bucket = float(checked.get("false_alarms", usual)) * grain_seconds / _MONTH
        return EnsembleConfig(
            members=members,
            make=tuple(_MEMBERS[name](grain_seconds, {}) for name in members),
            rate=min(a_bucket, _MOST_RATE) / (2 * len(members)),
            # A new rate judges on with what has been learned.
            fingerprint=fingerprint(cls.name, grain_seconds, members),
        )

    def __init__(self, config: EnsembleConfig) -> None:
        self._config = config
        self._members = [Member(make(), config.rate) for make in config.make]

    def band_at(self, at: int) -> Band | None:
        """Between the nearest bounds of all members that have warmed up; None while the first one has not."""
        first = self._members[0].band_at(at)
        if first is None:
            return None
        bands = [first, *(band for member in self._members[1:] if (band := member.band_at(at)) is not None)]
        expected = first.expected
        # Members may differ so much that no value suits all of them; what the first one expects is then normal.
        return Band(
            expected=expected,
            lower=min(max(band.lower for band in bands), expected),
            upper=max(min(band.upper for band in bands), expected),
        )

    def score_one(self, value: float, at: int) -> Verdict:
        """Say how unusual *value* is. Changes nothing. Raises NotFiniteError.

        On the bound, 0.5, it is as rare as `false_alarms` says. Beyond it the score tells how much rarer: at 0.8 as
        rare as twice as many spreads of normal noise.
        """
        value = finite(value)
        band = self.band_at(at)
        if band is None:
            return warming_up(value)
        if band.lower <= value <= band.upper:
            return judge(value, band, ratio_within(value, band))
        rarities = [member.rarity(value, at) for member in self._members]
        rarest = min(rarity.up if value > band.upper else rarity.down for rarity in rarities)
        nominal = math.log(self._config.rate)
        return judge(value, band, spreads_of(nominal + rarest) / spreads_of(nominal))

    def learn_one(self, value: float, at: int) -> None:
        """Learn one finished bucket. Raises NotFiniteError."""
        value = finite(value)
        for member in self._members:
            member.learn_one(value, at)

    def hold_one(self, value: float, at: int) -> None:
        """Tell the members that want to know. Raises NotFiniteError."""
        value = finite(value)
        for member in self._members:
            member.hold_one(value, at)

    def accept_level(self, recent: Sequence[tuple[float, int]]) -> None:
        """Every member takes the level of *recent* for the new normal; how rare its distances are, stays."""
        buckets = [(finite(value), at) for value, at in recent]
        for member in self._members:
            member.accept_level(buckets)

    def export(self) -> tuple[float, ...]:
        """Version, fingerprint, then of each member two tails, the length of its state, and this."""
        parts = [number for member in self._members for number in member.export()]
        return (float(self.state_version), self._config.fingerprint, *parts)

    def restore(self, state: Sequence[float]) -> None:
        """Raises StateError and leaves the detector as it was."""
        check_header(self.name, state, version=self.state_version, config=self._config.fingerprint)
        members, place = [], HEADER
        for make in self._config.make:
            start = place + TAILS + 1
            length = state[start - 1] if len(state) >= start else -1.0
            if not 0 <= length <= len(state) - start:
                raise StateError(
                    f"{self.name}: expected two tails and a state of each member, got {len(state)} numbers"
                )
            member, place = Member(make(), self._config.rate), start + int(length)
            member.restore(state[start - 1 - TAILS : start - 1], state[start:place])
            members.append(member)
        if place != len(state):
            raise StateError(f"{self.name}: expected {place} numbers, got {len(state)}")
        self._members = members

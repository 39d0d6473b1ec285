"""The default: what a weekday or an hour usually costs, learned robustly, judged in factors rather than amounts.

On the scale of `detectors.scale`, a bucket is a level with a trend, plus the effects of its calendar slots, plus noise
that resembles its neighbour. Each part knows how sure it is: a weekday seen twice widens the band, one seen for months
does not. A bucket may also be idle; how often a slot is, is learned apart, so that weekends at zero, jobs that run
every third day and services that never stop each get a band that fits.

Three judges share the one band and the one score: of a single bucket, how far it lies off; of many, the evidence that
adds up (`detectors.evidence`), for shifts and for what creeps; and of a fall, whether it is one or a holiday.
"""

from array import array
from collections.abc import Mapping, Sequence
from statistics import median
from typing import ClassVar

from detectors.guards import finite, judge, warming_up
from detectors.parameters import Parameter, Value
from detectors.scale import squash, unsquash
from detectors.seasonal_clock import slots_at
from detectors.seasonal_config import NAME, PARAMETERS, SeasonalConfig, configure
from detectors.seasonal_fit import IDLE_PART, choose_anchor
from detectors.seasonal_idle import forget_rest
from detectors.seasonal_learning import SeasonalLearning
from detectors.seasonal_packing import first_buckets, model, packed
from detectors.seasonal_slots import calm_slots
from detectors.seasonal_state import (
    ACTIVE,
    ANCHOR,
    DORMANT,
    DOUBT,
    FACTORS,
    FALLEN,
    HELD,
    IDLE_SHARE,
    LAST,
    LEARNED,
    LEVEL,
    REST,
    RISEN,
    SWAY,
    bounded,
)
from detectors.state import HEADER, check_header
from detectors.verdict import Band, Verdict


class Seasonal(SeasonalLearning):
    """Seasonal and robust; for daily and hourly cost, and for usage metrics of any grain.

    >>> detector = Seasonal(configure(grain_seconds=86400, params={}))
    >>> week = [100, 40, 41, 103, 98, 101, 99]  # from a Thursday on: 1970-01-01 was one
    >>> for day in range(21):
    ...     detector.learn_one(week[day % 7] * (1.01 if day % 2 else 0.99), day * 86400)
    >>> band = detector.band_at(21 * 86400)
    >>> round(band.lower), round(band.expected), round(band.upper)  # low like a weekend: it may be a holiday
    (34, 99, 116)
    >>> detector.score_one(100.0, 21 * 86400).status, detector.score_one(100.0, 22 * 86400).status
    (<Status.NORMAL: 'normal'>, <Status.HIGH: 'high'>)
    """

    __slots__ = ()

    name: ClassVar[str] = NAME
    state_version: ClassVar[int] = 5
    summary: ClassVar[str] = "weekday, hour and month-turn effects on a moving level, robust, in factors (the default)"
    parameters: ClassVar[tuple[Parameter, ...]] = PARAMETERS

    @classmethod
    def configure(cls, *, grain_seconds: int, params: Mapping[str, Value]) -> SeasonalConfig:
        """Raises ParameterError that names every mistake."""
        return configure(grain_seconds=grain_seconds, params=params)

    def band_at(self, at: int) -> Band | None:
        """What is expected of the bucket that starts at *at*, past or future; None while warming up."""
        places = self._places_at(at)
        return None if places is None else self._band(*places)

    def score_one(self, value: float, at: int) -> Verdict:
        """Say how unusual *value* is. Changes nothing. Raises NotFiniteError."""
        value = finite(value)
        places = self._places_for(value, at)
        if places is None:
            return warming_up(value)
        lower, expected, upper = places
        distance = squash(value, self._numbers[ANCHOR]) - expected
        return judge(value, self._band(*places), distance / (upper - expected if distance >= 0 else lower - expected))

    def learn_one(self, value: float, at: int) -> None:
        """Learn one finished bucket. Raises NotFiniteError. An earlier or repeated *at* is one more observation."""
        value = finite(value)
        if self._first is None:
            self._learn(value, at)
            self._forget_outlook()
            return
        self._first.extend((value, bounded(at)))
        if len(self._first) >= 2 * self._config.kept:
            self._begin(self._first[0::2], [int(kept) for kept in self._first[1::2]])

    def hold_one(self, value: float, at: int) -> None:
        """Remember that a bucket was held back: what is learned of its slots is less sure than it seemed."""
        value = finite(value)
        if self._first is None:
            self._hold(value, at)
            self._forget_outlook()

    def accept_level(self, recent: Sequence[tuple[float, int]]) -> None:
        """Move the level to the median of *recent*, calendar effects left out of it; these and the spread stay."""
        for value, _ in recent:
            finite(value)
        if self._first is not None:
            for value, at in recent:
                self.learn_one(value, at)
            return
        if not recent:
            return
        self._forget_outlook()
        numbers = self._numbers
        anchor = choose_anchor([value for value, _ in recent], absolute_floor=self._config.absolute_floor)
        active = [
            (value, at) for value, at in recent if not anchor.multiplicative or abs(value) > IDLE_PART * anchor.at
        ]
        if numbers[HELD] == len(recent) > 1:
            calm_slots(self._slots, self._config.layout, slots_at(numbers, self._config.layout, recent[0][1]))
        numbers[LAST] = max(numbers[LAST], *(bounded(at) for _, at in recent))
        numbers[LEARNED] += len(recent)
        numbers[ACTIVE] += len(active)
        numbers[REST] = numbers[RISEN] = numbers[FALLEN] = numbers[HELD] = 0.0
        numbers[DORMANT] = float(2 * len(active) <= len(recent))
        if numbers[DORMANT]:
            numbers[IDLE_SHARE] = 1.0
            return
        numbers[IDLE_SHARE] = min(numbers[IDLE_SHARE], 1.0 - len(active) / len(recent))
        for _, at in active:
            forget_rest(self._slots, self._config.layout, slots_at(numbers, self._config.layout, at))
        if bool(numbers[FACTORS]) is not anchor.multiplicative:
            # What was learned as factors means nothing as sums: begin from these buckets alone, with a wide band.
            learned = numbers[LEARNED]
            self._begin([value for value, _ in recent], [at for _, at in recent])
            self._numbers[LEARNED] = learned
            return
        numbers[ANCHOR] = anchor.at
        numbers[LEVEL] = median([squash(value, anchor.at) - self._effect(at) for value, at in active])
        numbers[DOUBT], numbers[SWAY] = self._alike / len(active), 0.0
        self._forget_outlook()

    def export(self) -> tuple[float, ...]:
        """Version, fingerprint, then either the first buckets or the model.

        At most 52 numbers for days (46 if no day of the month is remembered), 601 for hours (433 of a series that never
        rests), 93 for finer grains; while warming up two for each bucket kept.
        """
        header = (float(self.state_version), self._config.fingerprint)
        if self._first is not None:
            return (*header, 0.0, *self._first)
        return (*header, *packed(self._numbers, self._slots, self._config.layout))

    def restore(self, state: Sequence[float]) -> None:
        """Raises StateError and leaves the detector as it was."""
        config = self._config
        check_header(self.name, state, version=self.state_version, config=config.fingerprint)
        if len(state) > HEADER and state[HEADER] == 0.0:
            self._first, self._numbers, self._slots = first_buckets(state), array("d"), array("f")
        else:
            self._numbers, self._slots = model(state, config.layout)
            self._first = None
        self._forget_outlook()

    def _band(self, lower: float, expected: float, upper: float) -> Band:
        anchor = self._numbers[ANCHOR]
        amount = unsquash(expected, anchor)
        # Near the largest float, rounding may put a bound on the wrong side of what is expected.
        return Band(
            expected=amount,
            lower=min(unsquash(lower, anchor), amount),
            upper=max(unsquash(upper, anchor), amount),
        )

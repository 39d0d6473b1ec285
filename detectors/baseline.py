"""What a series usually is, in a few dozen numbers: a level with a trend, the phase of its week or day, a spread.

The small sister of the seasonal model, for detectors that look for what lasts. It lives on the scale of
`detectors.scale`, so noise and phases are factors. It also measures how much a deviation resembles the one before it:
where neighbours are alike, many of them that lean one way prove less, and the spread of their sum is wider.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, median_low
from typing import Final, NamedTuple

from detectors.calendar import DAY, HOUR, day_of_month, hour_of_day, weekday
from detectors.detector import StateError
from detectors.guards import MAX_FLOAT
from detectors.scale import squash, unsquash
from detectors.seasonal_fit import choose_anchor
from detectors.verdict import Band

CLIP: Final = 3.5
"""A deviation is learned as at most so many spreads."""
_PARTS: Final = 8
_MAD_TO_SD = 1.4826
_FIRST_CLIP = 2.5
_WIDER = 9.0
"""A spread known from n buckets counts as 1 + _WIDER / n times as wide (as Student's t against the normal)."""
_MOST_ALIKE = 0.8
_MOST_STEPS = 64
_MOST_PLACE = 3000.0
_MOST_NOISE = 1e8
_FAR = 2.0**62
_RAW = -1.0
_LEVEL, _TREND = 3.0, 5.0
"""The gains of a line fitted to n buckets are about 4 / n and 6 / n**2."""
_MOST_KEPT = 46
_FEW_ACTIVE = 4
_AT_NOTHING = 50.0
"""For a series at zero the scale is linear up to so many of its floors: its first cents are no factor of a million."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast the baseline of one grain learns, in shares of the newest bucket.

    kept: so many first buckets are kept as they are and fitted at once. warm: so many are learned before any is judged.
    slots: phases the week or the day has. turns: whether a month has a first day and two last ones. level, trend,
    phase, noise: gains. steepest: a trend, per bucket and in logarithms, that still passes for ordinary growth; what
    rises faster is not followed.
    """

    grain_seconds: int
    kept: int
    warm: int
    slots: int
    turns: bool
    level: float
    trend: float
    phase: float
    noise: float
    steepest: float

    def slot(self, at: int) -> int:
        """Which phase the bucket that starts at *at* is in."""
        if self.slots == 1:
            return 0
        if self.slots == 7:
            return weekday(at)
        return hour_of_day(at) + (24 if self.slots == 48 and weekday(at) >= 5 else 0)

    def turn(self, at: int) -> int | None:
        """Behind the phases: 0 on the first day of a month, for flat fees, 1 on its last two, for batch runs."""
        if not self.turns:
            return None
        day, left = day_of_month(at)
        return self.slots if day == 1 else self.slots + 1 if left < 2 else None

    @property
    def size(self) -> int:
        return self.slots + (2 if self.turns else 0)


def pace_of(grain_seconds: int) -> Pace:
    """Days have seven phases; hours 48, those of weekdays and of weekends; finer grains the 24 of the day."""
    if grain_seconds >= DAY:
        slots = 7 if grain_seconds == DAY else 1
        return Pace(
            grain_seconds=grain_seconds,
            kept=14,
            warm=21,
            slots=slots,
            turns=grain_seconds == DAY,
            level=1 / 40,
            trend=1 / 1600,
            phase=1 / 20,
            noise=1 / 60,
            steepest=0.003,
        )
    day = DAY // grain_seconds
    return Pace(
        grain_seconds=grain_seconds,
        kept=_MOST_KEPT,
        warm=min(7 * day, 288),
        slots=48 if grain_seconds >= HOUR else 24,
        turns=False,
        level=1 / (20 * day),
        trend=1 / (20 * day) ** 2,
        phase=min(grain_seconds, HOUR) / (20 * HOUR),
        noise=1 / (20 * min(day, 50)),
        steepest=0.003 / day,
    )


class _Ahead(NamedTuple):
    """Of the bucket that starts at *at*; all but its value are on the scale."""

    at: int
    place: float
    value: float
    floor: float
    spread: float


class Baseline:
    """A detector reads `deviation`, in units of `spread`, and says how much of it may be learned.

    >>> baseline = Baseline(pace_of(DAY), relative_floor=0.02, absolute_floor=1e-6)
    >>> week = [100, 100, 40, 40, 100, 100, 100]  # from a Thursday on
    >>> for day in range(70):
    ...     baseline.learn_one(week[day % 7] * (1.03 if day % 2 else 0.97), day * DAY)
    >>> [round(baseline.value_at(day * DAY, 0.0)) for day in range(70, 74)]
    [99, 98, 40, 40]
    >>> round(baseline.deviation(100.0, 72 * DAY) / baseline.spread(72 * DAY))  # a Saturday like a working day
    20
    """

    __slots__ = ("_absolute", "_first", "_memo", "_numbers", "_pace", "_phases", "_relative")

    def __init__(self, pace: Pace, *, relative_floor: float, absolute_floor: float) -> None:
        self._pace = pace
        self._relative = relative_floor
        self._absolute = absolute_floor
        self._first: list[float] | None = []
        # learned, anchor, level, trend, noise variance, covariance with the bucket before, its deviation, its time
        self._numbers = [0.0] * _PARTS
        self._phases = [0.0] * pace.size
        self._memo: _Ahead | None = None

    @property
    def is_ready(self) -> bool:
        return self._first is None and self._numbers[0] >= self._pace.warm

    @property
    def is_fitted(self) -> bool:
        """Whether there is something to deviate from, although it may be too early to judge by it."""
        return self._first is None

    def expected(self, at: int) -> float:
        """On the scale. Only when fitted."""
        return self._ahead_at(at).place

    def _ahead_at(self, at: int) -> "_Ahead":
        # Whoever judges a bucket asks for the same several times, and again when it is learned.
        ahead = self._memo
        if ahead is None or ahead.at != at:
            ahead = self._memo = self._look_ahead(at)
        return ahead

    def _look_ahead(self, at: int) -> "_Ahead":
        learned, anchor, level, trend, noise, _, _, last = self._numbers
        steps = min(max((at - last) / self._pace.grain_seconds, 0.0), _MOST_STEPS)
        place = level + trend * steps + self._phase(at)
        value = unsquash(place, anchor)
        size = min(abs(value), 1e300)
        floor = max(self._relative * size, self._absolute) / math.hypot(size, anchor)
        spread = max(math.sqrt(noise), floor) * (1.0 + _WIDER / max(learned, 1.0))
        return _Ahead(at, place, value, floor, spread)

    def _phase(self, at: int) -> float:
        turn = self._pace.turn(at)
        return self._phases[self._pace.slot(at)] + (0.0 if turn is None else self._phases[turn])

    def deviation(self, value: float, at: int) -> float:
        """How far *value* lies from what is expected, on the scale; for factors a difference of logarithms."""
        return squash(value, self._numbers[1]) - self.expected(at)

    def spread(self, at: int) -> float:
        """Standard deviation of one bucket, on the scale, never below its floors."""
        return self._ahead_at(at).spread

    def floor(self, at: int) -> float:
        """The least that counts as a spread, on the scale."""
        return self._ahead_at(at).floor

    @property
    def alike(self) -> float:
        """By how much wider neighbours that are alike make the spread of a long sum: from 1 to 3."""
        _, _, _, _, noise, together, _, _ = self._numbers
        resemblance = min(max(together / noise, 0.0), _MOST_ALIKE) if noise > 0.0 else 0.0
        return math.sqrt((1.0 + resemblance) / (1.0 - resemblance))

    def value_at(self, at: int, deviation: float) -> float:
        """The value that lies so far from what is expected."""
        return unsquash(self.expected(at) + deviation, self._numbers[1])

    def band(self, at: int, down: float, up: float) -> Band:
        """From *down* below to *up* above what is expected, both on the scale."""
        return self._between(at, -down, 0.0, up)

    def band_around(self, at: int, place: float, reach: float) -> Band:
        """The band around *place*, a deviation that is expected."""
        return self._between(at, place - reach, place, place + reach)

    def _between(self, at: int, low: float, place: float, high: float) -> Band:
        expected = self._ahead_at(at).value if place == 0.0 else self.value_at(at, place)
        # Near the largest float, rounding may put a bound on the wrong side of what is expected.
        return Band(
            expected=expected,
            lower=min(self.value_at(at, low), expected),
            upper=max(self.value_at(at, high), expected),
        )

    def learn_one(self, value: float, at: int, following: float = 1.0) -> None:
        """value: finite. following: how much of its usual gain each part takes; less where a change may be on."""
        if self._first is not None:
            self._first += (value, min(max(float(at), -_FAR), _FAR))
            values = self._first[0::2]
            active = sum(abs(kept) > self._absolute for kept in values)
            # What begins with idle weeks is waited for: a scale fitted to nothing makes a factor of its first cent.
            if len(values) >= (self._pace.kept if active >= _FEW_ACTIVE else _MOST_KEPT):
                self._begin(values, [int(kept) for kept in self._first[1::2]])
            return
        pace, numbers = self._pace, self._numbers
        spread, off = self.spread(at), self.deviation(value, at)
        self._memo = None
        off = min(max(off, -CLIP * spread), CLIP * spread)
        learned, anchor, level, trend, noise, together, before, last = numbers
        steps = min(max((at - last) / pace.grain_seconds, 0.0), _MOST_STEPS)
        self._learn_phase(at, off * following)
        gain = max(pace.level, _LEVEL / (learned + 1.0)) * following
        level = _within(level + trend * steps + gain * off)
        trend = min(
            max(trend + max(pace.trend, _TREND / (learned + 1.0) ** 2) * max(following, 0.5) * off, -pace.steepest),
            pace.steepest,
        )
        weight = max(pace.noise, 1.0 / (learned + 1.0)) * following
        noise = min(noise + weight * (off * off - noise), _MOST_NOISE)
        together += weight * (off * before - together)
        self._numbers = [learned + 1.0, anchor, level, trend, noise, together, off, min(max(float(at), last), _FAR)]

    def hold_one(self, value: float, at: int) -> None:
        """A bucket held back moves no level, but what recurs with the calendar is learned, and half of the scatter.

        Otherwise a fee on the first of the month would be news for ever, and so would every burst of a bursty series.
        """
        pace, numbers = self._pace, self._numbers
        spread, far = self.spread(at), self.deviation(value, at)
        self._memo = None
        off = min(max(far, -CLIP * spread), CLIP * spread)
        weight = max(pace.noise, 1.0 / (numbers[0] + 1.0)) / 2.0
        turn = pace.turn(at)
        if turn is None:
            self._learn_phase(at, off)
        else:
            self._phases[turn] = _within(self._phases[turn] + far / 2.0)
        numbers[4] = min(numbers[4] + weight * (off * off - numbers[4]), _MOST_NOISE)

    def _learn_phase(self, at: int, off: float) -> None:
        pace = self._pace
        turn = pace.turn(at)
        slot = pace.slot(at) if turn is None else turn
        seen = self._numbers[0] / pace.slots if turn is None else 2.0
        self._phases[slot] = _within(self._phases[slot] + max(pace.phase, 1.0 / (seen + 2.0)) * off)

    def accept_level(self, recent: Sequence[tuple[float, int]]) -> None:
        """recent: finite values with their times, at least one. Phases and the relative spread stay."""
        if self._first is not None:
            for value, at in recent:
                self.learn_one(value, at)
            return
        self._memo = None
        anchor = choose_anchor([value for value, _ in recent], absolute_floor=self._absolute)
        size = median_low([abs(value) for value, _ in recent])
        at_anchor = anchor.at if size > self._absolute else self._numbers[1]
        numbers = self._numbers
        numbers[1], numbers[3], numbers[6] = at_anchor, 0.0, 0.0
        numbers[2] = median([squash(value, at_anchor) - self._phase(at) for value, at in recent])
        numbers[7] = max(numbers[7], *(min(max(float(at), -_FAR), _FAR) for _, at in recent))

    def _begin(self, values: Sequence[float], ats: Sequence[int]) -> None:
        pace = self._pace
        anchor = choose_anchor(values, absolute_floor=self._absolute).at
        if not any(abs(value) > self._absolute for value in values):
            anchor *= _AT_NOTHING
        places = [squash(value, anchor) for value in values]
        level = median(places)
        slots = [pace.slot(at) for at in ats]
        phases = [0.0] * pace.size
        if pace.slots < len(places):
            for slot in set(slots):
                here = [place - level for place, of in zip(places, slots, strict=True) if of == slot]
                phases[slot] = median(here) * len(here) / (len(here) + 0.1)
        rest = [place - level - phases[slot] for place, slot in zip(places, slots, strict=True)]
        spread = _MAD_TO_SD * median(abs(off) for off in rest)
        squares = [min(abs(off), _FIRST_CLIP * spread) ** 2 if spread else off * off for off in rest]
        # Every phase that was fitted has taken its part of the noise along.
        fitted = len(set(slots)) if pace.slots < len(places) else 1
        noise = math.fsum(squares) / max(len(rest) - fitted, 1)
        self._numbers = [float(len(rest)), anchor, level, 0.0, min(noise, _MOST_NOISE), 0.0, 0.0, float(max(ats))]
        self._phases = phases
        self._first = None

    def export(self) -> tuple[float, ...]:
        """At most 100: -1 and the first buckets with their times, or the model."""
        if self._first is not None:
            return (_RAW, *self._first)
        return (*self._numbers, *self._phases)

    def restore(self, state: Sequence[float]) -> None:
        """state: as exported, and finite. Raises StateError; then use this object no more."""
        pace, self._memo = self._pace, None
        if state and state[0] == _RAW:
            if len(state) % 2 == 0 or len(state) >= 1 + 2 * _MOST_KEPT:
                raise StateError(f"expected fewer than {_MOST_KEPT} first buckets with their times")
            self._first = [float(number) for number in state[1:]]
            if any(abs(at) > _FAR for at in self._first[1::2]):
                raise StateError("expected times within 64 bits")
            return
        if len(state) != _PARTS + pace.size:
            raise StateError(f"expected a baseline of {_PARTS + pace.size} numbers, got {len(state)}")
        learned, anchor, level, trend, noise, together, before, last = state[:_PARTS]
        sound = (
            learned >= 0
            and 0 < anchor <= MAX_FLOAT
            and 0 <= noise <= _MOST_NOISE
            and abs(together) <= 4 * _MOST_NOISE
            and abs(trend) <= pace.steepest
            and abs(last) <= _FAR
            and max(map(abs, (level, before, *state[_PARTS:]))) <= 4 * _MOST_PLACE
        )
        if not sound:
            raise StateError("expected a count, an anchor, places and variances within their bounds")
        self._first = None
        self._numbers = [float(number) for number in state[:_PARTS]]
        self._phases = [float(number) for number in state[_PARTS:]]


def _within(place: float) -> float:
    return min(max(place, -_MOST_PLACE), _MOST_PLACE)

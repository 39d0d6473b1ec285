"""What each hour of the day usually holds: the base that residuals are taken from.

A finished day counts once for each of its hours, by the mean of that hour: one long incident moves the base by a fifth
of itself, however many buckets it fills.
"""

from collections.abc import Sequence

from detectors.calendar import DAY, hour_of_day
from detectors.detector import StateError
from detectors.extremes import are_tame

HOURS = 24
NUMBERS = 3 + 4 * HOURS
_NEWEST_DAY = 0.2
"""Weight of the day that has just ended."""


class DayProfile:
    """A moving mean for each hour of the day, in UTC; the mean of everything for an hour that is not known yet.

    >>> profile = DayProfile()
    >>> for hour in range(48):
    ...     profile.learn_one(50.0 if hour % 24 < 8 else 100.0, hour * 3600)
    >>> profile.base_at(48 * 3600), profile.base_at(60 * 3600)
    (50.0, 100.0)
    """

    __slots__ = ("_counts", "_day", "_known", "_means", "_sums", "learned", "mean")

    def __init__(self) -> None:
        self.learned = 0
        self.mean = 0.0
        self._day = 0
        self._means = [0.0] * HOURS
        self._known = [0.0] * HOURS
        # Of the day that is not over:
        self._sums = [0.0] * HOURS
        self._counts = [0.0] * HOURS

    def base_at(self, at: int) -> float:
        """What the hour of *at* usually holds. Changes nothing."""
        hour = hour_of_day(at)
        if self._counts[hour] and at // DAY != self._day:
            return self._with_the_day(hour)
        return self._means[hour] if self._known[hour] else self.mean

    def learn_one(self, value: float, at: int) -> None:
        day = at // DAY
        if day != self._day:
            self._end_day()
            self._day = day
        hour = hour_of_day(at)
        self._sums[hour] += value
        self._counts[hour] += 1.0
        self.learned += 1
        self.mean += (value - self.mean) / self.learned

    def shift(self, difference: float) -> None:
        """Move every hour by the same amount."""
        self.mean += difference
        self._means = [mean + difference for mean in self._means]
        self._sums = [total + difference * count for total, count in zip(self._sums, self._counts, strict=True)]

    def export(self) -> tuple[float, ...]:
        return (
            float(self.learned),
            self.mean,
            float(self._day),
            *self._means,
            *self._known,
            *self._sums,
            *self._counts,
        )

    def restore(self, numbers: Sequence[float]) -> None:
        """numbers: NUMBERS as exported, and finite. Raises StateError; then use this object no more."""
        self.learned, self.mean, self._day = int(numbers[0]), numbers[1], int(numbers[2])
        self._means, self._known, self._sums, self._counts = (
            list(numbers[start : start + HOURS]) for start in range(3, NUMBERS, HOURS)
        )
        if self.learned < 0 or min(self._counts) < 0 or not are_tame(numbers):
            raise StateError("expected counts of at least 0 and sums within bounds")

    def _with_the_day(self, hour: int) -> float:
        """The mean of an hour once the day that is not over yet has been counted in."""
        newest = self._sums[hour] / self._counts[hour]
        if not self._known[hour]:
            return newest
        return self._means[hour] + _NEWEST_DAY * (newest - self._means[hour])

    def _end_day(self) -> None:
        for hour in range(HOURS):
            if self._counts[hour]:
                self._means[hour] = self._with_the_day(hour)
                self._known[hour] = 1.0
                self._sums[hour] = self._counts[hour] = 0.0

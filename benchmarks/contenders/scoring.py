"""The scoring that all contenders but ours do: river's exponential mean and variance per series, three deviations."""

from math import sqrt

import msgspec
from river import stats

from connectors.facts import Fact

FADING = 0.05
LIMIT = 3.0

decode_fact = msgspec.json.Decoder(Fact).decode


class Series:
    """Mean and variance of one series."""

    __slots__ = ("mean", "variance")

    def __init__(self) -> None:
        self.mean = stats.EWMean(fading_factor=FADING)
        self.variance = stats.EWVar(fading_factor=FADING)

    def alarms(self, value: float) -> bool:
        """Score first, learn second. river's variance may come out negative; then nothing is said."""
        variance = float(self.variance.get())
        found = variance > 0.0 and abs(value - float(self.mean.get())) / sqrt(variance) > LIMIT
        self.mean.update(value)
        self.variance.update(value)
        return found


class Scorer:
    """All series of a process."""

    def __init__(self) -> None:
        self.alarms = 0
        self._series: dict[bytes, Series] = {}

    def score(self, key: bytes, value: bytes) -> None:
        fact = decode_fact(value)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = Series()
        if series.alarms(fact.value):
            self.alarms += 1

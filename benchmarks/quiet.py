"""Series on which nothing happens, of six kinds: whatever a detector tells of them is a false alarm. Seeded."""

import math
from collections.abc import Callable, Iterator
from random import Random

from detectors.calendar import DAY, hour_of_day, weekday

START = 19_723 * DAY  # 2024-01-01, a Monday


def _gaussian(rng: Random, times: list[int]) -> Iterator[float]:
    for _ in times:
        yield rng.gauss(100.0, 8.0)


def _lognormal(rng: Random, times: list[int]) -> Iterator[float]:
    for _ in times:
        yield rng.lognormvariate(math.log(100.0), 0.3)


def _sparse(rng: Random, times: list[int]) -> Iterator[float]:
    """Jobs of about one size, 1.5 of them in the mean."""
    for _ in times:
        jobs, chance = 0, rng.random()
        term = total = math.exp(-1.5)
        while chance > total:
            jobs += 1
            term *= 1.5 / jobs
            total += term
        yield sum(rng.uniform(8.0, 12.0) for _ in range(jobs))


def _weekly(rng: Random, times: list[int]) -> Iterator[float]:
    """Half as much at weekends, and by the hour a third less at night."""
    hourly = times[1] - times[0] < DAY
    for at in times:
        night = 1.0 - 0.33 * math.cos(math.tau * hour_of_day(at) / 24) if hourly else 1.0
        yield 100.0 * (0.5 if weekday(at) >= 5 else 1.0) * night * math.exp(rng.gauss(0.0, 0.08))


def _autocorrelated(rng: Random, times: list[int]) -> Iterator[float]:
    """A deviation keeps 0.7 of itself."""
    off = 0.0
    for _ in times:
        off = 0.7 * off + rng.gauss(0.0, 0.08 * math.sqrt(1.0 - 0.49))
        yield 100.0 * math.exp(off)


def _heavy_tail(rng: Random, times: list[int]) -> Iterator[float]:
    """Student's t with three degrees of freedom."""
    for _ in times:
        square = sum(rng.gauss(0.0, 1.0) ** 2 for _ in range(3)) / 3.0
        yield 100.0 * math.exp(min(0.05 * rng.gauss(0.0, 1.0) / math.sqrt(square), 3.0))


KINDS: dict[str, Callable[[Random, list[int]], Iterator[float]]] = {
    "gaussian": _gaussian,
    "lognormal": _lognormal,
    "sparse": _sparse,
    "weekly": _weekly,
    "autocorrelated": _autocorrelated,
    "heavy_tail": _heavy_tail,
}


def series(kind: str, seed: int, *, grain_seconds: int, count: int) -> list[tuple[float, int]]:
    """(value, start of the bucket) in order."""
    times = [START + number * grain_seconds for number in range(count)]
    return list(zip(KINDS[kind](Random(f"{kind}/{seed}"), times), times, strict=True))

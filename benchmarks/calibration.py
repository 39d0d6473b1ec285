"""Whether one threshold means the same everywhere: false alarms on series where nothing happens. JSON lines.

    python -m benchmarks.calibration                     all detectors for spend, 60 daily series of each kind
    python -m benchmarks.calibration --series 20 --hourly 8 --first-seed 0

Of each detector twice: with its own bounds, and calibrated, that is alone in an ensemble; then of the ensemble. Alarms
are those of a series in 30 days, by kind of series (benchmarks/quiet.py), `times_nominal` what they are of the nominal
rate. Detectors were developed on seeds below 1,000. Last, how many days a rise of 3 % a day takes to be told. CPU time.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from random import Random
from statistics import median

from benchmarks.driving import drive, episodes
from benchmarks.quiet import KINDS, START, series
from detectors import create
from detectors.calendar import DAY, HOUR, weekday
from detectors.parameters import Value

MEMBERS = ("seasonal", "rolling", "shift", "creep")
NOMINAL = {DAY: 0.05, HOUR: 0.2}
_BUCKETS = {DAY: 400, HOUR: 120 * 24}
_CREEP_FROM = 120
_NEVER = 99


def false_alarms(
    name: str, params: Mapping[str, Value], *, grain_seconds: int, count: int, first_seed: int
) -> dict[str, object]:
    alarms: dict[str, float] = {}
    buckets, begin, most = 0, time.process_time(), 0
    for kind in KINDS:
        told = judged = 0
        for seed in range(first_seed, first_seed + count):
            detector = create(name, grain_seconds=grain_seconds, params=params)
            given = series(kind, seed, grain_seconds=grain_seconds, count=_BUCKETS[grain_seconds])
            driven = drive(detector, given, grain_seconds=grain_seconds)
            told += episodes(driven.abnormal, grain_seconds=grain_seconds)
            judged += driven.judged
            buckets += len(given)
            most = max(most, 8 * len(detector.export()))
        alarms[kind] = told / (judged * grain_seconds / (30 * DAY))
    nominal = NOMINAL[grain_seconds]
    return {
        "name": name,
        **params,
        "grain": "1d" if grain_seconds == DAY else "1h",
        "alarms": {kind: round(rate, 3) for kind, rate in alarms.items()},
        "times_nominal": {kind: round(rate / nominal, 2) for kind, rate in alarms.items()},
        "us_per_bucket": round(1e6 * (time.process_time() - begin) / buckets, 1),
        "state_bytes": most,
    }


def creeping(name: str, *, noise: float, persistence: float, count: int, first_seed: int) -> dict[str, object]:
    """Days until a rise of 3 % a day is told, on a weekly series. noise: standard deviation of the logarithm."""
    delays = []
    for seed in range(first_seed, first_seed + count):
        rng, off, given = Random(f"creep/{seed}"), 0.0, []
        for day in range(_CREEP_FROM + 40):
            off = persistence * off + rng.gauss(0.0, noise * math.sqrt(1.0 - persistence**2))
            at = START + day * DAY
            rise = 1.03 ** min(max(day - _CREEP_FROM, 0), 28)
            given.append((100.0 * (0.6 if weekday(at) >= 5 else 1.0) * math.exp(off) * rise, at))
        abnormal = drive(create(name, grain_seconds=DAY, params={}), given, grain_seconds=DAY).abnormal
        delays.append(min((day - _CREEP_FROM for day in abnormal if day >= _CREEP_FROM), default=_NEVER))
    return {
        "name": f"{name}_on_3_percent_a_day",
        "noise": noise,
        "autocorrelation": persistence,
        "within_14_days": round(sum(delay <= 14 for delay in delays) / count, 3),
        "delay_p50": median(delays),
        "delay_p90": sorted(delays)[int(0.9 * (count - 1))],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.calibration",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--series", type=int, default=60, help="daily series of each kind, 0 for none")
    parser.add_argument("--hourly", type=int, default=10, help="hourly series of each kind, 0 for none")
    parser.add_argument("--first-seed", type=int, default=1000)
    chosen = parser.parse_args(arguments)
    cases: list[tuple[str, dict[str, Value]]] = []
    for name in MEMBERS:
        cases += [(name, {}), ("ensemble", {"members": name})]
    cases.append(("ensemble", {}))
    for grain_seconds, count in ((DAY, chosen.series), (HOUR, chosen.hourly)):
        for name, params in cases if count else ():
            print(f"{name} {params}, {grain_seconds} s", file=sys.stderr)
            found = false_alarms(name, params, grain_seconds=grain_seconds, count=count, first_seed=chosen.first_seed)
            print(json.dumps(found), flush=True)
    for name in ("seasonal", "shift", "creep", "ensemble") if chosen.series else ():
        for noise, persistence in ((0.03, 0.0), (0.05, 0.5), (0.1, 0.0), (0.1, 0.5)):
            found = creeping(
                name, noise=noise, persistence=persistence, count=chosen.series, first_seed=chosen.first_seed
            )
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()

"""How good detection is: `python -m benchmarks.spend` prints one JSON object a line, progress on standard error.

    python -m benchmarks.spend                        days and hours, ours and all peers
    python -m benchmarks.spend --only spendwatch --daily 300 --hourly 60 --seeds 101,102
    python -m benchmarks.spend --only spendwatch --detector ensemble

spendwatch: the real Fold with default settings, each period judged once, as known when the source vouches for it; so
are all peers. spendwatch_delivered: the real engine, fed record by record as they arrive, its rises and falls counted;
slow for hours, so of fewer tags. oracle: what an observer could find who knows the true baseline and noise, at the
limit that is best for these seeds; oracle_allowed: at the limit at which it raises about as many false alarms as the
goal allows. "visible" leaves out the incidents that it would rather miss, or that are below the policy's floor.

Detection is developed on seeds 1 to 9. Those from 101 on are for reports: nobody looks at their incidents one by one.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence

from benchmarks.spend.calendars import DAY, HOUR
from benchmarks.spend.contenders import CONTENDERS, Contender
from benchmarks.spend.delivered import deliver
from benchmarks.spend.delivery import arrivals
from benchmarks.spend.driving import fold
from benchmarks.spend.incidents import Month, make_month
from benchmarks.spend.oracle import alarms_of, strengths
from benchmarks.spend.scoring import Alarm, Score, add, line, score
from benchmarks.spend.views import View, views
from benchmarks.spend.visibility import LIMIT
from detectors import registry
from service.core.policies import PolicyBook
from service.settings import Policy

OURS = "spendwatch"
DELIVERED = "spendwatch_delivered"
ORACLE = "oracle"
ORACLE_ALLOWED = "oracle_allowed"
NAMES = (OURS, DELIVERED, *CONTENDERS, ORACLE, ORACLE_ALLOWED)
_LIMITS = tuple(3.0 + 0.2 * step for step in range(16))
_DELIVERED_HOURLY_TAGS = 6
_WARM_DAYS = {DAY: 14, HOUR: 7}


def peer(make: Callable[[int], Contender], view: View) -> tuple[list[Alarm], int]:
    """Its alarms, and how many periods it judged."""
    contender = make(view.tag.grain_seconds)
    alarms = []
    count = 0
    for period, value in enumerate(view.values):
        if value is not None:
            count += 1
            expected = contender.judge(value)
            if expected is not None:
                alarms.append(Alarm(period=period, rises=value > expected, deviation=value - expected))
    return alarms, count


def measure(name: str, month: Month, seen: list[View], book: PolicyBook) -> Score:
    alarms: dict[str, list[Alarm]] = {}
    judged: dict[str, int] = {}
    for view in seen:
        found, count = fold(view, book) if name == OURS else peer(CONTENDERS[name], view)
        alarms[view.tag.name], judged[view.tag.name] = found, count
    return score(month, alarms, judged)


def measure_delivered(seed: int, grain_seconds: int, count: int, book: PolicyBook) -> Score:
    if grain_seconds == HOUR:
        count = min(count, _DELIVERED_HOURLY_TAGS)
    month = make_month(seed, grain_seconds, count)
    found = deliver(month, arrivals(month.tags, seed), book)
    warm = {tag.name: _WARM_DAYS[grain_seconds] * tag.per_day for tag in month.tags}
    judged = {tag.name: max(sum(v is not None for v in tag.values) - warm[tag.name], 0) for tag in month.tags}
    total = score(month, found.alarms, judged)
    total.told = found.told
    return total


def measure_oracle(month: Month, seen: list[View], limits: Sequence[float]) -> list[Score]:
    """One score for each limit."""
    found = strengths(month, seen)
    return [score(month, *alarms_of(found, seen, limit)) for limit in limits]


def lines(
    names: list[str], seeds: list[int], grain_seconds: int, count: int, detector: str | None
) -> Iterator[dict[str, object]]:
    ours = [name for name in names if name not in (ORACLE, ORACLE_ALLOWED)]
    scores: dict[str, list[Score]] = {name: [] for name in ours}
    limits = (LIMIT[grain_seconds], *_LIMITS)
    known: list[list[Score]] = []
    book = PolicyBook((Policy(detector=detector),))
    for seed in seeds:
        month = make_month(seed, grain_seconds, count)
        seen = views(month.tags, arrivals(month.tags, seed))
        for name, found in scores.items():
            print(f"seed {seed}, {grain_seconds} s: {name}", file=sys.stderr)
            found.append(
                measure_delivered(seed, grain_seconds, count, book)
                if name == DELIVERED
                else measure(name, month, seen, book)
            )
        if len(ours) < len(names):
            known.append(measure_oracle(month, seen, limits))
    totals = {name: add(found) for name, found in scores.items()}
    if known:
        allowed, *others = (add(of_limit) for of_limit in zip(*known, strict=True))
        best = max(others, key=lambda total: total.all.f1(total.false))
        totals |= {name: total for name, total in ((ORACLE, best), (ORACLE_ALLOWED, allowed)) if name in names}
    for name, total in totals.items():
        yield {"grain": "1d" if grain_seconds == DAY else "1h", **line(name, total)}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.spend", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(NAMES), help=f"of {', '.join(NAMES)}")
    parser.add_argument("--seeds", default="101,102,103")
    parser.add_argument("--daily", type=int, default=100, help="tags a seed, 0 for none")
    parser.add_argument("--hourly", type=int, default=30, help="tags a seed, 0 for none")
    parser.add_argument("--detector", choices=registry.names(), help="that ours runs with; else the usual one")
    chosen = parser.parse_args()
    names = chosen.only.split(",")
    if unknown := sorted(set(names) - set(NAMES)):
        parser.error(f"unknown: {', '.join(unknown)}; known are {', '.join(NAMES)}")
    seeds = [int(seed) for seed in chosen.seeds.split(",")]
    for grain_seconds, count in ((DAY, chosen.daily), (HOUR, chosen.hourly)):
        if count:
            for found in lines(names, seeds, grain_seconds, count, chosen.detector):
                print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()

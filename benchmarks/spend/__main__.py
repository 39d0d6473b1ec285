"""How good detection is: `python -m benchmarks.spend` prints one JSON object a line.

python -m benchmarks.spend                        daily and hourly, ours and all peers
python -m benchmarks.spend --only spendwatch --daily 300 --hourly 60 --seeds 101,102
"""

import argparse
import json
from collections.abc import Callable

from benchmarks.spend.calendars import DAY, HOUR
from benchmarks.spend.contenders import CONTENDERS, Contender
from benchmarks.spend.delivery import arrivals
from benchmarks.spend.driving import fold
from benchmarks.spend.incidents import Month, make_month
from benchmarks.spend.scoring import Alarm, Score, add, line, score
from benchmarks.spend.views import View, views
from service.core.policies import PolicyBook
from service.settings import Policy

OURS = "spendwatch"


def peer(make: Callable[[int], Contender], view: View) -> tuple[list[Alarm], int]:
    contender = make(view.tag.grain_seconds)
    alarms = []
    count = 0
    for period, value in enumerate(view.values):
        if value is None:
            continue
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


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spend", description=__doc__)
    names = (OURS, *CONTENDERS)
    parser.add_argument("--only", default=",".join(names), help=f"of {', '.join(names)}")
    parser.add_argument("--seeds", default="101,102,103")
    parser.add_argument("--daily", type=int, default=100, help="tags a seed")
    parser.add_argument("--hourly", type=int, default=30, help="tags a seed")
    chosen = parser.parse_args()
    for grain_seconds, count in ((DAY, chosen.daily), (HOUR, chosen.hourly)):
        scores: dict[str, list[Score]] = {name: [] for name in chosen.only.split(",")}
        for seed in map(int, chosen.seeds.split(",")) if count else ():
            month = make_month(seed, grain_seconds, count)
            seen = views(month.tags, arrivals(month.tags, seed))
            book = PolicyBook((Policy(),))
            for name, found in scores.items():
                found.append(measure(name, month, seen, book))
        for name, found in scores.items():
            if found:
                print(
                    json.dumps({"grain": "1d" if grain_seconds == DAY else "1h", **line(name, add(found))}), flush=True
                )


if __name__ == "__main__":
    main()

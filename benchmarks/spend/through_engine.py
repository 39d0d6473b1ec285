"""The same months through the Fold and through the whole engine, side by side: what is lost or added on the way.

The Fold judges each period once, on what was known when the source vouched for it. The engine is fed the records as
they arrive, so it also judges open periods, and restated ones again. `heard` counts every alert that was ever told,
`standing` those that were not taken back.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median

from benchmarks.spend.calendars import DAY, HOUR
from benchmarks.spend.delivered import Delivered, deliver
from benchmarks.spend.delivery import arrivals
from benchmarks.spend.driving import fold
from benchmarks.spend.incidents import Month, make_month
from benchmarks.spend.scoring import BY_VALUE, Alarm, Score, add, line, score
from benchmarks.spend.views import views
from service.core.alerts import AlertKind
from service.core.policies import PolicyBook
from service.settings import Policy


def measure(seeds: Sequence[int], grain_seconds: int, count: int) -> Iterator[dict[str, object]]:
    """One line for the Fold, and two for the engine."""
    book = PolicyBook((Policy(),))
    scores: dict[str, list[Score]] = {"fold": [], "engine_heard": [], "engine_standing": []}
    runs: list[Delivered] = []
    waits: list[float] = []
    for seed in seeds:
        month = make_month(seed, grain_seconds, count)
        arrived = arrivals(month.tags, seed)
        folded: dict[str, list[Alarm]] = {}
        judged: dict[str, int] = {}
        for view in views(month.tags, arrived):
            folded[view.tag.name], judged[view.tag.name] = fold(view, book)
        run = deliver(month.tags, arrived, book)
        runs.append(run)
        waits += _waits(month, run)
        for name, alarms in zip(scores, (folded, run.alarms, run.standing), strict=True):
            scores[name].append(score(month, alarms, judged))
    grain = "1d" if grain_seconds == DAY else "1h"
    for name, found in scores.items():
        yield {"grain": grain, **line(name, add(found))}
    yield {"grain": grain, "name": "engine", **_on_the_way(runs), "hours_to_first_word_p50": _median(waits)}


def _on_the_way(runs: Sequence[Delivered]) -> dict[str, object]:
    told: Counter[AlertKind] = Counter()
    withdrawn: Counter[AlertKind] = Counter()
    for run in runs:
        told += run.told
        withdrawn += run.withdrawn
    values = [kind for kind in told if kind is not AlertKind.MISSING]
    alerts = sum(told.values())
    return {
        "alerts": sum(told[kind] for kind in values),
        "withdrawn_share": _share(sum(withdrawn[kind] for kind in values), sum(told[kind] for kind in values)),
        "missing_alerts": told[AlertKind.MISSING],
        "missing_withdrawn_share": _share(withdrawn[AlertKind.MISSING], told[AlertKind.MISSING]),
        "messages_per_alert": _share(sum(run.messages for run in runs), alerts),
        "us_per_fact": round(median(run.us_per_fact for run in runs)),
    }


def _waits(month: Month, run: Delivered) -> Iterator[float]:
    """Hours from the end of an incident's first period until the first alert that finds it."""
    tags = {tag.name: tag for tag in month.tags}
    for incident in month.incidents:
        places = [(incident.tag, period) for period in range(incident.first, incident.within + 1)]
        heard = [run.hours[place] for place in places if place in run.hours]
        if heard and incident.kind in BY_VALUE:
            yield min(heard) - (tags[incident.tag].calendar[incident.first].at + month.grain_seconds) / HOUR


def _median(values: Sequence[float]) -> float | None:
    return round(median(values), 1) if values else None


def _share(part: int, of: int) -> float:
    return round(part / max(of, 1), 3)

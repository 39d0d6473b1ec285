"""Ours over a month: the real `Fold`, that is detector, quarantine and new levels, on what was known in time."""

from benchmarks.spend.calendars import DAY
from benchmarks.spend.scoring import Alarm
from benchmarks.spend.tags import Tag
from benchmarks.spend.views import View
from connectors.facts import Basis
from connectors.series import SeriesKey
from detectors.verdict import Status
from service.core.alerts import AlertKind
from service.core.amounts import bound, to_nano, to_units
from service.core.episodes import Episode
from service.core.judging import Fold, is_told, told_from
from service.core.policies import Judge, PolicyBook


def series_of(tag: Tag) -> str:
    unit = "USD" if tag.metric.endswith("cost") else "requests"
    return f"default/{tag.metric}/{unit}/{'1d' if tag.grain_seconds == DAY else '1h'}/tag:team={tag.name}"


def fold(view: View, book: PolicyBook) -> tuple[list[Alarm], int]:
    """The alarms, and how many periods were judged."""
    judge = book.judge_of(SeriesKey.parse(series_of(view.tag)))
    fold = Fold(judge, judge.make(), None)
    start = view.tag.calendar[0].at // judge.grain_seconds
    alarms: list[Alarm] = []
    for place, value in enumerate(view.values):
        if value is not None:
            fold.bucket(start + place, to_nano(value), Basis.BILLED)
        for episode in fold.ended:
            alarms += _alarms(judge, episode, start)
        fold.ended.clear()
    if fold.run is not None and is_told(judge, fold.run):
        alarms += _alarms(judge, fold.run, start)
    return alarms, sum(fold.counts[status] for status in (Status.NORMAL, Status.HIGH, Status.LOW))


def _alarms(judge: Judge, episode: Episode, start: int) -> list[Alarm]:
    """The periods at which an episode stands as told."""
    rises = episode.kind is not AlertKind.DROP
    expected = bound(episode.worst.band.expected)
    held = [(index, nano) for index, nano in enumerate(episode.held, start=episode.first) if nano is not None]
    return [
        Alarm(period=index - start, rises=rises, deviation=to_units(nano - expected))
        for index, nano in held[told_from(judge, episode) - 1 :]
    ]

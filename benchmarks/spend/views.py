"""What a detector that judges each period once gets to see: its value as known when the source vouches for it."""

from dataclasses import dataclass

from benchmarks.spend.calendars import HOUR
from benchmarks.spend.delivery import RUN_HOURS, VOUCHED_HOURS, Arrival
from benchmarks.spend.tags import Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """values: per period of the tag; None where no record had come in time."""

    tag: Tag
    values: list[float | None]


def views(tags: list[Tag], arrived: list[Arrival]) -> list[View]:
    known: list[list[tuple[int, float] | None]] = [[None] * len(tag.values) for tag in tags]
    for arrival in arrived:
        tag = tags[arrival.tag]
        if arrival.at <= closes_at(tag, arrival.period):
            before = known[arrival.tag][arrival.period]
            if before is None or arrival.revision >= before[0]:
                known[arrival.tag][arrival.period] = (arrival.revision, arrival.value)
    return [
        View(tag=tag, values=[None if one is None else one[1] for one in of])
        for tag, of in zip(tags, known, strict=True)
    ]


def closes_at(tag: Tag, period: int) -> int:
    """The delivery run in which the source vouches for a period."""
    run = RUN_HOURS[tag.grain_seconds] * HOUR
    at = tag.calendar[period].at + tag.grain_seconds + VOUCHED_HOURS * HOUR
    return -(-at // run) * run

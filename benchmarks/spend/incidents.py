"""Labelled incidents, put into tags that were well before; and what in a tag is no incident though it looks like one.

Amplitudes are in units of the tag's own noise (3, 5, 8) or of its level (15, 30, 60 %), whichever is drawn; incidents
of one tag lie at least thirty days apart, and 30 % of tags have none.
"""

import math
import random
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.spend.calendars import DAY, HOUR
from benchmarks.spend.tags import Tag, make_tag

CLEAN_SHARE = 0.3
QUIET_DAYS = {DAY: 35, HOUR: 14}
"""No incident before a detector may have warmed up."""
APART_DAYS = 30
CREEP_A_DAY = 1.03


class Kind(StrEnum):
    SPIKE = "spike"
    SHIFT = "shift"
    CREEP = "creep"
    DROP = "drop"
    IDLE = "idle"
    NEW_TAG = "new_tag"
    RETAGGED = "retagged"
    MISSING = "missing"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """first, last: periods, both inside. within: it counts as found by an alert on a period up to this one.

    settled: alerts up to this period are its aftermath, neither found nor false. rises: which way it goes; None for
    what has no direction.
    """

    tag: str
    kind: Kind
    first: int
    last: int
    within: int
    settled: int
    rises: bool | None
    size: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """Everything of one seed and grain: the tags, the incidents, and what is to be left in peace.

    neutral: periods of a tag at which an alert is neither right nor wrong, such as the start of a commitment.
    """

    grain_seconds: int
    tags: list[Tag]
    incidents: list[Incident]
    neutral: list[Incident]


_KINDS = (
    (Kind.SPIKE, 34),
    (Kind.SHIFT, 22),
    (Kind.CREEP, 14),
    (Kind.DROP, 14),
    (Kind.IDLE, 4),
    (Kind.MISSING, 4),
    (Kind.RETAGGED, 2),
    (Kind.HIDDEN, 4),
    (Kind.NEW_TAG, 2),
)


def make_month(seed: int, grain_seconds: int, count: int) -> Month:
    """*count* tags, and the few more that incidents of two tags bring with them."""
    rng = random.Random(f"{seed}/{grain_seconds}")
    month = Month(grain_seconds=grain_seconds, tags=[], incidents=[], neutral=[])
    for number in range(count):
        tag = make_tag(f"t{seed}-{number:04}", grain_seconds, rng)
        _take_in(month, tag)
        if rng.random() < CLEAN_SHARE:
            continue
        places = sorted(_places(tag, rng.randint(1, 3), rng))
        for first in places:
            kind = rng.choices([kind for kind, _ in _KINDS], [weight for _, weight in _KINDS])[0]
            if kind is Kind.RETAGGED and first != places[-1]:
                kind = Kind.SHIFT  # nothing can happen to a tag that is gone
            _plant(month, tag, kind, first, rng)
    _leave_out_what_does_not_show(month)
    return month


def _leave_out_what_does_not_show(month: Month) -> None:
    """A spike on a day on which its tag rests changes no record; a shift may show long after it was to be found."""
    tags = {tag.name: tag for tag in month.tags}
    planted = month.incidents[:]
    month.incidents.clear()
    for incident in planted:
        (month.incidents if _shows(tags[incident.tag], incident) else month.neutral).append(incident)


def _shows(tag: Tag, incident: Incident) -> bool:
    periods = slice(incident.first, incident.within + 1)
    return tag.values[periods] != tag.normal[periods]


def _take_in(month: Month, tag: Tag) -> None:
    month.tags.append(tag)
    if tag.habit.commitment is not None:
        at = tag.habit.commitment[0]
        month.neutral.append(_label(tag, Kind.SHIFT, at, at, within_days=28, aftermath_days=28))


def _places(tag: Tag, count: int, rng: random.Random) -> list[int]:
    """First periods, APART_DAYS apart, after the quiet days and with as many behind them as a ramp needs."""
    per_day, days = tag.per_day, len(tag.normal) // tag.per_day
    begin, end = QUIET_DAYS[tag.grain_seconds], days - 10
    gap = APART_DAYS + (28 if per_day == 1 else 7)
    places: list[int] = []
    for _ in range(50):
        at = rng.randrange(begin * per_day, end * per_day)
        if len(places) < count and all(abs(at - other) >= gap * per_day for other in places):
            places.append(at)
    return places


def _amplitude(tag: Tag, rng: random.Random) -> float:
    """As a part of the level."""
    in_noise = rng.random() < 0.5
    return rng.choice((3.0, 5.0, 8.0)) * tag.habit.noise if in_noise else rng.choice((0.15, 0.30, 0.60))


def _label(
    tag: Tag,
    kind: Kind,
    first: int,
    last: int,
    *,
    within_days: float,
    aftermath_days: float,
    rises: bool | None = None,
    part: float = math.inf,
) -> Incident:
    most = len(tag.normal) - 1
    return Incident(
        tag=tag.name,
        kind=kind,
        first=first,
        last=min(last, most),
        within=min(first + round(within_days * tag.per_day), most),
        settled=min(last + round(aftermath_days * tag.per_day), most),
        rises=rises,
        size=part / tag.habit.noise,
    )


def _scale(tag: Tag, first: int, last: int, factor: float) -> None:
    for place in range(first, min(last + 1, len(tag.values))):
        value = tag.values[place]
        if value is not None:
            tag.values[place] = value * factor


def _plant(month: Month, tag: Tag, kind: Kind, first: int, rng: random.Random) -> None:
    if kind is Kind.SPIKE:
        _spike(month, tag, first, rng)
    elif kind is Kind.SHIFT:
        _shift(month, tag, first, rng)
    elif kind is Kind.CREEP:
        _creep(month, tag, first, rng)
    elif kind is Kind.DROP:
        _drop(month, tag, first, rng)
    elif kind is Kind.IDLE:
        _idle(month, tag, first, rng)
    elif kind is Kind.MISSING:
        _missing(month, tag, first, rng)
    elif kind is Kind.RETAGGED:
        _retagged(month, tag, first, rng)
    elif kind is Kind.HIDDEN:
        _hidden(month, tag, first, rng)
    else:
        _new_tag(month, tag, first, rng)


def _period(tag: Tag) -> float:
    return 1.0 / tag.per_day


def _spike(month: Month, tag: Tag, first: int, rng: random.Random) -> None:
    length = rng.randint(1, 2) if tag.per_day == 1 else rng.randint(2, 24)
    last = first + length - 1
    amplitude = _amplitude(tag, rng)
    _scale(tag, first, last, 1.0 + amplitude)
    month.incidents.append(
        _label(
            tag,
            Kind.SPIKE,
            first,
            last,
            within_days=length * _period(tag),
            aftermath_days=2,
            rises=True,
            part=amplitude,
        )
    )


def _shift(month: Month, tag: Tag, first: int, rng: random.Random) -> None:
    amplitude, rises = _amplitude(tag, rng), rng.random() < 0.6
    _scale(tag, first, len(tag.values), 1.0 + amplitude if rises else 1.0 / (1.0 + amplitude))
    within = 7 if tag.per_day == 1 else 2
    month.incidents.append(
        _label(tag, Kind.SHIFT, first, first, within_days=within, aftermath_days=28, rises=rises, part=amplitude)
    )


def _creep(month: Month, tag: Tag, first: int, rng: random.Random) -> None:
    """Half of them a ramp to 1.5 amplitudes, half 3 % a day; both stay where they come to."""
    days = 28 if tag.per_day == 1 else 7
    top = CREEP_A_DAY**days if rng.random() < 0.5 else 1.0 + 1.5 * _amplitude(tag, rng)
    length = days * tag.per_day
    for place in range(first, len(tag.values)):
        part = min((place - first + 1) / length, 1.0)
        value = tag.values[place]
        if value is not None:
            tag.values[place] = value * top**part
    month.incidents.append(
        _label(tag, Kind.CREEP, first, first + length, within_days=days, aftermath_days=28, rises=True, part=top - 1.0)
    )


def _drop(month: Month, tag: Tag, first: int, rng: random.Random) -> None:
    length = rng.randint(2, 8) if tag.per_day == 1 else rng.randint(6, 72)
    last = first + length - 1
    _scale(tag, first, last, rng.choice((0.0, 0.1)))
    month.incidents.append(
        _label(tag, Kind.DROP, first, last, within_days=(length - 1) * _period(tag), aftermath_days=2, rises=False)
    )


def _idle(month: Month, tag: Tag, first: int, rng: random.Random) -> None:
    """The usage of the tag falls to zero while its cost stays: a series of its own shows it."""
    usage = make_tag(f"{tag.name}-usage-{first}", tag.grain_seconds, rng, metric="usage")
    _scale(usage, first, len(usage.values), 0.0)
    _take_in(month, usage)
    within = 7 if tag.per_day == 1 else 2
    month.incidents.append(_label(usage, Kind.IDLE, first, first, within_days=within, aftermath_days=28, rises=False))


def _missing(month: Month, tag: Tag, first: int, rng: random.Random) -> None:
    length = rng.randint(2, 5) if tag.per_day == 1 else rng.randint(6, 48)
    for place in range(first, min(first + length, len(tag.values))):
        tag.values[place] = None
    month.incidents.append(
        _label(
            tag,
            Kind.MISSING,
            first,
            first + length - 1,
            within_days=(length + 1) * _period(tag),
            aftermath_days=2,
        )
    )


def _retagged(month: Month, tag: Tag, first: int, rng: random.Random) -> None:
    """What the tag costs is charged to another tag from now on."""
    heir = make_tag(f"{tag.name}-heir-{first}", tag.grain_seconds, rng)
    heir.calendar = tag.calendar
    heir.values = [None if place < first else value for place, value in enumerate(tag.values)]
    heir.normal = [0.0] * len(heir.values)
    _scale(tag, first, len(tag.values), 0.0)
    _take_in(month, heir)
    within = 7 if tag.per_day == 1 else 2
    month.incidents.append(_label(tag, Kind.RETAGGED, first, first, within_days=within, aftermath_days=28, rises=False))
    month.neutral.append(_label(heir, Kind.NEW_TAG, first, first, within_days=28, aftermath_days=28))


def _hidden(month: Month, tag: Tag, first: int, rng: random.Random) -> None:
    """The tag rises while another falls by as much: their sum shows nothing."""
    amplitude = max(_amplitude(tag, rng), 0.3)
    _scale(tag, first, len(tag.values), 1.0 + amplitude)
    other = make_tag(f"{tag.name}-other-{first}", tag.grain_seconds, rng)
    other.calendar, other.habit = tag.calendar, tag.habit
    for place, normal in enumerate(tag.normal):
        other.normal[place] = normal * (0.6 + amplitude)
        other.expected[place] = tag.expected[place] * (0.6 + amplitude)
        other.added[place] = tag.added[place] * (0.6 + amplitude)
        other.values[place] = normal * 0.6 if place >= first else other.normal[place]
    _take_in(month, other)
    within = 7 if tag.per_day == 1 else 2
    month.incidents.append(
        _label(tag, Kind.HIDDEN, first, first, within_days=within, aftermath_days=28, rises=True, part=amplitude)
    )
    month.neutral.append(_label(other, Kind.SHIFT, first, first, within_days=28, aftermath_days=28))


def _new_tag(month: Month, tag: Tag, first: int, rng: random.Random) -> None:
    """A tag first seen, and dear: 1,000 to 5,000 a day from its first period on."""
    new = make_tag(f"{tag.name}-new-{first}", tag.grain_seconds, rng)
    factor = rng.uniform(1000.0, 5000.0) / new.habit.level
    new.values = [None if place < first else (value or 0.0) * factor for place, value in enumerate(new.values)]
    _take_in(month, new)
    month.incidents.append(
        _label(new, Kind.NEW_TAG, first, first + 1, within_days=_period(new), aftermath_days=28, rises=True)
    )

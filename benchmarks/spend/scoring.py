"""How good the alarms of one detector are: by episode, by dollars, by how late they come, and on what is well."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.spend.calendars import DAY, HOUR
from benchmarks.spend.incidents import Incident, Kind, Month
from benchmarks.spend.tags import Tag
from benchmarks.spend.visibility import is_visible, ratio_before

MERGED_WITHIN = {DAY: 3, HOUR: 12}
"""Alarms of one tag that lie no further apart, in periods, are one."""
BY_VALUE = frozenset({Kind.SPIKE, Kind.SHIFT, Kind.CREEP, Kind.DROP, Kind.IDLE, Kind.RETAGGED, Kind.HIDDEN})
"""What the values of a series that is known can show. A new tag and missing records are for others to see."""
_EXCESS_DAYS = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One abnormal period. deviation: from what was expected, in the unit of the series."""

    period: int
    rises: bool
    deviation: float


@dataclass(slots=True, kw_only=True)
class Tally:
    """Of some incidents: how many were found, and how much of what the rises among them cost was still to come then."""

    hits: int = 0
    missed: int = 0
    excess: float = 0.0
    caught: float = 0.0

    @property
    def recall(self) -> float:
        return self.hits / max(self.hits + self.missed, 1)

    @property
    def cost_caught(self) -> float:
        return self.caught / max(self.excess, 1e-9)

    def precision(self, false: int) -> float:
        return self.hits / max(self.hits + false, 1)

    def f1(self, false: int) -> float:
        return 2 * self.hits / max(2 * self.hits + self.missed + false, 1)

    def count(self, excess: Sequence[float], *, delay: int | None, rises: bool | None) -> None:
        """delay: of the alarm that found it; None if none has."""
        self.hits += delay is not None
        self.missed += delay is None
        if rises:
            self.excess += sum(excess)
            self.caught += sum(excess[delay:]) if delay is not None else 0.0

    def add(self, other: "Tally") -> None:
        self.hits += other.hits
        self.missed += other.missed
        self.excess += other.excess
        self.caught += other.caught


@dataclass(slots=True, kw_only=True)
class Told:
    """What became of alerts that were told as records arrived. withdrawn: so many were taken back in the end.

    delays: of incidents without records that were told as missing, in periods from the end of the first of them to the
    delivery run that told of it. as_drop: so many of them were told as a drop. false: alerts of kind missing where
    records were only late, withdrawn or not. old_news: alerts of any kind that nobody was told of, since what a late or
    restated record brought to light had been over for days.
    """

    by_value: int = 0
    withdrawn: int = 0
    planted: int = 0
    delays: list[int] = field(default_factory=list)
    as_drop: int = 0
    false: int = 0
    old_news: int = 0

    def add(self, other: "Told") -> None:
        for name in ("by_value", "withdrawn", "planted", "as_drop", "false", "old_news"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.delays.extend(other.delays)


@dataclass(slots=True, kw_only=True)
class Score:
    """all, visible: incidents that values can show, and those of them that anybody could see (`visibility`).

    hit_dollars, missed_dollars: what incidents cost or saved that were found, or not; false_dollars: what false alarms
    said was at stake. told: None where every period was judged once. found: periods from the first of an incident to
    the first that was flagged, by kind. visible_of: how many were visible, by kind.
    """

    all: Tally = field(default_factory=Tally)
    visible: Tally = field(default_factory=Tally)
    false: int = 0
    false_on_clean: int = 0
    hit_dollars: float = 0.0
    missed_dollars: float = 0.0
    false_dollars: float = 0.0
    months: float = 0.0
    clean_months: float = 0.0
    clean_tags: int = 0
    loud_tags: int = 0
    told: Told | None = None
    found: dict[Kind, list[int]] = field(default_factory=lambda: defaultdict(list))
    planted: dict[Kind, int] = field(default_factory=lambda: defaultdict(int))
    visible_of: dict[Kind, int] = field(default_factory=lambda: defaultdict(int))


def score(month: Month, alarms: Mapping[str, Sequence[Alarm]], judged: Mapping[str, int]) -> Score:
    """alarms: by tag, in order. judged: how many periods of a tag were judged at all."""
    total = Score()
    incidents, neutral = _by_tag(month.incidents), _by_tag(month.neutral)
    for tag in month.tags:
        _score_tag(
            total,
            tag,
            incidents[tag.name],
            neutral[tag.name],
            _merged(alarms.get(tag.name, ()), MERGED_WITHIN[month.grain_seconds]),
            judged.get(tag.name, 0) / tag.per_day / 30,
        )
    return total


def _score_tag(
    total: Score,
    tag: Tag,
    incidents: list[Incident],
    neutral: list[Incident],
    episodes: list[list[Alarm]],
    months: float,
) -> None:
    clean = not incidents and not neutral
    total.months += months
    total.clean_months += months if clean else 0.0
    total.clean_tags += clean
    for incident in incidents:
        total.planted[incident.kind] += 1
        finding = [alarm for episode in episodes for alarm in episode if _finds(incident, alarm)]
        excess = _excess(tag, incident)
        delay = finding[0].period - incident.first if finding else None
        if delay is not None:
            total.found[incident.kind].append(delay)
        if incident.kind not in BY_VALUE:
            continue
        total.all.count(excess, delay=delay, rises=incident.rises)
        if is_visible(tag, incident):
            total.visible_of[incident.kind] += 1
            total.visible.count(excess, delay=delay, rises=incident.rises)
        dollars = sum(map(abs, excess))
        total.hit_dollars += dollars if finding else 0.0
        total.missed_dollars += 0.0 if finding else dollars
    loud = False
    for episode in episodes:
        if any(_belongs(incident, alarm) for incident in (*incidents, *neutral) for alarm in episode):
            continue
        loud = True
        total.false += 1
        total.false_on_clean += clean
        total.false_dollars += sum(abs(alarm.deviation) for alarm in episode)
    total.loud_tags += clean and loud


def _finds(incident: Incident, alarm: Alarm) -> bool:
    return incident.first <= alarm.period <= incident.within and incident.rises in (None, alarm.rises)


def _belongs(incident: Incident, alarm: Alarm) -> bool:
    return incident.first <= alarm.period <= incident.settled


def _excess(tag: Tag, incident: Incident) -> list[float]:
    """Per period from its first on: what was spent beyond what would have been, for four weeks at the most."""
    lasting = incident.kind not in (Kind.SPIKE, Kind.DROP)
    last = min(incident.first + _EXCESS_DAYS * tag.per_day - 1, len(tag.values) - 1) if lasting else incident.last
    before = ratio_before(tag, incident)
    return [(tag.values[place] or 0.0) - before * tag.normal[place] for place in range(incident.first, last + 1)]


def _merged(alarms: Iterable[Alarm], within: int) -> list[list[Alarm]]:
    episodes: list[list[Alarm]] = []
    for alarm in alarms:
        if episodes and alarm.period - episodes[-1][-1].period <= within:
            episodes[-1].append(alarm)
        else:
            episodes.append([alarm])
    return episodes


def _by_tag(incidents: Iterable[Incident]) -> dict[str, list[Incident]]:
    found: dict[str, list[Incident]] = defaultdict(list)
    for incident in incidents:
        found[incident.tag].append(incident)
    return found


def add(scores: Sequence[Score]) -> Score:
    """Of several months together."""
    total = Score()
    for one in scores:
        total.all.add(one.all)
        total.visible.add(one.visible)
        if one.told is not None:
            total.told = total.told or Told()
            total.told.add(one.told)
        for name in ("false", "false_on_clean", "clean_tags", "loud_tags"):
            setattr(total, name, getattr(total, name) + getattr(one, name))
        for name in ("hit_dollars", "missed_dollars", "false_dollars", "months", "clean_months"):
            setattr(total, name, getattr(total, name) + getattr(one, name))
        for kind, delays in one.found.items():
            total.found[kind].extend(delays)
        for kind, count in one.planted.items():
            total.planted[kind] += count
        for kind, count in one.visible_of.items():
            total.visible_of[kind] += count
    return total


def line(name: str, total: Score) -> dict[str, object]:
    """As it is printed."""
    kinds = {
        kind.value: {
            "found": len(total.found[kind]),
            "of": total.planted[kind],
            "visible": total.visible_of[kind],
            "delay_p50": median(total.found[kind]) if total.found[kind] else None,
            "delay_p90": _p90(total.found[kind]),
        }
        for kind in Kind
        if total.planted[kind]
    }
    return {
        "name": name,
        **_rates(total.all, total.false),
        "visible": _rates(total.visible, total.false),
        "false_alarms_per_tag_month": round(total.false / max(total.months, 1e-9), 4),
        "false_alarms_per_clean_tag_month": round(total.false_on_clean / max(total.clean_months, 1e-9), 4),
        "silent_decoy_tags": round(1.0 - total.loud_tags / max(total.clean_tags, 1), 3),
        "dollar_precision": round(total.hit_dollars / max(total.hit_dollars + total.false_dollars, 1e-9), 3),
        "dollar_recall": round(total.hit_dollars / max(total.hit_dollars + total.missed_dollars, 1e-9), 3),
        "kinds": kinds,
        **({} if total.told is None else _told(total.told, total.months)),
    }


def _told(told: Told, months: float) -> dict[str, object]:
    return {
        "told": told.by_value,
        "withdrawn": told.withdrawn,
        "old_news": told.old_news,
        "missing": {
            "found": len(told.delays),
            "of": told.planted,
            "as_drop": told.as_drop,
            "delay_p50": median(told.delays) if told.delays else None,
            "delay_max": max(told.delays, default=None),
            "false": told.false,
            "false_per_tag_month": round(told.false / max(months, 1e-9), 4),
        },
    }


def _rates(tally: Tally, false: int) -> dict[str, float]:
    return {
        "precision": round(tally.precision(false), 3),
        "recall": round(tally.recall, 3),
        "f1": round(tally.f1(false), 3),
        "cost_caught": round(tally.cost_caught, 3),
    }


def _p90(delays: Sequence[int]) -> int | None:
    return sorted(delays)[int(0.9 * (len(delays) - 1))] if delays else None

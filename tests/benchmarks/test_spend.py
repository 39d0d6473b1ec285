"""The billing months repeat, their labels are within them, and the score of known alarms can be worked out by hand."""

import math
from dataclasses import replace

import pytest

from benchmarks.spend.calendars import DAY, HOUR
from benchmarks.spend.delivered import deliver
from benchmarks.spend.delivery import Arrival, arrivals
from benchmarks.spend.incidents import Incident, Kind, Month, make_month
from benchmarks.spend.oracle import alarms_of, strengths
from benchmarks.spend.scoring import Alarm, Told, score
from benchmarks.spend.views import views
from benchmarks.spend.visibility import is_visible, power
from service.core.policies import PolicyBook
from service.settings import Policy


@pytest.mark.parametrize("grain_seconds", [DAY, HOUR])
def test_the_same_seed_makes_the_same_month(grain_seconds: int) -> None:
    one, other = make_month(5, grain_seconds, 4), make_month(5, grain_seconds, 4)
    assert [tag.values for tag in one.tags] == [tag.values for tag in other.tags]
    assert one.incidents == other.incidents
    assert arrivals(one.tags[:1], 5) == arrivals(other.tags[:1], 5)


def test_incidents_lie_within_their_tags() -> None:
    month = make_month(6, DAY, 40)
    tags = {tag.name: tag for tag in month.tags}
    for incident in (*month.incidents, *month.neutral):
        periods = len(tags[incident.tag].values)
        assert 0 <= incident.first <= incident.within < periods
        assert incident.first <= incident.settled < periods


def test_every_incident_changes_a_record() -> None:
    month = make_month(1, DAY, 100)
    tags = {tag.name: tag for tag in month.tags}
    for incident in month.incidents:
        tag, periods = tags[incident.tag], slice(incident.first, incident.within + 1)
        assert tag.values[periods] != tag.normal[periods]


def test_what_has_arrived_in_time_is_the_final_value_or_a_part_of_it() -> None:
    month = make_month(7, DAY, 6)
    for view in views(month.tags, arrivals(month.tags, 7)):
        known = [(seen, final) for seen, final in zip(view.values, view.tag.values, strict=True) if seen is not None]
        assert len(known) > 300
        assert all(final is not None and abs(seen) <= abs(final) * 1.11 for seen, final in known)


def make_labelled() -> Month:
    month = make_month(8, DAY, 3)
    tag = month.tags[0]
    spike = Incident(tag=tag.name, kind=Kind.SPIKE, first=100, last=100, within=101, settled=102, rises=True, size=5.0)
    tag.values = list(tag.normal)
    tag.values[100] = tag.normal[100] + 50.0
    return Month(grain_seconds=DAY, tags=[tag], incidents=[spike], neutral=[])


def alarms_at(month: Month, *periods: int, rises: bool = True) -> dict[str, list[Alarm]]:
    return {month.tags[0].name: [Alarm(period=period, rises=rises, deviation=10.0) for period in periods]}


def test_an_alarm_in_time_finds_the_incident() -> None:
    month = make_labelled()
    total = score(month, alarms_at(month, 100), {month.tags[0].name: 300})
    assert (total.all.hits, total.all.missed, total.false, total.all.f1(0)) == (1, 0, 0, 1.0)
    assert total.found[Kind.SPIKE] == [0]
    assert total.all.caught == pytest.approx(50.0)


def test_alarms_elsewhere_are_false_and_near_ones_are_one() -> None:
    month = make_labelled()
    total = score(month, alarms_at(month, 50, 52, 54, 200), {month.tags[0].name: 300})
    assert (total.all.hits, total.all.missed, total.false) == (0, 1, 2)
    assert total.false / total.months == pytest.approx(0.2)


def test_an_alarm_of_the_other_direction_finds_nothing_and_is_not_false() -> None:
    month = make_labelled()
    total = score(month, alarms_at(month, 100, rises=False), {month.tags[0].name: 300})
    assert (total.all.hits, total.all.missed, total.false) == (0, 1, 0)


def test_a_drop_is_visible_and_a_spike_within_the_noise_or_below_the_floor_is_not() -> None:
    month = make_labelled()
    tag, spike = month.tags[0], month.incidents[0]
    noise = tag.habit.noise
    for factor, floor_lies_below in ((0.0, True), (math.exp(6.0 * noise), True), (math.exp(noise), False)):
        tag.values[100] = tag.normal[100] * factor
        assert is_visible(tag, replace(spike, within=100)) is floor_lies_below
    tag.values[100] = tag.normal[100] + 0.5
    assert not is_visible(tag, spike)


def test_power_is_the_distance_from_what_the_day_before_let_expect() -> None:
    month = make_labelled()
    tag, spike = month.tags[0], month.incidents[0]
    tag.values[100] = tag.normal[100] * math.exp(3.0 * tag.habit.noise)
    # The day after the spike lies off what half of the spike let expect, by the other half of what was planted.
    assert power(tag, replace(spike, within=100)) == pytest.approx(3.0 / math.sqrt(0.75))
    assert power(tag, spike) == pytest.approx(3.0 * math.sqrt(1.25 / 0.75))


def test_the_oracle_finds_what_is_visible_and_hardly_anything_else() -> None:
    month = make_month(9, DAY, 60)
    seen = views(month.tags, arrivals(month.tags, 9))
    total = score(month, *alarms_of(strengths(month, seen), seen, 4.4))
    assert total.visible.recall > 0.8
    assert total.visible.precision(total.false) > 0.8


def test_of_what_was_told_as_it_came_the_withdrawn_and_the_missing_are_counted() -> None:
    month = make_labelled()
    tag = month.tags[0]
    for period in range(200, 204):
        tag.values[period] = None
    gap = Incident(
        tag=tag.name, kind=Kind.MISSING, first=200, last=203, within=205, settled=206, rises=None, size=math.inf
    )
    month = replace(month, incidents=[*month.incidents, gap])
    told = deliver(month, arrivals(month.tags, 8), PolicyBook((Policy(),))).told
    assert (told.planted, len(told.delays), told.as_drop) == (1, 1, 0)
    assert 2 <= told.delays[0] <= 7
    assert told.withdrawn <= told.by_value
    twice = Told()
    for _ in range(2):
        twice.add(told)
    assert (twice.by_value, twice.false, twice.delays) == (2 * told.by_value, 2 * told.false, told.delays * 2)


def test_what_a_restatement_brings_to_light_after_days_is_told_to_nobody() -> None:
    month = make_month(9, DAY, 1)
    (tag,) = month.tags
    begin = arrivals(month.tags, 9)
    for days, heard in ((1, True), (9, False)):
        at = tag.calendar[200].at + (1 + days) * DAY
        late = Arrival(at=at, tag=0, period=200, revision=99, value=5.0 * tag.normal[200])
        found = deliver(month, sorted([*begin, late]), PolicyBook((Policy(),)))
        assert any(alarm.period == 200 for alarm in found.alarms[tag.name]) is heard
        assert (found.told.old_news > 0) is not heard

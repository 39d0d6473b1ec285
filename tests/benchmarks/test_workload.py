"""What the contenders are given: the same facts each time, and a state that our worker takes as its own."""

from itertools import islice

from benchmarks.workload import PADDING, Record, Workload, facts, series_name, states
from connectors.facts import Fold, decode_fact
from service.core.engine import Engine
from service.core.policies import PolicyBook
from service.settings import Policy


def restored(series: int) -> Engine:
    engine = Engine(policies=PolicyBook((Policy(),)))
    for key, snapshot in states(series):
        engine.restore(key, snapshot)
    return engine


def test_facts_are_the_same_each_time() -> None:
    work = Workload(facts=50, series=3)
    assert list(facts(work)) == list(facts(work))


def test_as_many_facts_as_asked_for_of_all_series() -> None:
    found = list(facts(Workload(facts=1_000, series=5, reports_per_day=10)))
    assert len(found) == 1_000
    assert {fact.series for fact in found} == {series_name(number) for number in range(5)}


def test_running_totals_rise_within_a_day() -> None:
    found = list(islice(facts(Workload(facts=20, series=1, reports_per_day=20)), 20))
    assert [fact.value for fact in found] == sorted(fact.value for fact in found)
    assert [fact.revision for fact in found] == list(range(1, 21))


def test_events_carry_ids_of_their_own() -> None:
    found = list(facts(Workload(facts=200, series=1, reports_per_day=20, fold=Fold.ADD)))
    assert len({fact.event_id for fact in found}) == 200


def test_worker_goes_on_from_the_history() -> None:
    engine = restored(4)
    assert len(engine) == 4
    records = [Record(PADDING + place, fact) for place, fact in enumerate(facts(Workload(facts=800, series=4)))]
    engine.apply(records)
    assert (engine.stats.facts, engine.stats.skipped, engine.stats.cold_starts) == (800, 0, 0)
    assert engine.stats.closed == 8  # two midnights
    assert not engine.take_rejects()


def test_history_is_long_enough_to_judge() -> None:
    engine = restored(1)
    (first,) = facts(Workload(facts=1, series=1))
    engine.apply([Record(PADDING, first), Record(PADDING + 1, decode_fact(jump(first.charge_period_start)))])
    assert [alert.series for alert in engine.take_alerts()] == [series_name(0)]


def jump(at: str) -> bytes:
    return (
        f'{{"series":"{series_name(0)}","charge_period_start":"{at}","value":4000,'
        '"origin":"meter:eu-1","revision":90,"basis":"estimated"}'
    ).encode()

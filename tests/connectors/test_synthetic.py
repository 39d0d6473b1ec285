import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest

from connectors.connector import ContinuousConnector, CursorError, FactBatch
from connectors.facts import Fact
from connectors.series import Grain, SeriesKey
from connectors.synthetic import SyntheticConnector, SyntheticOptions, plan, write_truth
from connectors.synthetic_incidents import Incident, IncidentKind
from tests.clock import FakeTime
from tests.connectors.sinks import fold

OPTIONS = SyntheticOptions(name="synthetic")


async def read(
    options: SyntheticOptions = OPTIONS, cursor: str | None = None, speed: float | None = None
) -> list[FactBatch]:
    time = FakeTime()
    connector = SyntheticConnector(options, speed=speed, clock=time.clock, sleep=time.sleep)
    return [batch async for batch in connector.batches(cursor)]


def facts_of(batches: list[FactBatch]) -> list[Fact]:
    return [fact for batch in batches for fact in batch.facts]


def final(facts: list[Fact]) -> dict[str, dict[str, float]]:
    """series -> start -> what was said last."""
    found: dict[str, dict[str, tuple[int, float]]] = defaultdict(dict)
    for fact in facts:
        said = fact.revision, fact.value
        found[fact.series][fact.charge_period_start] = max(said, found[fact.series].get(fact.charge_period_start, said))
    return {name: {start: value for start, (_, value) in days.items()} for name, days in found.items()}


async def test_the_same_options_give_the_same_facts() -> None:
    assert await read() == await read()


async def test_another_seed_gives_other_facts() -> None:
    assert facts_of(await read()) != facts_of(await read(replace(OPTIONS, seed=8)))


def test_it_is_a_continuous_connector() -> None:
    assert isinstance(SyntheticConnector(OPTIONS), ContinuousConnector)


@pytest.mark.parametrize("options", [OPTIONS, replace(OPTIONS, grain=Grain.HOUR, days=4, history_days=2)], ids=str)
async def test_a_cursor_goes_on_exactly(options: SyntheticOptions) -> None:
    batches = await read(options)
    for taken in (0, 1, len(batches) // 2, len(batches) - 1):
        rest = await read(options, batches[taken].cursor)
        assert rest == batches[taken + 1 :]


async def test_a_cursor_of_other_options_is_refused() -> None:
    cursor = (await read(replace(OPTIONS, seed=8)))[0].cursor
    with pytest.raises(CursorError, match="give a changed connector another name"):
        await read(OPTIONS, cursor)


async def test_the_labels_are_never_in_the_stream() -> None:
    text = repr(facts_of(await read()))
    assert not [kind for kind in IncidentKind if f"'{kind.value}'" in text or "incident" in text]


@pytest.mark.parametrize("seed", [1, 7, 42, 20261123])
def test_six_incidents_of_three_kinds_on_several_dimensions(seed: int) -> None:
    incidents = plan(replace(OPTIONS, seed=seed))
    assert len(incidents) >= 6
    assert {incident.kind for incident in incidents} >= {"spike", "level_shift", "drop"}
    assert len({incident.dimension for incident in incidents}) >= 3
    targets = [(incident.dimension, incident.tag) for incident in incidents]
    assert len(set(targets)) == len(targets)


def test_the_first_incident_is_on_the_second_live_day() -> None:
    assert plan(OPTIONS)[0].start == "2026-09-29T00:00:00Z"


def test_few_tags_or_days_leave_out_what_does_not_fit() -> None:
    assert 1 <= len(plan(replace(OPTIONS, tags=2))) < 6
    assert len(plan(replace(OPTIONS, days=5))) < 6
    assert plan(replace(OPTIONS, tags=1, days=1)) == []


@pytest.mark.parametrize("seed", [1, 7, 42, 20261123])
async def test_what_must_alert_moves_far_beyond_its_own_noise(seed: int) -> None:
    options = replace(OPTIONS, seed=seed)
    spend = final(facts_of(await read(options)))
    for incident in plan(options):
        (series,) = incident.must
        days = spend[series]
        before = [value for start, value in sorted(days.items()) if start < incident.start][-28:]
        usual = median(before)
        for start in [start for start in days if incident.start <= start < incident.end]:
            change = days[start] / usual - 1
            assert change < -0.5 if incident.kind == "drop" else change > 0.5, (incident, start, change)
        assert (incident.amount < 0) == (incident.kind == "drop")


async def test_no_incident_disturbs_the_series_of_another() -> None:
    incidents = plan(OPTIONS)
    spend = final(facts_of(await read()))
    for incident in incidents:
        days = sorted(spend[incident.must[0]].items())
        quiet = [value for start, value in days if start < incident.start][-14:]
        assert max(quiet) / median(quiet) < 1.35
        assert min(quiet) / median(quiet) > 0.65


def test_what_must_alert_is_never_only_allowed_to() -> None:
    for incident in plan(OPTIONS):
        assert incident.must
        assert not set(incident.must) & set(incident.may)
        assert all(SeriesKey.parse(series) for series in (*incident.must, *incident.may))
        assert "default/effective_cost/USD/1d/total=" in incident.may or incident.kind == "spike"


async def test_a_day_fills_up_in_revisions() -> None:
    incident = plan(OPTIONS)[0]
    stated = [
        f for f in facts_of(await read()) if f.series == incident.must[0] and f.charge_period_start == incident.start
    ]
    assert [fact.revision for fact in stated[:3]] == [1, 2, 3]
    whole = stated[2].value
    assert [fact.value / whole for fact in stated[:2]] == [pytest.approx(0.4, abs=1e-3), pytest.approx(0.75, abs=1e-3)]


async def test_the_watermark_moves_with_whole_days_only() -> None:
    batches = await read()
    live = batches[-90:]
    assert [batch.watermark is None for batch in live[:6]] == [True, True, False, True, True, False]
    assert batches[-1].watermark == "2026-10-28T00:00:00Z"
    watermarks = [batch.watermark for batch in batches if batch.watermark]
    assert watermarks == sorted(watermarks)


async def test_some_days_are_corrected_a_little_later() -> None:
    facts = facts_of(await read())
    corrections = [fact for fact in facts if fact.revision == 4]
    assert corrections
    by_bucket = {(f.series, f.charge_period_start): f.value for f in facts if f.revision == 3}
    for fact in corrections:
        assert fact.value == pytest.approx(by_bucket[fact.series, fact.charge_period_start], rel=0.02)


async def test_the_parts_add_up_to_the_total() -> None:
    known = fold(facts_of(await read()))
    for dimension in ("tag:team", "tag:project", "tag:customer_id", "service_name"):
        sums: dict[str, float] = defaultdict(float)
        for (series, start), value in known.items():
            key = SeriesKey.parse(series)
            if key.dimension == dimension and key.metric == "effective_cost":
                sums[start] += value
        for start, value in sums.items():
            assert value == pytest.approx(known["default/effective_cost/USD/1d/total=", start], abs=0.01)


async def test_a_spike_names_its_new_resource_as_driver() -> None:
    incident = plan(OPTIONS)[0]
    fact = [
        f for f in facts_of(await read()) if f.series == incident.must[0] and f.charge_period_start == incident.start
    ][2]
    assert fact.drivers[0].labels["sku_id"] == "BoxUsage:p4d.24xlarge"
    assert fact.drivers[0].cost == pytest.approx(incident.amount, abs=0.01)
    assert [driver.cost for driver in fact.drivers] == sorted((driver.cost for driver in fact.drivers), reverse=True)
    assert sum(driver.cost for driver in fact.drivers) <= fact.value + 0.01


async def test_what_is_switched_off_is_billed_zero() -> None:
    incident = next(incident for incident in plan(OPTIONS) if incident.dimension == "tag:customer_id")
    days = final(facts_of(await read()))[incident.must[0]]
    assert {value for start, value in days.items() if incident.start <= start < incident.end} == {0.0}


async def test_live_days_pass_at_their_speed() -> None:
    time = FakeTime()
    connector = SyntheticConnector(replace(OPTIONS, days=11), speed=2.0, clock=time.clock, sleep=time.sleep)
    [batch async for batch in connector.batches(None)]
    assert time.now == pytest.approx(1000.0 + (11 - 0.4) / 2)


async def test_the_truth_is_written_beside_the_stream(tmp_path: Path) -> None:
    connector = SyntheticConnector(OPTIONS, truth_path=tmp_path / "truth.json")
    async for _ in connector.batches(None):
        break
    truth = json.loads((tmp_path / "truth.json").read_text())
    assert truth["synthetic"] is True
    assert len(truth["incidents"]) == len(plan(OPTIONS))
    assert {decoy["kind"] for decoy in truth["decoys"]} == {"holiday", "credit", "restatement", "partial_days"}
    write_truth(OPTIONS, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "truth.json").read_bytes()


@pytest.mark.parametrize("kind", ["creep", "new_tag"])
async def test_optional_kinds_are_planted_on_demand(kind: str) -> None:
    options = replace(OPTIONS, tags=24, creep=kind == "creep", new_tag=kind == "new_tag")
    (incident,) = [incident for incident in plan(options) if incident.kind == kind]
    days = sorted(final(facts_of(await read(options)))[incident.must[0]].items())
    felt = [value for start, value in days if start >= incident.start]
    if kind == "creep":
        assert felt[-1] / felt[0] == pytest.approx(1.03 ** (len(felt) - 1), rel=0.35)
    else:
        assert days[0][0] == incident.start
        assert felt[0] == pytest.approx(6287, rel=0.01)


async def test_hourly_spend_has_its_hours() -> None:
    options = replace(OPTIONS, grain=Grain.HOUR, history_days=3, days=3)
    known = fold(facts_of(await read(options)))
    total = {start: value for (series, start), value in known.items() if series.endswith("/1h/total=")}
    assert len(total) == 6 * 24


def test_a_grain_without_a_calendar_is_refused() -> None:
    with pytest.raises(ValueError, match="synthetic spend has a grain of 1h or 1d, got 5m"):
        plan(replace(OPTIONS, grain=Grain.FIVE_MINUTES))


def test_an_incident_is_plain_data() -> None:
    incident = plan(OPTIONS)[0]
    assert isinstance(incident, Incident)
    assert incident.end > incident.start

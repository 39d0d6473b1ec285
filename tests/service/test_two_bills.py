"""Two sources that feed the same series: what the runner publishes, in its order, is judged by an engine.

The second bill changes every past day of the series, day by day. Half of that looks like a new level."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from connectors.checkpoint import Checkpoint
from connectors.connector import Connector, ContinuousConnector, Delivery
from connectors.facts import Fact, Watermark
from connectors.metrics import ConnectorMetrics
from connectors.runner import Runner
from connectors.synthetic import SyntheticConnector, SyntheticOptions
from service.core.alerts import Alert, AlertKind
from service.core.engine import Engine
from service.core.policies import PolicyBook
from service.settings import Policy
from tests.connectors.sinks import ListConnector, RecordingSink
from tests.service.core.support import Feed, day

DAYS = 50
SPIKE_ON = 30
TEAMS = {"search": 400.0, "ads": 250.0, "data": 90.0}


def bill(name: str, share: float, *, spike: float = 1.0) -> ListConnector:
    """One delivery of 50 days. share: of each team's spend; spike: by what search's is multiplied on one day."""
    facts = tuple(
        Fact(
            series=f"default/effective_cost/USD/1d/tag:team={team}",
            charge_period_start=day(number),
            # A few percent of noise, the same in every run.
            value=round(cost * share * (1 + (number * 7 % 5 - 2) / 100) * factor, 2),
            origin=f"{name}:all.csv",
        )
        for number in range(DAYS)
        for team, cost in sorted(TEAMS.items())
        for factor in (spike if (team, number) == ("search", SPIKE_ON) else 1.0,)
    )
    delivery = Delivery(
        origin=f"{name}:all.csv",
        revision=1,
        facts=facts,
        complete_until=day(DAYS),
        bad=(),
        rows=len(facts),
        fingerprint=name,
    )
    return ListConnector(items=[delivery], name=name)


async def published(path: Path, *sources: Connector | ContinuousConnector) -> list[Fact | Watermark]:
    """What a first run of these connectors sends, one after the other."""
    sink = RecordingSink()
    with Checkpoint(path / "checkpoint.db") as checkpoint:
        runner = Runner(sink, checkpoint, ConnectorMetrics(CollectorRegistry()))
        for source in sources:
            await runner.run_once(source)
    return [message for message in sink.sent if isinstance(message, Fact | Watermark)]


def judged(messages: list[Fact | Watermark], *, batch: int) -> list[Alert]:
    """Every version of every alert."""
    feed = Feed(Engine(policies=PolicyBook((Policy(),))))
    for first in range(0, len(messages), batch):
        feed.send(*messages[first : first + batch])
    return feed.alerts


@pytest.mark.parametrize("batch", [1, 7, 10_000])
async def test_two_clean_bills_raise_nothing(tmp_path: Path, batch: int) -> None:
    messages = await published(tmp_path, bill("aws", 0.6), bill("azure", 0.4))
    assert judged(messages, batch=batch) == []


@pytest.mark.parametrize("batch", [1, 7, 10_000])
@pytest.mark.parametrize("spiking", ["aws", "azure"])
async def test_a_spike_in_one_of_two_bills_is_one_alert(tmp_path: Path, spiking: str, batch: int) -> None:
    bills = [bill(name, share, spike=4.0 if name == spiking else 1.0) for name, share in (("aws", 0.6), ("azure", 0.4))]
    alerts = judged(await published(tmp_path, *bills), batch=batch)
    assert {(alert.kind, alert.labels["team"], alert.starts_at.isoformat()[:10]) for alert in alerts} == {
        (AlertKind.SPIKE, "search", day(SPIKE_ON)[:10])
    }
    assert len({alert.id for alert in alerts}) == 1


async def test_bills_that_are_published_side_by_side_raise_nothing(tmp_path: Path) -> None:
    streams = [await published(tmp_path, bill(name, share)) for name, share in (("aws", 0.6), ("azure", 0.4))]
    interleaved = [message for pair in zip(*streams, strict=True) for message in pair]
    assert judged(interleaved, batch=100) == []


async def test_the_bills_of_three_accounts_raise_nothing(tmp_path: Path) -> None:
    messages = await published(tmp_path, *(bill(name, 1 / 3) for name in ("eu", "us", "asia")))
    assert judged(messages, batch=100) == []


async def test_the_history_of_a_second_synthetic_source_raises_nothing(tmp_path: Path) -> None:
    """Only its history: the live day of the first source is over before the second one has said anything of it."""
    options = [SyntheticOptions(name=name, seed=seed, days=1) for name, seed in (("one", 7), ("two", 8))]
    messages = await published(tmp_path, *(SyntheticConnector(option) for option in options))
    alerts = judged(messages, batch=100)
    assert [alert for alert in alerts if alert.starts_at.date() < options[0].first_live_day] == []

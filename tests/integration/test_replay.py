"""A topic replayed: byte-identical to what the running worker made of it, feedback included."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from connectors.facts import FeedbackVerdict, encode, key_of
from service.core.alerts import Alert
from service.core.feedback import feedback_of
from service.replay.command import Request, replay
from service.replay.errors import ReplayError
from service.replay.rows import in_order, json_line
from tests.integration.stream_process import read_store
from tests.integration.stream_support import BROKERS, Deployment, days_of_spend, deployed, running_broker


@pytest.fixture(params=BROKERS, scope="module")
def broker(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    with running_broker(request.param) as servers:
        yield servers, request.param


@pytest.fixture
async def deployment(broker: tuple[str, str], tmp_path: Path) -> AsyncIterator[Deployment]:
    async with deployed(*broker, tmp_path) as made:
        yield made


def latest(alerts: list[Alert]) -> list[Alert]:
    kept: dict[str, Alert] = {}
    for alert in alerts:
        if alert.id not in kept or alert.version > kept[alert.id].version:
            kept[alert.id] = alert
    return in_order(kept.values())


async def test_a_topic_says_what_the_live_run_said(
    deployment: Deployment, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await deployment.create()
    worker = deployment.start_worker(real_engine=True)
    await deployment.ready(worker)
    for messages in days_of_spend(40):
        await deployment.send(messages)
    await deployment.all_is_committed()
    first, second, third, *_ = latest(read_store(deployment.store))
    said = zip((first, second, third), FeedbackVerdict, strict=True)
    await deployment.send(
        (key_of(feedback), encode(feedback)) for feedback in (feedback_of(*one, revision=1) for one in said)
    )
    await deployment.all_is_committed()
    live = latest(read_store(deployment.store))
    assert {alert.feedback for alert in live} == {None, *FeedbackVerdict}

    config = tmp_path / "spendwatch.yaml"
    config.write_text(yaml.safe_dump(deployment.raw_settings))
    monkeypatch.delenv("SPENDWATCH_CONFIG", raising=False)
    capsys.readouterr()
    assert await replay(Request(config=config, topic="", as_json=True)) == 0
    assert capsys.readouterr().out == "".join(f"{json_line(alert)}\n" for alert in live)

    with pytest.raises(ReplayError, match=r"holds no record from 2100-01-01T00:00:00Z"):
        await replay(Request(config=config, topic="", since=datetime(2100, 1, 1, tzinfo=UTC)))
    with pytest.raises(ReplayError, match=r"has no topic 'elsewhere'"):
        await replay(Request(config=config, topic="elsewhere"))
    capsys.readouterr()
    assert await replay(Request(config=config, topic="", quiet_days=3, as_json=True)) == 0
    assert json.loads(capsys.readouterr().out)["quiet_days"] == 3

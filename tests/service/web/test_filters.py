"""Filters mean the same to the live stream and to the store's listing."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from service.core.alerts import AlertState, Severity
from service.store.sql import SqlStore
from service.store.store import AlertQuery
from service.web.errors import ProblemError
from service.web.filters import matches, parse_labels
from tests.builders import make_alert
from tests.clock import NOON, FakeClock


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    clock = FakeClock()
    store = SqlStore(f"sqlite+aiosqlite:///{tmp_path}/alerts.db", routes=lambda alert: (), clock=clock)
    await store.migrate()
    await store.record([make_alert("a1"), make_alert("a2", team="Ünï_100%", severity=Severity.LOW)])
    clock.move(timedelta(hours=1))
    await store.record([make_alert("a3", team="data", tenant="acme", reason="Backfill of 2023")])
    await store.acknowledge("a3", actor="dana", comment="", at=clock.now())
    await store.assign("a3", to="bob", actor="dana", comment="", at=clock.now())
    yield store
    await store.close()


@pytest.mark.parametrize(
    "query",
    [
        AlertQuery(),
        AlertQuery(states=(AlertState.FIRING,)),
        AlertQuery(states=(AlertState.FIRING, AlertState.ACKNOWLEDGED)),
        AlertQuery(severities=(Severity.LOW, Severity.CRITICAL)),
        AlertQuery(tenant="acme"),
        AlertQuery(labels={"team": "data"}),
        AlertQuery(labels={"team": "data", "grain": "1h"}),
        AlertQuery(labels={"nothing": "data"}),
        AlertQuery(text="backFILL"),
        AlertQuery(text="tag:team=d"),
        AlertQuery(text="_100%"),
        AlertQuery(text="a%a"),
        AlertQuery(since=NOON + timedelta(minutes=30)),
        AlertQuery(since=NOON),
        AlertQuery(assigned_to="bob"),
        AlertQuery(assigned_to="Bob"),
        AlertQuery(unassigned=True),
    ],
    ids=repr,
)
async def test_stream_and_listing_agree(store: SqlStore, query: AlertQuery) -> None:
    everything = (await store.find(AlertQuery())).items
    assert len(everything) == 3
    listed = [record.alert.id for record in (await store.find(query)).items]
    assert [record.alert.id for record in everything if matches(query, record)] == listed


def test_colon_belongs_to_the_value_unless_escaped() -> None:
    assert parse_labels(["team:a:b"]) == {"team": "a:b"}
    assert parse_labels([r"aws\:createdBy:me"]) == {"aws:createdBy": "me"}
    assert parse_labels(["team:"]) == {"team": ""}
    assert parse_labels(["team:a", "team:a"]) == {"team": "a"}


@pytest.mark.parametrize("texts", [["team"], [":x"], ["team:a", "team:b"]])
def test_label_that_cannot_be_is_refused(texts: list[str]) -> None:
    with pytest.raises(ProblemError, match="query label"):
        parse_labels(texts)

"""A process that warns of silences and stands still at one point until it is killed: run by test_expiry.py."""

import asyncio
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import event

from service.delivery.expiry import ExpiryWatch
from service.digests.expiry import ExpiryWarning
from service.store.sql import SqlStore
from tests.builders import everyone
from tests.clock import NOON, FakeClock
from tests.service.delivery.killed import stand_still

HOUR = timedelta(hours=1)


class AfterWriting(SqlStore):
    async def warn_of_expiry(self, *, at: datetime, within: timedelta, receivers: Sequence[str]) -> list[ExpiryWarning]:
        assert await super().warn_of_expiry(at=at, within=within, receivers=receivers)
        await stand_still("written")
        raise AssertionError("nobody wakes it")


def stop_before(store: SqlStore, statement: str, point: str) -> None:
    """Within the transaction."""

    def before(_connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        if text.startswith(statement):
            sys.stdout.write(f"{point}\n")
            sys.stdout.flush()
            time.sleep(60)

    event.listen(store._database._engine.sync_engine, "before_cursor_execute", before)


async def main(point: str, database: str) -> None:
    clock = FakeClock(NOON + 7 * HOUR)
    kind = AfterWriting if point == "written" else SqlStore
    store = kind(database, routes=everyone(), clock=clock)
    if point == "decided":
        stop_before(store, "INSERT INTO letters", point)
    if point == "half":
        stop_before(store, "INSERT INTO deliveries", point)
    await ExpiryWatch(store, clock, within=HOUR, receivers=["ops-chat", "mail"]).look()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

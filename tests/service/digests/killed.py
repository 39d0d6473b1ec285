"""A process that looks after digests and stands still at one point until it is killed: run by test_post.py."""

import asyncio
import sys
from collections.abc import Sequence
from datetime import datetime

from prometheus_client import CollectorRegistry

from service.digests.post import DigestMetrics, Post
from service.store.sql import SqlStore
from service.store.store import DigestState, Letter
from tests.builders import everyone
from tests.clock import FakeClock
from tests.service.delivery.killed import stand_still
from tests.service.digests.builders import MONDAY, make_settings


class BeforePost(SqlStore):
    async def post(
        self, letters: Sequence[Letter], *, name: str, was: DigestState, becomes: DigestState, at: datetime
    ) -> bool:
        await stand_still("made")
        raise AssertionError("nobody wakes it")


class AfterPost(SqlStore):
    async def post(
        self, letters: Sequence[Letter], *, name: str, was: DigestState, becomes: DigestState, at: datetime
    ) -> bool:
        assert await super().post(letters, name=name, was=was, becomes=becomes, at=at)
        await stand_still("posted")
        raise AssertionError("nobody wakes it")


async def main(point: str, database: str) -> None:
    kind = BeforePost if point == "made" else AfterPost
    settings = make_settings(receivers=["desk", "mail"], to={"search": "desk"})
    store = kind(database, routes=everyone(), clock=FakeClock(MONDAY))
    metrics = DigestMetrics(CollectorRegistry(), ["weekly"])
    await Post([settings], store, FakeClock(MONDAY), metrics, tenant="default").look()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

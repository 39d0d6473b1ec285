"""A running world and a client for it."""

from collections.abc import AsyncIterator

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from tests.service.web.builders import BASE_URL, World

Client = AsyncTestClient[Litestar]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    async with AsyncTestClient(world.app, base_url=BASE_URL) as client:
        yield client

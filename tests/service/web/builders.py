"""Applications of which a test states only what matters."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from litestar import Litestar
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from connectors.facts import Fact, Feedback
from service.settings import Api, Settings, Silences
from service.store.live import LiveHub
from service.web.api import create_api
from tests.clock import FakeClock
from tests.fakes import MemorySilences, MemoryStore

BASE_URL = "http://127.0.0.1:8321"
TOKEN = "correct-horse-battery-staple"


@dataclass(kw_only=True)
class World:
    """An application and what it stands on. publish_error: raised by the next publishing."""

    token: str | None = None
    public_url: str | None = None
    expires_soon_seconds: int = 3600
    clock: FakeClock = field(default_factory=FakeClock)
    dependencies: dict[str, str | None] = field(default_factory=lambda: {"kafka": None, "store": None})
    published: list[Fact | Feedback] = field(default_factory=list)
    publish_error: Exception | None = None
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)
        self.silences = MemorySilences()
        self.hub = LiveHub(self.store, poll_seconds=0.01)
        api = Api(token=SecretStr(self.token) if self.token else None, public_url=self.public_url)
        self.app: Litestar = create_api(
            settings=Settings(api=api, silences=Silences(expires_soon_seconds=self.expires_soon_seconds)),
            store=self.store,
            outbox=self.store,
            inbox=self.store,
            silences=self.silences,
            hub=self.hub,
            publish=self.publish,
            registry=self.registry,
            clock=self.clock,
            ready=lambda: self.dependencies,
        )

    @property
    def facts(self) -> list[Fact]:
        return [message for message in self.published if isinstance(message, Fact)]

    async def publish(self, facts: Sequence[Fact | Feedback]) -> None:
        if self.publish_error is not None:
            raise self.publish_error
        self.published.extend(facts)

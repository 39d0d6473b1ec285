"""Alerts and applications of which a test states only what matters."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from litestar import Litestar
from msgspec.structs import replace
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from connectors.facts import Basis, Fact
from connectors.series import Grain, SeriesKey
from service.core.alerts import Alert, AlertKind, AlertStatus, DriverChange, Point, Severity
from service.settings import Api, Settings
from service.store.live import LiveHub
from service.web.api import create_api
from tests.clock import NOON, FakeClock
from tests.fakes import MemoryStore

BASE_URL = "http://127.0.0.1:8321"
TOKEN = "correct-horse-battery-staple"


def make_alert(alert_id: str = "a1", *, team: str = "search", **changes: object) -> Alert:
    """A spike of team search: 412.50 USD on a day that should have cost about 120."""
    series = str(SeriesKey(metric="effective_cost", unit="USD", grain=Grain.DAY, dimension="tag:team", value=team))
    start = NOON - timedelta(hours=12)
    history = tuple(
        Point(at=start - timedelta(days=20 - day), actual=118.0 + day % 7, expected=120.0, lower=95.0, upper=145.0)
        for day in range(20)
    )
    worst = Point(at=start, actual=412.5, expected=120.0, lower=95.0, upper=145.0, abnormal=True)
    alert = Alert(
        id=alert_id,
        version=1,
        status=AlertStatus.FIRING,
        kind=AlertKind.SPIKE,
        severity=Severity.HIGH,
        tenant="default",
        series=series,
        labels={"team": team, "metric": "effective_cost", "grain": "1d"},
        metric="effective_cost",
        unit="USD",
        grain="1d",
        basis=Basis.BILLED,
        detector="seasonal",
        starts_at=start,
        ends_at=None,
        judged_at=start + timedelta(hours=6),
        actual=412.5,
        expected=120.0,
        lower=95.0,
        upper=145.0,
        score=0.97,
        impact=292.5,
        buckets=1,
        drivers=(
            DriverChange(labels={"service_name": "Amazon EC2"}, change=260.0, before=80.0, now=340.0),
            DriverChange(labels={"other": "true"}, change=32.5, before=40.0, now=72.5),
        ),
        reason=f"team {team} cost 412.50 USD on 2024-09-18, 3.4 times what was expected.",
        action="Look at the instances started since 2024-09-17.",
        history=(*history, worst),
    )
    return replace(alert, **changes)


@dataclass(kw_only=True)
class World:
    """An application and what it stands on. publish_error: raised by the next publishing."""

    token: str | None = None
    public_url: str | None = None
    clock: FakeClock = field(default_factory=FakeClock)
    dependencies: dict[str, str | None] = field(default_factory=lambda: {"kafka": None, "store": None})
    published: list[Fact] = field(default_factory=list)
    publish_error: Exception | None = None
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)
        self.hub = LiveHub(self.store, poll_seconds=0.01)
        api = Api(token=SecretStr(self.token) if self.token else None, public_url=self.public_url)
        self.app: Litestar = create_api(
            settings=Settings(api=api),
            store=self.store,
            outbox=self.store,
            hub=self.hub,
            publish=self.publish,
            registry=self.registry,
            clock=self.clock,
            ready=lambda: self.dependencies,
        )

    async def publish(self, facts: Sequence[Fact]) -> None:
        if self.publish_error is not None:
            raise self.publish_error
        self.published.extend(facts)

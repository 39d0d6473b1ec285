"""Everything a user can set: the shape of the configuration file and of the environment.

One YAML file (`--config`, SPENDWATCH_CONFIG) plus the environment, which wins: SPENDWATCH_KAFKA__BOOTSTRAP_SERVERS sets
`kafka.bootstrap_servers`. A secret `x` may be given as `x_file` instead, a path whose content is the secret.
service/config.py reads both; service/receiver_settings.py and service/routing_settings.py hold what can be set of
receivers and of who hears what.
"""

from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.series import Grain
from service.receiver_settings import Receiver
from service.routing_settings import InhibitRule, Maintenance, Route, TimeIntervals
from service.section import Section


class Kafka(Section):
    """bootstrap_servers: None lets `spendwatch up` start the embedded broker; the other commands need one."""

    bootstrap_servers: str | None = None
    topic_prefix: str = "spendwatch"
    group: str = "spendwatch"
    partitions: int = Field(default=4, ge=1, le=512)
    replication_factor: int = Field(default=1, ge=1)


class Store(Section):
    """url: SQLAlchemy's; sqlite+aiosqlite:///path for one machine, postgresql+asyncpg://... beyond it.

    A url with a password in it is better kept in a file: url_file."""

    url: str = Field(default="sqlite+aiosqlite:///spendwatch.db", repr=False)
    url_file: Path | None = None


class Redis(Section):
    """url: None lets `spendwatch up` start the embedded Valkey; the other commands then run without a cache."""

    url: SecretStr | None = None
    url_file: Path | None = None


class Api(Section):
    """token: bearer token for everything but health and metrics; required when `host` is not loopback.
    public_url: where people reach the dashboard; links in notifications begin with it."""

    host: str = "127.0.0.1"
    port: int = Field(default=8321, ge=0, le=65535)
    public_url: str | None = None
    token: SecretStr | None = None
    token_file: Path | None = None

    @model_validator(mode="after")
    def _is_not_open_to_everyone(self) -> "Api":
        if self.token is None and self.host not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError(f"host {self.host} is reachable from outside: set token or token_file")
        return self


class Worker(Section):
    """session_timeout_seconds: how long Kafka waits for a silent worker before others take its partitions.
    rebalance_timeout_seconds: how long workers may take to drain when partitions move. dead_letter_limit,
    dead_letter_ratio: the worker stops when so many facts of a partition in a row are unreadable, or more than this
    part of its last 20,000. start_cold: begin with empty state where the state topic does not reach as far as the
    committed offsets. max_memory_mb: resident size at which the worker ends, to be started again.
    Apache Kafka takes session time-outs of 6 s and more.
    """

    metrics_port: int = Field(default=8322, ge=0, le=65535)
    checkpoint_seconds: float = Field(default=2.0, gt=0, le=60)
    max_poll_records: int = Field(default=10000, ge=1)
    shutdown_seconds: float = Field(default=10.0, gt=0)
    session_timeout_seconds: float = Field(default=30.0, ge=1, le=300)
    rebalance_timeout_seconds: float = Field(default=60.0, ge=1, le=3600)
    dead_letter_limit: int = Field(default=5000, ge=1)
    dead_letter_ratio: float = Field(default=0.5, gt=0, le=1)
    start_cold: bool = False
    max_memory_mb: int | None = Field(default=None, ge=64)


class Deliver(Section):
    metrics_port: int = Field(default=8323, ge=0, le=65535)
    poll_seconds: float = Field(default=0.5, gt=0)


class Dispatch(Section):
    """Who is told of an alert when it opens (docs/alerts.md).

    pending_seconds: how long an alert waits before anybody is told, so that what belongs together comes together, and
    what is over at once is not heard of. same_money: one incident shows as team, project, service and total; tell each
    receiver of one of them. ended_within_days: what a late bill brings to light is told though it is over, if it was
    not over for longer than this; older news stand on the dashboard.
    """

    pending_seconds: float = Field(default=5.0, ge=0, le=3600)
    poll_seconds: float = Field(default=0.25, gt=0, le=60)
    same_money: bool = True
    ended_within_days: float = Field(default=3.0, ge=0, le=3650)


class Connect(Section):
    metrics_port: int = Field(default=8324, ge=0, le=65535)
    checkpoint_path: Path = Path("spendwatch-connectors.db")


class Split(Section):
    """Which series a billing line feeds: one per listed tag and dimension it carries, and the tenant's total.

    dimensions: FOCUS columns in snake case. drivers: columns that name what money was spent on, in alerts.
    untagged: lines without a listed tag feed that tag's `__untagged__` series, if another line of the same delivery
    carries the tag.
    """

    tags: tuple[str, ...] = ("team", "project", "environment", "cost_center", "customer_id")
    dimensions: tuple[str, ...] = ("service_name", "sub_account_id")
    drivers: tuple[str, ...] = ("service_name", "resource_id", "sub_account_id", "region_id", "sku_meter")
    total: bool = True
    untagged: bool = True
    grain: Grain = Grain.DAY
    metric: Literal["billed_cost", "effective_cost"] = "effective_cost"
    top_drivers: int = Field(default=5, ge=0, le=20)


class Match(Section):
    """Which series a policy is for; what is left out matches everything."""

    metric: str | None = None
    unit: str | None = None
    grain: Grain | None = None
    dimension: str | None = None
    value: str | None = None


class Policy(Section):
    """How the series that match are judged; the first policy that matches a series wins.

    detector: a name of `spendwatch check-config --detectors`; None: `usage` for usage metrics by the minute or five
        minutes, else `seasonal`. params: that detector's; without a name, those of `seasonal`.
    floor: smallest |actual - expected| worth an alert, in the unit of the series. A bucket below it is normal. None: 1,
        and 0.04 for hours: so much for a day is 1 as well.
    ring_buckets: how many past buckets may still be restated; None: 90 days, two weeks of hours, two days of five
        minutes, half a day of minutes.
    accept_after: so many abnormal buckets in a row are taken as the new normal; None: 7 days, three days of hours, a
        day of five minutes, six hours of minutes.
    lateness_seconds: how long after its end a bucket counts as complete. drops: judge falls too.
    spike_after, drop_after: so many high, or low, buckets in a row are told of; None: 2 for hours, and 2 for low days,
        since a credit or a late record is low once; 1 for others. What is beyond doubt is told of at once: a rise six
        times as far off as the bound, a fall to nothing.
    keep_firing_for, keep_firing_above: an alert goes on through so many buckets in a row that are missing, or back
        within the bound but still this part of the way from what is expected to it; None: 2 days, 3 hours, none of
        minutes; 0: the first normal bucket ends it. above 1: only missing ones. What a correction leaves this part of
        is resolved, and not withdrawn.
    new_spend_floor: what a new tag has to be on the way to cost per day, in the unit of the series, to be worth an
        alert; its peers can only raise it. None: new tags raise none.
    missing_after: so many complete buckets without a fact are missing, of a series that has facts in all the others;
        None: 2 days, 4 hours, an hour of five minutes, half an hour of minutes; 0: never.
    """

    match: Match = Match()
    detector: str | None = None
    params: dict[str, float | int | str | bool] = {}
    floor: float | None = Field(default=None, ge=0)
    ring_buckets: int | None = Field(default=None, ge=8, le=2048)
    accept_after: int | None = Field(default=None, ge=1)
    lateness_seconds: int = Field(default=0, ge=0)
    drops: bool = True
    spike_after: int | None = Field(default=None, ge=1)
    drop_after: int | None = Field(default=None, ge=1)
    keep_firing_for: int | None = Field(default=None, ge=0)
    keep_firing_above: float = Field(default=0.5, ge=0)
    new_spend_floor: float | None = Field(default=100.0, ge=0)
    missing_after: int | None = Field(default=None, ge=0)


class Budget(Section):
    """At most `pages` alerts in `days` days are told for each value of a label of the alerts, such as each team.

    What is beyond it is held back: listed with its cost, sent to nobody. label: as in a route; alerts without it share
    the value "". pages: 0 holds everything back.
    """

    label: str = "team"
    pages: int = Field(ge=0)
    days: float = Field(default=7.0, gt=0, le=366)


WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MINUTES_A_DAY = 24 * 60


class Digest(Section):
    """A letter that is not an alert: what each team spent, what changed, what is open, what the budget held back.

    by: the label that spend is told by, such as a tag or `service_name`. metric: the money that is added up.
    every, at, weekday, time_zone: when it is sent, on the clock of that place. lag_days: so many days before that are
    left out, because their bill is not there yet. receivers: get the overview of all values. to: value -> who gets the
    letter about that value alone. only: the values it is about; None: all. top: how many of each list are named.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    by: str = Field(default="team", min_length=1, max_length=64)
    metric: Literal["billed_cost", "effective_cost"] = "effective_cost"
    every: Literal["day", "week"] = "week"
    at: time = time(8)
    weekday: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = "monday"
    time_zone: str = "UTC"
    lag_days: int = Field(default=0, ge=0, le=14)
    receivers: tuple[str, ...] = ()
    to: dict[str, str | tuple[str, ...]] = {}
    only: tuple[str, ...] | None = None
    top: int = Field(default=5, ge=1, le=20)

    @field_validator("at", mode="before")
    @classmethod
    def _reads_a_clock(cls, value: object) -> object:
        """YAML reads an unquoted 18:30 as a number to the base of 60."""
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MINUTES_A_DAY:
            return time(*divmod(value, 60))
        return value

    @field_validator("at")
    @classmethod
    def _is_of_its_time_zone(cls, value: time) -> time:
        if value.tzinfo is not None or value.second or value.microsecond:
            raise ValueError("must be hours and minutes, such as 08:00; where they are told is time_zone")
        return value

    @field_validator("time_zone")
    @classmethod
    def _is_a_place(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (OSError, ValueError, KeyError):
            raise ValueError(f"must be a time zone such as Europe/Berlin, got {value[:100]!r}") from None
        return value

    @model_validator(mode="after")
    def _is_for_somebody(self) -> "Digest":
        if not self.receivers and not self.to:
            raise ValueError("set receivers, or `to` with the receivers of single values: nobody would get it")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """All receivers, each once."""
        single = (name for names in self.to.values() for name in ((names,) if isinstance(names, str) else names))
        return tuple(dict.fromkeys((*self.receivers, *single)))


class Silences(Section):
    """Of the silences, maintenance windows and plans that people make. expires_soon_seconds: so long before its end one
    is marked, and told of. tell: names of receivers that are told, once for each end; they have to carry letters."""

    expires_soon_seconds: int = Field(default=3600, ge=60, le=7 * 86_400)
    tell: tuple[str, ...] = ()

    @property
    def expires_soon(self) -> timedelta:
        return timedelta(seconds=self.expires_soon_seconds)


class FileConnector(Section):
    """Billing files. path: a file, a folder or a glob, read again whenever a file has changed.

    Each file is a delivery of its own that restates itself when it changes; exports that write every update under a
    new name need their manifest beside them, or the updates are added up.
    """

    type: Literal["focus", "cur"]
    name: str
    path: Path
    split: Split = Split()
    poll_seconds: float = Field(default=300.0, gt=0)
    once: bool = False


class MetricsFileConnector(Section):
    """`timestamp,value` CSV files of a metric, one series a file, sent as gauge facts.

    speed: None sends at once; n sends n seconds of event time a second, to replay a recording."""

    type: Literal["metric_csv"]
    name: str
    path: Path
    metric: str
    unit: str
    grain: Grain = Grain.FIVE_MINUTES
    dimension: str = "resource_id"
    speed: float | None = Field(default=None, gt=0)


class SyntheticConnector(Section):
    """Seeded spend with labelled incidents: for demos and benchmarks, never a claim about real money.

    history_days are sent at once, then `days` at `speed` days of event time per second.
    truth_path: where the labels of the planted incidents are written."""

    type: Literal["synthetic"]
    name: str
    seed: int = 7
    tags: int = Field(default=12, ge=1)
    history_days: int = Field(default=42, ge=0)
    days: int = Field(default=30, ge=1)
    speed: float | None = Field(default=None, gt=0)
    grain: Grain = Grain.DAY
    truth_path: Path | None = None


Connector = Annotated[FileConnector | MetricsFileConnector | SyntheticConnector, Field(discriminator="type")]


class Settings(Section):
    """The whole configuration.

    route: the root of the routing tree; None: every receiver hears of every alert.
    metrics_host: where worker, deliver and connect answer health and metrics; 0.0.0.0 inside a container."""

    tenant: str = "default"
    metrics_host: str = "127.0.0.1"
    kafka: Kafka = Kafka()
    store: Store = Store()
    redis: Redis = Redis()
    api: Api = Api()
    worker: Worker = Worker()
    deliver: Deliver = Deliver()
    dispatch: Dispatch = Dispatch()
    connect: Connect = Connect()
    split: Split = Split()
    policies: tuple[Policy, ...] = (Policy(),)
    receivers: tuple[Receiver, ...] = ()
    route: Route | None = None
    time_intervals: tuple[TimeIntervals, ...] = ()
    inhibit_rules: tuple[InhibitRule, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    silences: Silences = Silences()
    budgets: tuple[Budget, ...] = ()
    digests: tuple[Digest, ...] = ()
    connectors: tuple[Connector, ...] = ()
    max_new_values: int = Field(default=10_000, ge=1, description="new values of one dimension per tenant and hour")

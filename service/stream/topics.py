"""The topics of one deployment: names, partitions, clean-up. Creates what is missing, refuses what does not fit."""

from dataclasses import dataclass

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from service.core.spend import KEPT_DAYS
from service.errors import ConfigError, UnavailableError
from service.settings import Kafka

COMPACTION_LAG_MS = 3_600_000
"""So long the state topic keeps what newer snapshots replace."""
_DAY_MS = 86_400_000
_log = structlog.get_logger(__name__)


class TopicMismatchError(ConfigError):
    """A topic has another number of partitions than configured: keys would lie in other partitions than their state."""

    def __init__(self, topic: str, expected: int, found: int) -> None:
        super().__init__(
            f"topic {topic} must have {expected} partitions, found {found}: set kafka.partitions to the number it was"
            " created with, or use another kafka.topic_prefix. The number is fixed for the life of a deployment"
        )
        self.topic = topic
        self.expected = expected
        self.found = found


class TopicCreationError(UnavailableError):
    """The broker would not create a topic."""

    def __init__(self, topic: str, reason: str) -> None:
        super().__init__(f"topic {topic} could not be created: {reason}")
        self.topic = topic
        self.reason = reason


class BrokerUnavailableError(UnavailableError):
    """No broker answers."""

    def __init__(self, bootstrap_servers: str, reason: str) -> None:
        super().__init__(f"no Kafka broker answers at {bootstrap_servers}: {reason}")
        self.bootstrap_servers = bootstrap_servers


class KafkaNotConfiguredError(ConfigError):
    def __init__(self) -> None:
        super().__init__("set kafka.bootstrap_servers (SPENDWATCH_KAFKA__BOOTSTRAP_SERVERS) to host:port of a Kafka")


MAX_SNAPSHOT_BYTES = 16 * 1024 * 1024
"""A series whose every bucket names many origins or drivers; ordinary ones have 2 kB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """Names. The state topic carries the version of the snapshots' layout around the engine's own."""

    facts: str
    alerts: str
    spend: str
    state: str
    dead_letters: str

    @classmethod
    def of(cls, kafka: Kafka) -> "Topics":
        prefix = kafka.topic_prefix
        return cls(
            facts=f"{prefix}.facts",
            alerts=f"{prefix}.alerts",
            spend=f"{prefix}.spend",
            state=f"{prefix}.state-v1",
            dead_letters=f"{prefix}.dead-letters",
        )


def layout(kafka: Kafka) -> list[NewTopic]:
    """What is created; docs/architecture.md, "Topics"."""
    names = Topics.of(kafka)
    expire = {"cleanup.policy": "delete", "retention.ms": str(7 * _DAY_MS)}
    keep_latest = {
        "cleanup.policy": "compact",
        # A worker that was cut off may write an older snapshot after its successor's: both must be there to be
        # compared when the state is loaded within the hour.
        "min.compaction.lag.ms": str(COMPACTION_LAG_MS),
        "max.message.bytes": str(MAX_SNAPSHOT_BYTES),
    }
    keep_spend = {
        "cleanup.policy": "compact,delete",
        "min.compaction.lag.ms": str(COMPACTION_LAG_MS),
        "retention.ms": str(KEPT_DAYS * _DAY_MS),
    }
    keep_for_people = {"cleanup.policy": "delete", "retention.ms": str(30 * _DAY_MS)}
    wanted = (
        (names.facts, kafka.partitions, expire),
        (names.alerts, kafka.partitions, expire),
        (names.spend, kafka.partitions, keep_spend),
        (names.state, kafka.partitions, keep_latest),
        (names.dead_letters, 1, keep_for_people),
    )
    return [NewTopic(name, count, kafka.replication_factor, topic_configs=config) for name, count, config in wanted]


async def ensure_topics(kafka: Kafka) -> Topics:
    """Create what is missing and check what is there. Several processes may do so at once.

    Raises TopicMismatchError, TopicCreationError, BrokerUnavailableError and KafkaNotConfiguredError.
    """
    if kafka.bootstrap_servers is None:
        raise KafkaNotConfiguredError
    wanted = layout(kafka)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers, request_timeout_ms=10_000)
    try:
        await admin.start()
        found = await _partitions(admin, [topic.name for topic in wanted])
        missing = [topic for topic in wanted if topic.name not in found]
        if missing:
            answer = await admin.create_topics(missing, timeout_ms=10_000)
            for topic, code, *reason in answer.topic_errors:
                if code not in (0, TopicAlreadyExistsError.errno):
                    raise TopicCreationError(topic, str(reason[0] if reason and reason[0] else for_code(code).__name__))
            _log.info("topics created", topics=[topic.name for topic in missing])
            found = await _partitions(admin, [topic.name for topic in wanted])
    except (KafkaError, OSError) as error:
        raise BrokerUnavailableError(kafka.bootstrap_servers, str(error) or type(error).__name__) from error
    finally:
        await admin.close()
    for topic in wanted:
        # One that was created a moment ago may not be in the broker's metadata yet.
        if (count := found.get(topic.name, topic.num_partitions)) != topic.num_partitions:
            raise TopicMismatchError(topic.name, topic.num_partitions, count)
    return Topics.of(kafka)


async def partitions_of(bootstrap_servers: str, topic: str) -> int | None:
    """How many a topic has; None when it is not there. Raises BrokerUnavailableError."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=10_000)
    try:
        await admin.start()
        return (await _partitions(admin, [topic])).get(topic)
    except (KafkaError, OSError) as error:
        raise BrokerUnavailableError(bootstrap_servers, str(error) or type(error).__name__) from error
    finally:
        await admin.close()


async def _partitions(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, int]:
    # All topics are asked for: naming a missing one makes brokers with auto-creation create it, wrongly.
    described = await admin.describe_topics()
    return {
        topic["topic"]: len(topic["partitions"])
        for topic in described
        if topic["topic"] in names and not topic["error_code"]
    }

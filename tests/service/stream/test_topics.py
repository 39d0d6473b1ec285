from service.settings import Kafka
from service.stream.topics import Topics, layout


def test_topics_carry_the_prefix() -> None:
    assert Topics.of(Kafka(topic_prefix="finops")) == Topics(
        facts="finops.facts",
        alerts="finops.alerts",
        spend="finops.spend",
        state="finops.state-v1",
        dead_letters="finops.dead-letters",
    )


def test_state_has_the_partitions_of_the_facts_and_is_compacted() -> None:
    topics = {topic.name: topic for topic in layout(Kafka(partitions=7, replication_factor=3))}
    assert {name: topic.num_partitions for name, topic in topics.items()} == {
        "spendwatch.facts": 7,
        "spendwatch.alerts": 7,
        "spendwatch.spend": 7,
        "spendwatch.state-v1": 7,
        "spendwatch.dead-letters": 1,
    }
    assert {topic.replication_factor for topic in topics.values()} == {3}
    assert topics["spendwatch.state-v1"].topic_configs["cleanup.policy"] == "compact"
    assert topics["spendwatch.state-v1"].topic_configs["min.compaction.lag.ms"] == "3600000"
    assert topics["spendwatch.spend"].topic_configs["cleanup.policy"] == "compact,delete"
    assert topics["spendwatch.spend"].topic_configs["retention.ms"] == str(400 * 24 * 3600 * 1000)
    assert topics["spendwatch.facts"].topic_configs["retention.ms"] == str(7 * 24 * 3600 * 1000)
    assert topics["spendwatch.dead-letters"].topic_configs["retention.ms"] == str(30 * 24 * 3600 * 1000)

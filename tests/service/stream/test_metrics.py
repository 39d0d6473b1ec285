from prometheus_client import CollectorRegistry

from detectors.verdict import Status
from service.stream.batch import TopicPartition
from service.stream.metrics import StreamMetrics
from service.stream.owner import Progress
from tests.service.stream.fakes import SummingEngine

TP = TopicPartition("spendwatch.facts", 1)


def test_label_sets_begin_at_zero() -> None:
    registry = CollectorRegistry()
    StreamMetrics(registry, detectors=("rolling", "seasonal"))
    for name, labels in (
        ("facts_rejected_total", {"reason": "bad_value"}),
        ("buckets_judged_total", {"detector": "seasonal", "status": "warming_up"}),
        ("alerts_emitted_total", {"kind": "drop", "status": "withdrawn"}),
    ):
        assert registry.get_sample_value(f"spendwatch_{name}", labels) == 0, name


def test_what_an_engine_counts_is_taken_over_once() -> None:
    registry = CollectorRegistry()
    metrics = StreamMetrics(registry, detectors=("rolling",))
    engine = SummingEngine()
    engine.stats.too_late = 3
    engine.stats.judged["rolling", Status.HIGH] = 2
    metrics.engines({TP: engine})
    metrics.engines({TP: engine})
    engine.stats.too_late = 4
    metrics.engines({TP: engine})
    judged = {"detector": "rolling", "status": "high"}
    assert registry.get_sample_value("spendwatch_facts_too_late_total") == 4
    assert registry.get_sample_value("spendwatch_buckets_judged_total", judged) == 2


def test_engine_that_is_loaded_anew_adds_to_what_the_old_one_counted() -> None:
    registry = CollectorRegistry()
    metrics = StreamMetrics(registry, detectors=())
    for _ in range(2):
        engine = SummingEngine()
        engine.stats.repeated = 5
        metrics.engines({TP: engine})
        metrics.engines_dropped()
    assert registry.get_sample_value("spendwatch_facts_repeated_total") == 10


def test_lag_of_partitions_that_are_gone_is_gone() -> None:
    registry = CollectorRegistry()
    metrics = StreamMetrics(registry, detectors=())
    labels = {"topic": TP.topic, "partition": "1"}
    metrics.progress([Progress(TP, 10, 10, 25, 0)], holes=0)
    assert registry.get_sample_value("spendwatch_consumer_lag", labels) == 15
    metrics.progress([], holes=0)
    assert registry.get_sample_value("spendwatch_consumer_lag", labels) is None

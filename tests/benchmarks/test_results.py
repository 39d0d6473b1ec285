"""The lines that `make bench` prints: names and keys that others read."""

import json

import pytest

from benchmarks import results
from benchmarks.contenders.contender import Report
from benchmarks.latency import Latency, percentile


def report(facts_per_second: float, *, cpu_seconds: float = 2.0) -> Report:
    return Report(facts=1_000_000, seconds=1_000_000 / facts_per_second, cpu_seconds=cpu_seconds, peak_rss_mb=50.0)


def test_throughput_is_the_median_of_the_rounds() -> None:
    line = results.throughput("aiokafka", [report(100), report(300), report(200, cpu_seconds=5.0)], series=500)
    assert line == {
        "name": "aiokafka",
        "facts_per_second": 200,
        "cpu_seconds_per_million": 2.0,
        "peak_rss_mb": 50.0,
        "min_facts_per_second": 100,
        "max_facts_per_second": 300,
        "rounds": 3,
        "facts": 1_000_000,
        "series": 500,
    }


def test_ratios_say_how_many_times_as_fast_ours_is() -> None:
    line = results.ratios(
        {
            "spendwatch": [report(300_000)],
            "spendwatch_100k_series": [report(150_000)],
            "faust_naive": [report(10_000)],
            "aiokafka": [report(600_001)],
            "bytewax": [],
        }
    )
    assert line == {
        "name": "ratios",
        "faust_naive": 30.0,
        "aiokafka": 0.5,
        "spendwatch_100k_series": 0.5,
        "reached": {"faust_naive": True, "aiokafka": False, "spendwatch_100k_series": False},
    }


def test_ratios_without_ours_say_nothing() -> None:
    assert results.ratios({"aiokafka": [report(1)]}) == {"name": "ratios", "reached": {}}


def test_latency_in_milliseconds_with_what_never_came() -> None:
    values = [number / 1000 for number in range(1, 101)]
    line = results.latency(Latency(rate=5, stored=values, accepted=[], missing=100, behind=3))
    assert (line["fact_to_stored_p50_ms"], line["fact_to_stored_p99_ms"]) == (50.0, 99.0)
    assert (line["fact_to_webhook_p50_ms"], line["missing"], line["facts_behind_at_end"]) == (None, 100, 3)


@pytest.mark.parametrize(("share", "value"), [(0.0, 1.0), (0.5, 2.0), (0.75, 3.0), (0.99, 4.0), (1.0, 4.0)])
def test_percentile_is_the_nearest_rank(share: float, value: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], share) == value


def test_one_json_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    results.show({"name": "a"})
    results.show({"name": "b"})
    assert [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()] == ["a", "b"]

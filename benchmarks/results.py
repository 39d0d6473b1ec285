"""From rounds to the lines that are printed."""

import json
from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.contenders.contender import Report
from benchmarks.footprint import Footprint
from benchmarks.latency import Latency, percentile

OURS = "spendwatch"
MANY = "spendwatch_100k_series"
TWO = "spendwatch_two_workers"
GOALS = {
    "faust_naive": 20.0,
    "bytewax": 2.5,
    "quixstreams_durable": 3.5,
    "aiokafka": 0.5,
}
"""How many times as fast we mean to be; half of a bare loop that only decodes and scores."""
OWN_GOALS = {MANY: 0.8, TWO: 1.6}
"""How many times as fast as one worker with few series."""

Line = dict[str, object]


def show(line: Mapping[str, object]) -> None:
    """One JSON object a line, on standard output; nothing else ever goes there."""
    print(json.dumps(line), flush=True)


def rate(report: Report) -> float:
    return report.facts / report.seconds


def throughput(name: str, reports: Sequence[Report], **more: object) -> Line:
    """Medians of the rounds."""
    rates = [rate(report) for report in reports]
    return {
        "name": name,
        "facts_per_second": round(median(rates)),
        "cpu_seconds_per_million": round(median(report.cpu_seconds / report.facts * 1e6 for report in reports), 2),
        "peak_rss_mb": round(median(report.peak_rss_mb for report in reports), 1),
        "min_facts_per_second": round(min(rates)),
        "max_facts_per_second": round(max(rates)),
        "rounds": len(reports),
        "facts": round(median(report.facts for report in reports)),
        **more,
    }


def latency(found: Latency) -> Line:
    def milliseconds(values: Sequence[float], share: float) -> float | None:
        return round(percentile(values, share) * 1000, 1) if values else None

    return {
        "name": "latency",
        "load_facts_per_second": found.rate,
        "samples": len(found.stored),
        "fact_to_stored_p50_ms": milliseconds(found.stored, 0.5),
        "fact_to_stored_p99_ms": milliseconds(found.stored, 0.99),
        "fact_to_webhook_p50_ms": milliseconds(found.accepted, 0.5),
        "fact_to_webhook_p99_ms": milliseconds(found.accepted, 0.99),
        "missing": found.missing,
        "facts_behind_at_end": found.behind,
    }


def memory(found: Footprint) -> Line:
    return {
        "name": "memory",
        "series": found.series,
        "bytes_per_series": round(found.bytes_per_series),
        "loaded_bytes_per_series": round(found.loaded_bytes_per_series),
        "peak_rss_mb": round(found.live.peak_rss_mb, 1),
        "rss_mb": round(found.live.rss_mb, 1),
        "loaded_rss_mb": round(found.loaded.rss_mb, 1),
        "empty_rss_mb": round(found.empty.rss_mb, 1),
    }


def recovery(found: Footprint) -> Line:
    return {
        "name": "recovery",
        "series": found.series,
        "seconds": round(found.load_seconds, 2),
        "start_to_ready_seconds": round(found.ready_seconds, 2),
        "series_per_second": round(found.series / found.load_seconds),
        "state_mb": round(found.state_bytes / 1024 / 1024, 1),
        "peak_rss_mb": round(found.loaded.peak_rss_mb, 1),
    }


def ratios(rounds: Mapping[str, Sequence[Report]]) -> Line:
    """How many times as fast ours is as each other; of medians. goals: what we mean to reach."""
    medians = {name: median(rate(report) for report in reports) for name, reports in rounds.items() if reports}
    line: Line = {"name": "ratios"}
    goals: dict[str, bool] = {}
    if OURS in medians:
        for name in sorted(medians.keys() - {OURS, *OWN_GOALS}):
            ratio = medians[OURS] / medians[name]
            line[name] = round(ratio, 2)
            if name in GOALS:
                goals[name] = ratio >= GOALS[name]
        for name in medians.keys() & OWN_GOALS.keys():
            ratio = medians[name] / medians[OURS]
            line[name] = round(ratio, 2)
            goals[name] = ratio >= OWN_GOALS[name]
    return {**line, "reached": goals}

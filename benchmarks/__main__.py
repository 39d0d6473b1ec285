"""`make bench`: how fast, how large, how late. One JSON object a line on standard output, progress on standard error.

    python -m benchmarks                      the short form, some minutes
    python -m benchmarks --full               larger counts, a million series
    python -m benchmarks --only spendwatch,aiokafka --rounds 1

Starts a Kafka of its own. docs/benchmarks.md says what is measured, and what is not the same between contenders.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from benchmarks import footprint, latency, results
from benchmarks.broker import running_kafka
from benchmarks.child import ChildError
from benchmarks.contenders.contender import Report
from benchmarks.throughput import Topic, run_contender, run_spendwatch, run_two_workers
from benchmarks.topics import fill
from benchmarks.workload import Workload, facts
from realservices.process import ServicesError, say
from service.logs import configure
from service.settings import Kafka

PARTITIONS = 4
"""Our default."""
SERIES = 500
MANY_SERIES = 100_000
ROUNDS = 3
MODULES = {
    "faust_naive": "faust_naive",
    "faust_take": "faust_take",
    "bytewax": "bytewax_flow",
    "quixstreams_durable": "quixstreams_durable",
    "aiokafka": "aiokafka_loop",
    "confluent_kafka": "confluent_kafka_loop",
}
NAMES = (results.OURS, results.MANY, results.TWO, *MODULES, "latency", "memory", "recovery")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """facts: on the topic; ours reads all. counts: facts that each other contender reads, the slower the fewer.

    None of these reaches the end of a partition: there they would wait for one while others are full.
    """

    facts: int
    many_facts: int
    counts: dict[str, int]
    latency_seconds: float
    footprints: tuple[int, ...]


SHORT = Form(
    facts=1_000_000,
    many_facts=1_000_000,
    counts={
        "faust_naive": 50_000,
        "faust_take": 50_000,
        "bytewax": 600_000,
        "quixstreams_durable": 150_000,
        "aiokafka": 600_000,
        "confluent_kafka": 400_000,
    },
    latency_seconds=20.0,
    footprints=(10_000, 100_000),
)
FULL = Form(
    facts=5_000_000,
    many_facts=12_000_000,
    counts={
        "faust_naive": 200_000,
        "faust_take": 200_000,
        "bytewax": 1_500_000,
        "quixstreams_durable": 1_000_000,
        "aiokafka": 3_000_000,
        "confluent_kafka": 2_000_000,
    },
    latency_seconds=60.0,
    footprints=(10_000, 100_000, 1_000_000),
)


class Bench:
    def __init__(self, servers: str, form: Form, names: Sequence[str], rounds: int) -> None:
        self._servers = servers
        self._form = form
        self._names = names
        self._rounds = rounds
        self._reports: dict[str, list[Report]] = {
            name: [] for name in (results.OURS, results.MANY, results.TWO, *MODULES)
        }

    async def run(self) -> None:
        await self._throughput()
        if "latency" in self._names:
            rate = self._half_load()
            say(f"latency at {rate} facts/s")
            found = await latency.measure(
                self._servers, rate=rate, seconds=self._form.latency_seconds, partitions=PARTITIONS, series=SERIES
            )
            results.show(results.latency(found))
        if {"memory", "recovery"} & set(self._names):
            for series in self._form.footprints:
                say(f"memory and recovery of {series} series")
                size = await footprint.measure(self._servers, series=series, partitions=PARTITIONS)
                results.show(results.memory(size))
                results.show(results.recovery(size))
        results.show(results.ratios(self._reports))

    async def _throughput(self) -> None:
        wanted = [name for name in self._reports if name in self._names and _is_installed(name)]
        if self._form is SHORT and results.TWO in wanted:
            wanted.remove(results.TWO)  # one would have read most before both have joined
        if not wanted:
            return
        main = await self._topic("few", self._form.facts, SERIES)
        many = await self._topic("many", self._form.many_facts, MANY_SERIES) if results.MANY in wanted else main
        for number in range(1, self._rounds + 1):
            for name in wanted:
                report = await self._round(name, many if name == results.MANY else main)
                self._reports[name].append(report)
                say(f"round {number}: {name} {results.rate(report):,.0f} facts/s")
        for name in wanted:
            series = MANY_SERIES if name == results.MANY else SERIES
            results.show(results.throughput(name, self._reports[name], series=series, partitions=PARTITIONS))

    async def _round(self, name: str, topic: Topic) -> Report:
        if name in (results.OURS, results.MANY):
            return await run_spendwatch(topic)
        if name == results.TWO:
            return await run_two_workers(topic)
        return await run_contender(MODULES[name], topic, self._form.counts[name])

    async def _topic(self, prefix: str, count: int, series: int) -> Topic:
        say(f"writing {count:,} facts of {series:,} series")
        kafka = Kafka(bootstrap_servers=self._servers, topic_prefix=prefix, partitions=PARTITIONS)
        written = await fill(kafka, facts(Workload(facts=count, series=series)))
        return Topic(servers=self._servers, prefix=prefix, partitions=PARTITIONS, facts=written, series=series)

    def _half_load(self) -> int:
        """Half of what ours has just done; without that, what a slow machine manages."""
        reports = self._reports[results.OURS]
        rates = sorted(results.rate(report) for report in reports)
        return round(rates[len(rates) // 2] / 2) if rates else 50_000


def _is_installed(name: str) -> bool:
    """bytewax has no wheels for the newest Pythons."""
    if name == "bytewax" and find_spec("bytewax") is None:
        say("bytewax is not installed: it is left out")
        return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="the long form")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"interleaved rounds (default: {ROUNDS})")
    parser.add_argument("--only", default=",".join(NAMES), metavar="NAME,...", help=f"of {', '.join(NAMES)}")
    chosen = parser.parse_args()
    names = chosen.only.split(",")
    if unknown := sorted(set(names) - set(NAMES)):
        parser.error(f"unknown: {', '.join(unknown)}; known are {', '.join(NAMES)}")
    configure("benchmarks", "CRITICAL")  # what matters is raised; aiokafka also reports what it tries again
    # SIGTERM becomes SystemExit, so that the broker and all children end too.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    try:
        with running_kafka() as servers:
            asyncio.run(Bench(servers, FULL if chosen.full else SHORT, names, chosen.rounds).run())
    except (ChildError, ServicesError) as error:
        say(f"benchmarks: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What it costs to decide who is told: rounds of the dispatch, and ticks in which nothing is to be done.

    python -m benchmarks.dispatch [--open 1000] [--new 200] [--rounds 5]

So many alerts are open, each of a team of its own, and so many new ones come due at once, half of them the same money
as an open one. Compared with recording the same alerts in the same run. SQLite; one JSON object on standard output.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import process_time

from service.core.alerts import Alert, DriverChange
from service.core.routing import Router
from service.delivery.rules import make_rules
from service.settings import Settings
from service.store.sql import SqlStore
from tests.builders import make_alert
from tests.clock import FakeClock
from tests.remotes.kinds import WEBHOOK_SECRET

WAIT = timedelta(seconds=5)
TICKS = 200
IDLE_LIMIT_MS = 2.0
"""A tick every 250 ms then takes less than one percent of a core."""


def make_one(number: int, *, of: int | None = None) -> Alert:
    """of: the same money as that one, seen by project."""
    resource = {"service_name": "Amazon EC2", "resource_id": f"i-{number if of is None else of}"}
    driver = DriverChange(labels=resource, change=292.5, before=120.0, now=412.5)
    name, value = ("team", str(number)) if of is None else ("project", str(of))
    series = f"default/effective_cost/USD/1d/tag:{name}={value}"
    labels = {name: value, "metric": "effective_cost", "grain": "1d"}
    return make_alert(f"a{number}", series=series, labels=labels, drivers=(driver,))


async def measure(folder: Path, already: int, new: int, rounds: int) -> dict[str, object]:
    receiver = {"type": "webhook", "name": "desk", "url": "https://desk.example", "secret": WEBHOOK_SECRET}
    settings = Settings.model_validate({"receivers": [receiver], "split": {"tags": ["team"]}})
    router = Router(settings.route, ["desk"], settings.time_intervals)
    clock = FakeClock()
    store = SqlStore(f"sqlite+aiosqlite:///{folder}/store.db", routes=router, clock=clock, wait=WAIT)
    await store.migrate()
    dispatching = store.dispatching(make_rules(settings, router))

    async def decide() -> int:
        clock.move(WAIT)
        decided = 0
        while events := await dispatching.run(clock.now()):
            decided += len(events)
        return decided

    await store.record([make_one(number) for number in range(already)])
    await decide()
    recording, deciding = [], []
    for turn in range(rounds):
        first = already + turn * new
        alerts = [make_one(first + n, of=n if n % 2 else None) for n in range(new)]
        began = process_time()
        await store.record(alerts)
        recording.append(process_time() - began)
        began = process_time()
        assert await decide() == new
        deciding.append(process_time() - began)
    told = (await store.counts())["desk"]["pending"]
    began = process_time()
    for _ in range(TICKS):
        await dispatching.run(clock.now())
    idle = (process_time() - began) / TICKS * 1000
    await store.close()
    return {
        "name": "dispatch",
        "open_alerts": already + rounds * new,
        "told": told,
        "record_cpu_ms_per_alert": round(median(recording) / new * 1000, 3),
        "dispatch_cpu_ms_per_alert": round(median(deciding) / new * 1000, 3),
        "dispatch_to_record": round(median(deciding) / median(recording), 2),
        "idle_tick_cpu_ms": round(idle, 3),
        "idle_limit_ms": IDLE_LIMIT_MS,
        "idle_within_limit": idle <= IDLE_LIMIT_MS,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--open", type=int, default=1000)
    parser.add_argument("--new", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spendwatch-dispatch-") as folder:
        found = asyncio.run(measure(Path(folder), options.open, options.new, options.rounds))
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())

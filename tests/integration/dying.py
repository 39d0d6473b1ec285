"""A role as `spendwatch` runs it, that ends itself at a chosen moment as by kill -9.

    python -m tests.integration.dying worker spendwatch.yaml stored 2

The moment is put around one of the role's own methods, since no fake process would prove anything about the real one.
The last argument: how many times the moment comes before it is the last.
"""

import asyncio
import functools
import importlib
import inspect
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from service.app import run_api, run_deliver, run_worker
from service.config import load
from service.delivery.outbox import Deliverer

LEASE_MARGIN = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Moment:
    """place: module:name. before: whether it is the call, else the return. busy: only when it returns something."""

    place: str
    before: bool = False
    busy: bool = False


MOMENTS = {
    "worker": {
        "restoring": Moment("service.core.engine:Engine.restore"),
        "batch_applied": Moment("service.core.engine:Engine.apply"),
        "alerts_sent": Moment("service.stream.outgoing:Outgoing.flush"),
        # Twice a checkpoint: the series, then what is of the whole partition. An odd count comes between the two.
        "series_sent": Moment("service.stream.snapshots:SnapshotWriter._write"),
        "snapshots_sent": Moment("service.stream.snapshots:SnapshotWriter.write"),
        "committed": Moment("service.stream.session:Session.committed", before=True),
        "storing": Moment("service.store.recording:Recording.flush"),
        "stored": Moment("service.store.sql:SqlStore.record"),
        "announced": Moment("service.store.live:LiveBus.announce"),
        "leaving": Moment("service.stream.session:Session.draining"),
        "left": Moment("service.stream.session:Session.revoked"),
    },
    "api": {
        "publishing": Moment("connectors.publisher:Publisher.publish", before=True),
        "published": Moment("connectors.publisher:Publisher.publish"),
        "answer_kept": Moment("service.store.cache:Remembered.put"),
        "acknowledging": Moment("service.store.recording:Recording.flush"),
        "acknowledged": Moment("service.store.sql:SqlStore.acknowledge"),
    },
    "deliver": {
        "deciding": Moment("service.store.recording:Recording.flush"),
        "decided": Moment("service.store.dispatching:Dispatching.run", busy=True),
        "claimed": Moment("service.store.outbox:SqlOutbox.claim", busy=True),
        "sent": Moment("service.delivery.receivers.webhook:Webhook.send"),
        "marking": Moment("service.store.outbox:SqlOutbox._write", before=True),
        "marked": Moment("service.store.outbox:SqlOutbox._write"),
    },
}
_ROLES: dict[str, Any] = {"worker": run_worker, "api": run_api, "deliver": run_deliver}


def die_at(moment: Moment, count: int) -> None:
    module_name, _, path = moment.place.partition(":")
    holder: Any = importlib.import_module(module_name)
    *outer, name = path.split(".")
    for part in outer:
        holder = getattr(holder, part)
    left = count

    def came(result: object) -> None:
        nonlocal left
        if not moment.busy or result:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    setattr(holder, name, _around(getattr(holder, name), came, before=moment.before))


def _around(method: Callable[..., Any], came: Callable[[object], None], *, before: bool) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def later(*args: Any, **options: Any) -> Any:
            if before:
                came(None)
            result = await method(*args, **options)
            if not before:
                came(result)
            return result

        return later

    @functools.wraps(method)
    def now(*args: Any, **options: Any) -> Any:
        if before:
            came(None)
        result = method(*args, **options)
        if not before:
            came(result)
        return result

    return now


def main(role: str, config: str, moment: str = "", count: str = "1") -> int:
    # What a killed deliverer had claimed is free after its lease: half a minute in earnest.
    defaults = Deliverer.__init__.__kwdefaults__
    assert defaults is not None
    defaults["lease_margin"] = LEASE_MARGIN
    if moment:
        die_at(MOMENTS[role][moment], int(count))
    code: int = asyncio.run(_ROLES[role](load(Path(config), os.environ)))
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

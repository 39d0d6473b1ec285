"""The self-check of the batch transport: what it overrides is as it was when the overrides were written."""

import inspect
from importlib.metadata import version

import faust
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from faust.tables.manager import TableManager
from faust.transport.drivers import aiokafka as driver

from service.errors import SpendwatchError

_VERSIONS = {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0"}
_SIGNATURES: dict[tuple[type, str], tuple[str, ...]] = {
    (driver.Consumer, "getmany"): ("self", "timeout"),
    (driver.Consumer, "_getmany"): ("self", "active_partitions", "timeout"),
    (driver.Consumer, "_wait_next_records"): ("self", "timeout"),
    (driver.Consumer, "_new_consumer_thread"): ("self",),
    (driver.Consumer, "_add_gap"): ("self", "tp", "offset_from", "offset_to"),
    (driver.Consumer, "_filter_tps_with_pending_acks"): ("self", "topics"),
    (driver.Consumer, "_new_offset"): ("self", "tp"),
    (driver.Consumer, "_should_commit"): ("self", "tp", "offset"),
    (driver.Consumer, "_handle_attached"): ("self", "commit_offsets"),
    (driver.Consumer, "_commit_offsets"): ("self", "offsets", "start_new_transaction"),
    (driver.Consumer, "commit_and_end_transactions"): ("self",),
    (driver.Consumer, "maybe_wait_for_commit_to_finish"): ("self",),
    (driver.Consumer, "perform_seek"): ("self",),
    (driver.Consumer, "on_partitions_revoked"): ("self", "revoked"),
    (driver.Consumer, "ack"): ("self", "message"),
    (driver.Consumer, "commit"): ("self", "topics", "start_new_transaction"),
    (driver.Consumer, "on_buffer_full"): ("self", "tp"),
    (driver.Consumer, "on_buffer_drop"): ("self", "tp"),
    (driver.Consumer, "verify_all_partitions_active"): ("self",),
    (driver.AIOKafkaConsumerThread, "_create_worker_consumer"): ("self", "transport"),
    (driver.AIOKafkaConsumerThread, "call_thread"): ("self", "fun", "args", "kwargs"),
    (driver.AIOKafkaConsumerThread, "_fetch_records"): (
        "self",
        "consumer",
        "active_partitions",
        "timeout",
        "max_records",
    ),
    (driver.AIOKafkaConsumerThread, "on_crash"): ("self", "msg", "fmt", "kwargs"),
    (Fetcher, "fetched_records"): ("self", "partitions", "timeout", "max_records"),
    (Fetcher, "_create_fetch_waiter"): ("self",),
    (Fetcher, "_notify"): ("self", "future"),
    (FetchResult, "check_assignment"): ("self", "tp"),
    (FetchResult, "has_more"): ("self",),
    (FetchResult, "_update_position"): ("self",),
    (PartitionRecords, "_unpack_records"): ("self",),
    (faust.App, "_new_transport"): ("self",),
    (faust.App, "_crash"): ("self", "reason"),
    (faust.App, "_on_agent_error"): ("self", "agent", "exc"),
    (faust.App, "_create_directories"): ("self",),
    (TableManager, "on_start"): ("self",),
    (TableManager, "_update_channels"): ("self",),
}


class IncompatibleFaustError(SpendwatchError):
    """Faust, mode or aiokafka are not what the overrides here were written for."""


def check_compatible() -> None:
    """Raises IncompatibleFaustError that names everything that differs."""
    wrong = [
        f"{name} is {version(name)}, not {wanted}" for name, wanted in _VERSIONS.items() if version(name) != wanted
    ]
    for (owner, name), wanted_names in _SIGNATURES.items():
        method = getattr(owner, name, None)
        names = tuple(inspect.signature(method).parameters) if method else None
        if names != wanted_names:
            wrong.append(f"{owner.__module__}.{owner.__qualname__}.{name} takes {names}, not {wanted_names}")
    if wrong:
        raise IncompatibleFaustError("the batch transport does not fit: " + "; ".join(wrong))

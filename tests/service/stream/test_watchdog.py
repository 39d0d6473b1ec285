import asyncio
import threading
import time

import pytest

from service.signals import Deadline
from service.stream.batch import TopicPartition
from service.stream.owner import Progress
from service.stream.watchdog import Heartbeat, Patience, StuckError, Watchdog, resident_bytes

TP = TopicPartition("spendwatch.facts", 0)


def check(
    watchdog: Watchdog,
    now: float,
    *,
    applied: int = 0,
    committed: int = 0,
    end: int = 0,
    loading: bool = False,
    checkpointed: int = 0,
    excused: bool = False,
) -> None:
    progress = Progress(TP, applied, committed, end, 0)
    watchdog.check(now, [progress], loading=loading, checkpointed=checkpointed, excused=lambda _tp: excused)


def test_partition_with_nothing_to_do_may_rest_for_ever() -> None:
    watchdog = Watchdog(Patience())
    for now in range(0, 10_000, 10):
        check(watchdog, now, applied=5, committed=5, end=5)


def test_waiting_records_that_nobody_finishes_are_found() -> None:
    watchdog = Watchdog(Patience(batch=60))
    check(watchdog, 0, applied=5, committed=5, end=9)
    check(watchdog, 60, applied=5, committed=5, end=9)
    with pytest.raises(StuckError, match=r"spendwatch.facts/0: 4 records wait and none was finished for 60 s"):
        check(watchdog, 61, applied=5, committed=5, end=9)


def test_slow_work_is_work() -> None:
    watchdog = Watchdog(Patience(batch=60))
    for now in range(0, 1_000, 50):
        check(watchdog, now, applied=now, committed=now, end=10_000)


def test_partition_that_waits_for_the_store_is_excused() -> None:
    watchdog = Watchdog(Patience(batch=60))
    for now in range(0, 1_000, 50):
        check(watchdog, now, end=10, excused=True)
    check(watchdog, 1_000, end=10)


def test_finished_work_that_is_not_committed_is_found() -> None:
    watchdog = Watchdog(Patience(commit=60))
    for now in range(0, 70, 10):
        check(watchdog, now, applied=100 + now, committed=100, end=1_000)
    with pytest.raises(StuckError, match="finished work was not committed for 60 s"):
        check(watchdog, 70, applied=170, committed=100, end=1_000)


def test_checkpoint_that_makes_progress_may_take_long() -> None:
    watchdog = Watchdog(Patience(commit=60))
    for now in range(0, 300, 50):
        check(watchdog, now, applied=100 + now, committed=100, end=1_000, checkpointed=now)
    check(watchdog, 310, applied=400, committed=100, end=1_000, checkpointed=250)
    with pytest.raises(StuckError, match="finished work was not committed for 60 s"):
        check(watchdog, 311, applied=400, committed=100, end=1_000, checkpointed=250)


def test_state_that_is_never_loaded_is_found() -> None:
    watchdog = Watchdog(Patience(load=120))
    check(watchdog, 0, loading=True)
    check(watchdog, 120, loading=True)
    with pytest.raises(StuckError, match="not loaded 121 s after the assignment"):
        check(watchdog, 121, loading=True)


def test_each_load_has_its_own_time() -> None:
    watchdog = Watchdog(Patience(load=120))
    check(watchdog, 0, loading=True)
    check(watchdog, 100, loading=False)
    check(watchdog, 150, loading=True)


def test_partition_that_comes_back_begins_anew() -> None:
    watchdog = Watchdog(Patience(batch=60))
    check(watchdog, 0, end=10)
    watchdog.check(50, [], loading=False, checkpointed=0, excused=lambda _tp: False)
    check(watchdog, 100, end=10)


def test_too_much_memory_ends_the_worker() -> None:
    watchdog = Watchdog(Patience(memory_bytes=1))
    if resident_bytes() == 0:
        pytest.skip("this system does not say how much memory a process holds")
    with pytest.raises(StuckError, match=r"worker\.max_memory_mb"):
        check(watchdog, 0)


async def test_blocked_loop_ends_the_process(capfd: pytest.CaptureFixture[str]) -> None:
    ended = threading.Event()
    codes: list[int] = []

    def hard_exit(code: int) -> None:
        codes.append(code)
        ended.set()

    beating = asyncio.create_task(Heartbeat(0.2, hard_exit=hard_exit).run())
    await asyncio.sleep(0)
    assert await asyncio.to_thread(ended.wait, 0.1) is False
    time.sleep(0.6)  # noqa: ASYNC251 - blocking the loop is what is tested
    beating.cancel()
    assert codes == [75]
    assert "stood still" in capfd.readouterr().err


async def test_living_loop_ends_nothing() -> None:
    codes: list[int] = []
    beating = asyncio.create_task(Heartbeat(0.5, hard_exit=codes.append).run())
    await asyncio.to_thread(threading.Event().wait, 0.7)
    beating.cancel()
    assert codes == []


def test_deadline_ends_the_process_unless_cancelled() -> None:
    ended = threading.Event()
    codes: list[int] = []
    kept = Deadline(0.05, hard_exit=codes.append)
    missed = Deadline(0.05, hard_exit=lambda _code: ended.set())
    kept.start()
    kept.cancel()
    missed.start()
    assert ended.wait(5)
    assert codes == []

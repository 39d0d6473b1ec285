"""Small writes share transactions, and each writer hears what became of its own."""

import asyncio
from collections.abc import Sequence

import pytest

from service.store.combining import Combiner


class Journal:
    """Keeps the batches; each write waits for the gate. `fail` makes the next one raise."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.fail: Exception | None = None

    async def __call__(self, items: Sequence[int]) -> None:
        await self.gate.wait()
        if self.fail is not None:
            failure, self.fail = self.fail, None
            raise failure
        self.batches.append(list(items))


async def test_what_arrives_during_a_write_goes_into_the_next_together() -> None:
    journal = Journal()
    combiner = Combiner(journal)
    journal.gate.clear()
    first = asyncio.create_task(combiner.add(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    rest = [asyncio.create_task(combiner.add(n)) for n in (2, 3, 4)]
    await asyncio.sleep(0)
    journal.gate.set()
    await asyncio.gather(first, *rest)
    assert journal.batches == [[1], [2, 3, 4]]
    await combiner.add(5)
    assert journal.batches[-1] == [5]


async def test_a_failure_reaches_everyone_of_its_batch_and_nobody_else() -> None:
    journal = Journal()
    combiner = Combiner(journal)
    journal.fail = OSError("disk full")
    results = await asyncio.gather(combiner.add(1), combiner.add(2), return_exceptions=True)
    assert [str(result) for result in results] == ["disk full", "disk full"]
    await combiner.add(3)
    assert journal.batches == [[3]]


async def test_a_cancelled_writer_does_not_take_others_with_it() -> None:
    journal = Journal()
    combiner = Combiner(journal)
    journal.gate.clear()
    one, two = asyncio.create_task(combiner.add(1)), asyncio.create_task(combiner.add(2))
    await asyncio.sleep(0)
    one.cancel()
    journal.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await one
    await two
    await combiner.close()
    assert journal.batches == [[1, 2]]

"""Files, connectors or recorded messages through the engine, at full speed, in event time.

The connectors run as `spendwatch connect` runs them (the same runner, the same order of facts and watermarks), and the
engines are the worker's: so the alerts are those of the live run with the same configuration.
"""

import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from prometheus_client import CollectorRegistry

from connectors.checkpoint import Checkpoint
from connectors.connector import BadRecord, Connector, Delivery, Refused, Unchanged
from connectors.fact_lines import read_fact_lines
from connectors.metrics import ConnectorMetrics
from connectors.restatement import instant_of
from connectors.runner import Runner
from service.core.policies import PolicyBook
from service.replay.errors import ReplayError
from service.replay.inputs import Inputs
from service.replay.player import Player, engines_for
from service.settings import Settings

_DAY = 86_400
_GAP_SECONDS = 90 * _DAY


async def play(inputs: Inputs, player: Player) -> None:
    """Read every input to its end. Raises ReplayError for what is not what it claims to be, and what readers raise."""
    refused: list[Refused] = []
    clock = _Clock()
    with closing(Checkpoint(Path(":memory:"))) as checkpoint:
        runner = Runner(player, checkpoint, ConnectorMetrics(CollectorRegistry()), now=clock)
        for connector in inputs.connectors:
            source = _Seen(connector, clock) if isinstance(connector, Connector) else connector
            try:
                refused += (await runner.run_once(source)).refused
            except OSError as error:
                raise ReplayError(f"{connector.name}: {error.strerror or error}") from None
    if refused:
        raise ReplayError("\n".join(map(str, refused)))
    for file in inputs.fact_files:
        try:
            for item in read_fact_lines(file, str(file)):
                if isinstance(item, BadRecord):
                    player.bad.append(item)
                else:
                    player.take(item)
        except OSError as error:
            raise ReplayError(f"{file}: {error.strerror or error}") from None
    if player.bad and not player.facts:
        raise ReplayError(f"nothing in it could be read, such as: {player.bad[0].message} ({len(player.bad):,} in all)")
    player.flush()


def new_player(settings: Settings, *, partitions: int | None = None, record: bool = False) -> Player:
    book = PolicyBook(settings.policies)
    return Player(engines_for(settings, book, partitions or settings.kafka.partitions), record=record)


def play_again(tape: Sequence[tuple[int, Sequence[object]]], settings: Settings, partitions: int) -> Player:
    """What was recorded, under other policies."""
    player = new_player(settings, partitions=partitions)
    for partition, records in tape:
        player.apply(partition, records)  # type: ignore[arg-type]  # a tape is what a player has recorded
    return player


class _Clock:
    """Now, for the runner, which passes no promise about the future on: a bill that lies ahead of this machine's
    clock is replayed all the same, and a single row of a wrong year still closes nothing."""

    def __init__(self) -> None:
        self._until = 0.0

    def __call__(self) -> float:
        return max(time.time(), self._until)

    def see(self, delivery: Delivery) -> None:
        """The end of the longest stretch of time without a gap, by the number of its facts."""
        counts = Counter(instant_of(fact.charge_period_start).timestamp() for fact in delivery.facts)
        best, run, last = 0, 0, None
        for start in sorted(counts):
            run = counts[start] + (run if last is not None and start - last <= _GAP_SECONDS else 0)
            last = start
            if run >= best:
                best, end = run, start
                self._until = max(self._until, end + _DAY)


class _Seen:
    """A connector whose deliveries tell the clock what time it is."""

    def __init__(self, connector: Connector, clock: _Clock) -> None:
        self.name = connector.name
        self._connector = connector
        self._clock = clock

    async def deliveries(self, known: Mapping[str, str]) -> AsyncIterator[Delivery | Unchanged | Refused]:
        async for delivery in self._connector.deliveries(known):
            if isinstance(delivery, Delivery):
                self._clock.see(delivery)
            yield delivery

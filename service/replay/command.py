"""`spendwatch replay`: what the alerts would be, or what another configuration would have made of them.

Standard output holds the result and nothing else; everything said beside it goes to standard error.
"""

import sys
from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from service.check_config import mistakes
from service.config import load
from service.console import make_console
from service.core.alerts import Alert
from service.core.budget import PageBook
from service.core.notes import said
from service.core.routing import Router
from service.core.wording import amount
from service.logs import configure
from service.replay import difference, rows
from service.replay.errors import ReplayError
from service.replay.inputs import gather
from service.replay.player import Player
from service.replay.plot import page_of
from service.replay.quiet import alerts_since, lowest_quiet, with_sigma
from service.replay.run import new_player, play, play_again
from service.replay.table import alerts_table, differences_table, totals
from service.replay.topic import TopicRange
from service.settings import Settings
from service.stream.topics import KafkaNotConfiguredError, Topics

_MAX_NOTES = 5
_WIDTH_ELSEWHERE = 150
_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for. topic: its name, or "" for the configured one; None replays files or connectors.

    quiet_days: look for the lowest threshold without an alert in so many last days. plot: where to write the page.
    """

    paths: Sequence[Path] = ()
    config: Path | None = None
    against: Path | None = None
    topic: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    quiet_days: float | None = None
    plot: Path | None = None
    as_json: bool = False


@dataclass(slots=True, kw_only=True)
class Played:
    player: Player
    partitions: int
    notes: list[str]

    @property
    def alerts(self) -> list[Alert]:
        return rows.in_order(self.player.alerts.values())

    def book(self, settings: Settings) -> PageBook:
        """The alert budgets, asked for every alert that a receiver would hear of, in the order they fired."""
        receivers = tuple(receiver.name for receiver in settings.receivers)
        router = Router(settings.route, receivers, settings.time_intervals)
        book = PageBook(settings.budgets)
        for alert in self.alerts:
            if not receivers or router(alert):
                book.ask(alert)
        return book


async def replay(request: Request) -> int:
    """Returns the exit code. Raises SpendwatchError and ConnectorError."""
    configure("replay", "CRITICAL")  # what goes wrong is told by us, once
    if request.topic is not None and request.paths:
        raise ReplayError("name files or a --topic, not both")
    settings = load(request.config, check=mistakes)
    old = None if request.against is None else load(request.against, check=mistakes)
    record = request.quiet_days is not None
    played = await _play(request, settings, configured=request.config is not None, record=record)
    _say(played)
    if request.quiet_days is not None:
        _print_quiet(request.quiet_days, settings, played, as_json=request.as_json)
        return 0
    if old is not None:
        before = await _play(request, old, configured=True)
        _print_differences(before, played, as_json=request.as_json)
    else:
        book = played.book(settings)
        _print_alerts(played, {entry.alert_id for entry in book.entries() if entry.held}, as_json=request.as_json)
        _say_held(settings, book)
    if request.plot is not None:
        try:
            request.plot.write_text(page_of(played.alerts), encoding="utf-8")
        except OSError as error:
            raise ReplayError(f"{request.plot}: {error.strerror or error}") from None
        _note(f"charts of {len(played.alerts)} alerts in {request.plot}")
    return 0


async def _play(request: Request, settings: Settings, *, configured: bool, record: bool = False) -> Played:
    if request.topic is not None:
        return await _play_topic(request, settings, record=record)
    inputs = gather(request.paths, settings, configured=configured)
    player = new_player(settings, record=record)
    await play(inputs, player)
    return Played(player=player, partitions=settings.kafka.partitions, notes=inputs.notes)


async def _play_topic(request: Request, settings: Settings, *, record: bool) -> Played:
    servers = settings.kafka.bootstrap_servers
    if servers is None:
        raise KafkaNotConfiguredError
    topic = request.topic or Topics.of(settings.kafka).facts
    async with TopicRange(servers, topic, since=request.since, until=request.until) as source:
        partitions = await source.partitions()
        player = new_player(settings, partitions=partitions, record=record)
        async for partition, records in source.batches():
            player.apply(partition, records)
    return Played(player=player, partitions=partitions, notes=source.notes)


def _say_held(settings: Settings, book: PageBook) -> None:
    for budget in settings.budgets:
        held = [entry for entry in book.entries() if entry.held and entry.label == budget.label]
        for group in sorted({entry.group for entry in held}):
            money: dict[str, float] = {}
            for entry in held:
                if entry.group == group:
                    money[entry.unit] = money.get(entry.unit, 0.0) + entry.impact
            count = sum(entry.group == group for entry in held)
            told = ", ".join(amount(value, unit, signed=True) for unit, value in sorted(money.items()))
            _note(f"held back by the budget of {budget.label}={group or '(none)'}: {count} alerts, {told}")


def _print_alerts(played: Played, held: Container[str], *, as_json: bool) -> None:
    alerts = played.alerts
    if as_json:
        sys.stdout.write("".join(f"{rows.json_line(alert)}\n" for alert in alerts))
    elif alerts:
        console = make_console(width_elsewhere=_WIDTH_ELSEWHERE)
        console.print(alerts_table(alerts, held, width=console.width))


def _print_differences(before: Played, after: Played, *, as_json: bool) -> None:
    found = difference.differences(before.player.alerts.values(), after.player.alerts.values())
    if as_json:
        changed = [one for one in found if one.change is not difference.Change.SAME]
        sys.stdout.write("".join(f"{difference.json_line(one)}\n" for one in changed))
        return
    console = make_console(width_elsewhere=_WIDTH_ELSEWHERE)
    if any(one.change is not difference.Change.SAME for one in found):
        console.print(differences_table(found))
        console.print()
    for line in totals(found):
        console.print(line, markup=False)


def _print_quiet(days: float, settings: Settings, played: Played, *, as_json: bool) -> None:
    tape = played.player.tape
    assert tape is not None
    end = datetime.fromtimestamp(played.player.last_start + _DAY, UTC)

    def alarms(sigma: float) -> int:
        again = play_again(tape, with_sigma(settings, sigma), played.partitions)
        count = alerts_since(again.alerts.values(), end, days)
        _note(f"sigma {sigma:g}: {count} alerts in the last {days:g} days")
        return count

    answer = lowest_quiet(alarms)
    if as_json:
        sigma = "null" if answer.sigma is None else f"{answer.sigma:g}"
        sys.stdout.write(f'{{"quiet_days":{days:g},"sigma":{sigma}}}\n')
        return
    since = f"{end - timedelta(days=days):%Y-%m-%d}"
    if answer.sigma is None:
        text = f"No threshold up to {20:g} keeps the days since {since} quiet: {answer.below} alerts are left."
    else:
        text = f"Lowest sigma without an alert since {since} ({days:g} days): {answer.sigma:g}"
    make_console(width_elsewhere=_WIDTH_ELSEWHERE).print(text, markup=False)


def _say(played: Played) -> None:
    """What was read, and what could not be."""
    player = played.player
    for note in played.notes:
        _note(note)
    _note(
        f"{player.facts or sum(len(records) for _, records in player.tape or ()):,} facts,"
        f" {player.series_count:,} series, {player.closed:,} periods judged, {len(player.alerts):,} alerts"
    )
    for retagged in player.notes[:_MAX_NOTES]:
        _note(said(retagged))
    if len(player.notes) > _MAX_NOTES:
        _note(f"re-tagged: {len(player.notes) - _MAX_NOTES:,} more series")
    for bad in player.bad[:_MAX_NOTES]:
        _note(f"left out: {bad.message}")
    for partition, rejected in player.rejected[:_MAX_NOTES]:
        where = f"partition {partition}, offset {rejected.offset}"
        _note(f"left out: {rejected.field or 'message'}: {rejected.message} at {where}")
    more = max(len(player.bad) - _MAX_NOTES, 0) + max(len(player.rejected) - _MAX_NOTES, 0)
    if more:
        _note(f"left out: {more:,} more")
    if not player.series_count:
        _note("nothing to judge: there was no charge or fact in it")
    elif not player.closed:
        _note("no period was complete, so nothing was judged but running totals")


def _note(text: str) -> None:
    sys.stderr.write(f"{text}\n")

"""`spendwatch demo`: the whole way on embedded parts, with something to find and a desk that checks what it gets."""

import asyncio
import base64
import contextlib
import os
import secrets
import signal
import socket
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from connectors.synthetic import plan
from connectors.synthetic_incidents import Incident
from service.config import load
from service.console import brief, clean, make_console, render
from service.core.alerts import AlertEvent, EventType
from service.delivery.signing import SigningSecret
from service.demo.desk import Desk, Received, open_desk
from service.demo.scorecard import Scorecard
from service.digests.command import preview_of
from service.logs import configure
from service.settings import Settings, SyntheticConnector
from service.sources import synthetic_options
from service.tail import follow
from service.up import Stack

CONFIG = Path(__file__).parent / "demo.yaml"
_PORT = 8321
_LETTER_LINES = 24
_SETTLE_SECONDS = 20.0
"""How long the last alerts may take after the last fact was sent."""

_GO_ON = """
Go on: write a spendwatch.yaml (README, "Connect your bill"), then
  .venv/bin/spendwatch check-config -c spendwatch.yaml   every mistake at once
  .venv/bin/spendwatch up -c spendwatch.yaml             run it
  .venv/bin/spendwatch demo --stay                       this demo again, with the dashboard left up"""


@dataclass(slots=True, kw_only=True)
class Figures:
    """What was counted on the way."""

    started: float = field(default_factory=time.monotonic)
    ready: float | None = None
    first_alert: float | None = None
    alerts: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)

    def elapsed(self) -> float:
        return time.monotonic() - self.started


async def run_demo(*, stay: bool) -> int:
    """Returns 0 if every planted incident was found and its webhook verified, else 1."""
    main = asyncio.current_task()
    assert main is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, main.cancel)
    # A demo must not touch what the user has configured.
    for name in [name for name in os.environ if name.startswith("SPENDWATCH_")]:
        del os.environ[name]
    configure("demo", "WARNING")
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    with tempfile.TemporaryDirectory(prefix="spendwatch-demo-") as name:
        folder = Path(name)
        desk = Desk(SigningSecret.parse(secret))
        async with open_desk(desk) as url:
            environ = _environ(folder, url, secret)
            settings = load(CONFIG, environ)
            stack = Stack(settings=settings, config=CONFIG, environ=environ, logs=folder)
            return await _Demo(stack, settings, desk).run(stay=stay)


def _environ(folder: Path, url: str, secret: str) -> dict[str, str]:
    return {
        "DEMO_DESK_URL": url,
        "DEMO_DESK_SECRET": secret,
        "SPENDWATCH_STORE__URL": f"sqlite+aiosqlite:///{folder / 'demo.db'}",
        "SPENDWATCH_API__PORT": str(_PORT if _is_free(_PORT) else 0),
        "SPENDWATCH_WORKER__METRICS_PORT": "0",
        "SPENDWATCH_DELIVER__METRICS_PORT": "0",
        "SPENDWATCH_CONNECT__METRICS_PORT": "0",
    }


def _is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return True
    return False


class _Demo:
    """One run: starts the stack, watches three things at once (alerts, webhooks, progress), sums up."""

    def __init__(self, stack: Stack, settings: Settings, desk: Desk) -> None:
        self._stack = stack
        self._settings = settings
        self._source = next(one for one in settings.connectors if isinstance(one, SyntheticConnector))
        self._options = synthetic_options(self._source, settings.tenant)
        self._card = Scorecard(plan(self._options))
        self._figures = Figures()
        self._desk = desk
        self._desk.on_receive = self._was_delivered
        self._console = make_console()
        self._changed = asyncio.Event()
        self._shown_webhook = False

    async def run(self, *, stay: bool) -> int:
        self._console.print(Text("Spendwatch demo", style="bold"))
        self._console.print("Starting the broker, the cache, the worker, the API, the outbox and the connectors ...")
        try:
            await self._stack.start()
            self._figures.ready = self._figures.elapsed()
            self._introduce()
            await self._watch()
            code = self._sum_up(await self._count())
            await self._show_digest()
            self._console.print(_GO_ON)
            if stay:
                self._console.print(f"\nThe dashboard stays at {self._stack.api_url} until Ctrl-C.")
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self._console.print("\nStopping; nothing is left behind.")
            raise
        except Exception:
            self._show_logs()
            raise
        finally:
            await self._stack.stop()
        return code

    def _introduce(self) -> None:
        source = self._source
        self._console.print(f"Ready after {self._figures.ready:.1f} s. Watch it in a browser: {self._stack.api_url}\n")
        self._console.print("real       1,000 lines of a FOCUS 1.0 export and 1,281 lines of an AWS CUR, anonymised")
        self._console.print("real       8 Amazon CloudWatch series, replayed")
        self._console.print(
            f"synthetic  {source.history_days} days of history, then {source.days} days at {source.speed:g} a second,"
            f" with {len(self._card.incidents)} planted incidents\n"
        )

    async def _watch(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[day]}"), TimeElapsedColumn())
        with Progress(*columns, console=self._console, transient=True) as progress:
            bar = progress.add_task("synthetic month", total=float(self._source.days), day="")
            watchers = [
                asyncio.create_task(self._follow_alerts()),
                asyncio.create_task(self._follow_time(progress, bar)),
            ]
            try:
                await self._until_done(watchers)
            finally:
                for watcher in watchers:
                    watcher.cancel()
                await asyncio.gather(*watchers, return_exceptions=True)

    async def _until_done(self, watchers: list[asyncio.Task[None]]) -> None:
        """Until the month is over and every incident was delivered, or nothing more comes."""
        alerts, month = watchers
        await asyncio.wait(watchers, return_when=asyncio.FIRST_COMPLETED)
        if alerts.done():
            await alerts
        await month
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_SECONDS):
                while not self._card.is_complete:
                    self._changed.clear()
                    await self._changed.wait()

    async def _follow_alerts(self) -> None:
        async for event in follow(self._stack.api_url, after=0):
            if self._figures.first_alert is None:
                self._figures.first_alert = self._figures.elapsed()
            self._figures.alerts.add(event.record.alert.id)
            self._show(event, self._card.saw(event))
            self._changed.set()

    def _show(self, event: AlertEvent, incident: Incident | None) -> None:
        """What people are told of; what was planted in full, the rest with a line each."""
        is_told = event.type in (EventType.OPENED, EventType.REOPENED) and event.record.inhibited_by is None
        if is_told:
            self._figures.told.add(event.record.alert.id)
        if is_told or incident is not None:
            self._console.print(render(event) if incident is not None else brief(event))
        if incident is not None:
            beside = "" if is_told else " (told with another alert that is the same money)"
            text = f"   planted {incident.kind} found{beside}, {self._card.found} of {len(self._card.incidents)}"
            self._console.print(Text(text, style="green"))

    def _was_delivered(self, received: Received) -> None:
        self._card.was_delivered(received.alert_id)
        if not self._shown_webhook:
            self._shown_webhook = True
            text = f"   webhook {received.type} {received.webhook_id} verified, signature {received.signature[:24]}..."
            self._console.print(Text(text, style="magenta"))
        self._changed.set()

    async def _follow_time(self, progress: Progress, bar: TaskID) -> None:
        """The month's progress is the event time of the newest fact that the broker has acknowledged."""
        begin = datetime.combine(self._options.first_live_day, datetime.min.time(), UTC).timestamp()
        async with httpx.AsyncClient(timeout=5.0) as client:
            while True:
                newest = 0.0
                with contextlib.suppress(httpx.HTTPError):
                    samples = await _samples(client, self._stack.probes["connect"])
                    newest = samples.get(("spendwatch_last_fact_timestamp_seconds", self._source.name), 0.0)
                done = (newest - begin) / 86_400
                day = time.strftime("%Y-%m-%d", time.gmtime(newest)) if newest else ""
                progress.update(bar, completed=max(0.0, done), day=day)
                if done >= self._source.days - 1:
                    return
                await asyncio.sleep(0.25)

    async def _count(self) -> dict[str, float]:
        """Sums over all label sets, from the same pages that Prometheus scrapes."""
        counted: dict[str, float] = {}
        async with httpx.AsyncClient(timeout=5.0) as client:
            for address in self._stack.probes.values():
                for (name, _), value in (await _samples(client, address)).items():
                    counted[name] = counted.get(name, 0.0) + value
        return counted

    def _sum_up(self, counted: dict[str, float]) -> int:
        figures, card = self._figures, self._card
        table = Table.grid(padding=(0, 2))
        rows = [
            ("billing and metric rows read", f"{counted.get('spendwatch_rows_read_total', 0):,.0f}"),
            ("facts read from Kafka", f"{counted.get('spendwatch_facts_consumed_total', 0):,.0f}"),
            ("series watched", f"{counted.get('spendwatch_series_tracked', 0):,.0f}"),
            (
                "alerts",
                f"{len(figures.alerts):,}, of which {len(figures.told):,} were told: the others are the same money",
            ),
            ("webhooks verified", f"{len(self._desk.received):,} ({self._desk.refused} refused)"),
            ("incidents found", f"{card.found} of {len(card.incidents)}"),
            ("incidents delivered", f"{card.delivered} of {len(card.incidents)}"),
            ("first alert after", f"{figures.first_alert or 0:.1f} s"),
            ("whole demo", f"{figures.elapsed():.1f} s"),
        ]
        for row in rows:
            table.add_row(*row)
        self._console.print(table)
        for incident, how_far in card.missing():
            self._console.print(
                Text(f"missing: {incident.kind} {clean(', '.join(incident.must))}: {how_far}", style="red")
            )
        return 0 if card.is_complete else 1

    async def _show_digest(self) -> None:
        """The letter of the synthetic month's last full week, as far as a screen goes."""
        end = datetime.combine(self._options.first_live_day, datetime.min.time(), UTC)
        end += timedelta(days=self._source.days - 1)
        text = await preview_of(self._settings, self._settings.digests[0], due=end, made_at=datetime.now(UTC))
        self._console.print("\nWhat finance would get by mail:\n", style="bold")
        for line in text.splitlines()[:_LETTER_LINES]:
            self._console.print(Text(f"  {line}", no_wrap=True, overflow="ellipsis"))

    def _show_logs(self) -> None:
        for log in sorted(self._stack.logs.glob("*.log")) if self._stack.logs else []:
            lines = log.read_text(errors="replace").splitlines()[-5:]
            for line in lines:
                self._console.print(Text(f"{log.stem}: {clean(line)}", style="dim"))


async def _samples(client: httpx.AsyncClient, address: str) -> dict[tuple[str, str], float]:
    """(name, value of its first label) -> value; several label sets of that pair are added up."""
    response = await client.get(f"{address}/metrics")
    found: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(response.text):
        for sample in family.samples:
            key = (sample.name, next(iter(sample.labels.values()), ""))
            found[key] = found.get(key, 0.0) + sample.value
    return found

"""The routing tree asked, in a terminal: who would hear of an alert, from when on, and why not."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from connectors.facts import Basis
from service.api_client import ApiClient, segment
from service.console import clean, make_console, write_json
from service.core.alerts import Alert, AlertKind, AlertStatus, Severity
from service.core.durations import format_duration
from service.core.routing import Destination, Router, Step
from service.core.time_intervals import NEVER
from service.errors import ConfigError
from service.route_tree import described

_NUMBERS = ("impact", "actual", "expected", "score")


def sample(pairs: Sequence[str], *, tenant: str, at: datetime) -> Alert:
    """An alert with what `name=value` says of it: numbers, severity, kind, tenant, unit, metric, grain, or labels.

    Raises ConfigError.
    """
    given = dict(map(_pair, pairs))
    numbers = {name: _number(name, given.pop(name)) for name in _NUMBERS if name in given}
    excess = _number("excess", given.pop("excess")) if "excess" in given else numbers.get("impact", 0.0)
    expected = numbers.get("expected", 0.0)
    known = {name: given.pop(name) for name in ("tenant", "unit", "metric", "grain") if name in given}
    severity, kind = given.pop("severity", Severity.MEDIUM), given.pop("kind", AlertKind.SPIKE)
    try:
        return Alert(
            id="sample",
            version=1,
            status=AlertStatus.FIRING,
            kind=AlertKind(kind),
            severity=Severity(severity),
            tenant=known.get("tenant", tenant),
            series="sample",
            labels=given,
            metric=known.get("metric", "effective_cost"),
            unit=known.get("unit", "USD"),
            grain=known.get("grain", "1d"),
            basis=Basis.ESTIMATED,
            detector="sample",
            starts_at=at,
            ends_at=None,
            judged_at=at,
            actual=numbers.get("actual", expected + excess),
            expected=expected,
            lower=expected,
            upper=expected,
            score=numbers.get("score", 1.0),
            impact=numbers.get("impact", numbers.get("actual", expected + excess) - expected),
            buckets=1,
            drivers=(),
            reason="",
            action="",
        )
    except ValueError:
        raise ConfigError(
            f"expected severity one of {', '.join(Severity)} and kind one of {', '.join(AlertKind)},"
            f" got severity={severity} kind={kind}"
        ) from None


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name or name[-1] in "!~<>" or value.startswith("~"):
        raise ConfigError(f"expected label=value or number=value, such as team=search impact=1200, got {text!r}")
    return name, value.strip('"')


def _number(name: str, text: str) -> float:
    if not re.fullmatch(r"[-+]?\d+(\.\d*)?([eE][-+]?\d{1,2})?", text):
        raise ConfigError(f"{name}: expected a number, got {text!r}")
    return float(text)


def fetched(api: ApiClient, alert_id: str) -> Alert:
    """An alert of the running service. Raises ConfigError and UnavailableError."""
    found = api.ask("GET", f"/api/v1/alerts/{segment(alert_id)}")
    return _alert(found.get("record", found), "the API's answer")


def from_file(path: Path) -> Alert:
    """An alert as JSON: a message of the alerts topic, a record or an event of the API. Raises ConfigError."""
    try:
        return _alert(msgspec.json.decode(path.read_bytes(), type=dict[str, Any]), str(path))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: {error}") from None


def _alert(document: Mapping[str, Any], place: str) -> Alert:
    record = document.get("record", document)
    inner = record.get("alert", record) if isinstance(record, dict) else record
    try:
        return msgspec.convert(inner, Alert)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{place}: expected an alert: {error}") from None


def try_out(router: Router, alert: Alert, *, at: datetime, as_json: bool, console: Console | None = None) -> int:
    """Print who hears of an alert. Returns the exit code: 1 when nobody does, now or later."""
    console = console or make_console()
    destinations = router.destinations(alert)
    if as_json:
        answer = {"at": at, "routes": _paths(router, alert), "destinations": [_json(one, at) for one in destinations]}
        write_json(answer, console)
    else:
        for step in router.steps(alert):
            console.print(_looked_at(step), soft_wrap=True)
        for destination in destinations:
            console.print(_told(destination, at), soft_wrap=True)
        if not destinations:
            console.print("nobody: no route that matches has a receiver", style="bold red")
    return 0 if any(one.muted_until(at) != NEVER for one in destinations) else 1


def _paths(router: Router, alert: Alert) -> list[str]:
    return [step.node.path for step in router.steps(alert) if step.decides]


def _looked_at(step: Step) -> Text:
    text = Text("  " * step.node.path.count("."), style="" if step.decides else "dim")
    text.append("✓ " if step.failed is None else "✗ ")
    text.append(described(step.node))
    if step.failed is not None and len(step.node.matchers) > 1:
        text.append(clean(f": not {step.failed}"))
    return text


def _told(destination: Destination, at: datetime) -> Text:
    until = destination.muted_until(at)
    text = Text()
    text.append(clean(destination.receiver), style="bold green" if until is None else "bold yellow")
    text.append(f" hears by route {destination.route}")
    if destination.group_by:
        text.append(clean(f", in one message by {', '.join(destination.group_by)}"))
        text.append(f" after {format_duration(destination.group_wait)}")
    if until is not None:
        text.append(clean(f", muted now by {', '.join(destination.muted_by(at))}"), style="yellow")
        text.append(
            " for ever" if until == NEVER else f" until {until.astimezone(UTC):%a %Y-%m-%d %H:%M}Z", style="yellow"
        )
    return text


def _json(destination: Destination, at: datetime) -> dict[str, object]:
    return {
        "receiver": destination.receiver,
        "route": destination.route,
        "group_by": destination.group_by,
        "group_wait_seconds": destination.group_wait.total_seconds(),
        "group_interval_seconds": destination.group_interval.total_seconds(),
        "renotify_factor": destination.renotify_factor,
        "muted_by": destination.muted_by(at),
        "muted_until": destination.muted_until(at),
    }

"""A user's own words: Jinja2 in its sandbox, checked when the configuration is read.

What stands in `{{ }}` is escaped for the receiver's markup, so that a template may hold markup and a tag value cannot.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import structlog
from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from msgspec.structs import replace

from connectors.facts import Basis
from service.core.alerts import (
    Alert,
    AlertEvent,
    AlertKind,
    AlertRecord,
    AlertState,
    AlertStatus,
    DriverChange,
    EventType,
    Severity,
)
from service.core.notices import Member
from service.core.wording import amount, driver_name
from service.delivery.message import Message, message_of, resource_of
from service.delivery.texts import Escape, clean, cut, one_line
from service.errors import ConfigError
from service.receiver_settings import Templates

MAX_TEMPLATE = 20_000
"""Characters of a template, and of what comes of it."""
_TITLE = 250

_log = structlog.get_logger(__name__)


class Wording:
    """Events to messages, in the user's words where there are any, and in ours otherwise.

    where: `receiver 'desk'`. escape: for the receiver's markup. public_url: where links lead.
    """

    def __init__(self, templates: Templates, *, where: str, escape: Escape, public_url: str | None) -> None:
        """Raises ConfigError that names receiver, template and line."""
        self._where = where
        self._public_url = public_url
        self._title = _compiled("title", templates.title, templates.title_file, where, lambda text: one_line(text))
        self._text = _compiled("text", templates.text, templates.text_file, where, escape)
        for event in (_sample(EventType.OPENED), _sample(EventType.RESOLVED)):
            for name, template, file in (
                ("title", self._title, templates.title_file),
                ("text", self._text, templates.text_file),
            ):
                if template is not None:
                    _check(name, template, file, where, _context(message_of(event, public_url), event))

    def message(self, event: AlertEvent, members: Sequence[Member] = ()) -> Message:
        """Never raises: where a template fails on an alert, the alert is told in our words."""
        message = message_of(event, self._public_url, members)
        try:
            if self._title is not None:
                message = replace(message, title=cut(one_line(_rendered(self._title, message, event)), _TITLE))
            if self._text is not None:
                message = replace(message, text=clean(_rendered(self._text, message, event)))
        except Exception as error:  # a template may raise anything
            _log.warning("a template failed; our own words are sent", receiver=self._where, error=type(error).__name__)
            return message_of(event, self._public_url, members)
        return message


class _Labels(dict[str, str]):
    """A label that an alert does not carry is empty, as in routes; any other unknown name is a mistake."""

    def __missing__(self, name: str) -> str:
        return ""


def _rendered(template: Template, message: Message, event: AlertEvent) -> str:
    parts = template.generate(_context(message, event))
    text = ""
    for part in islice(parts, MAX_TEMPLATE):  # a loop over nothing much must not fill the memory
        text += part
        if len(text) > MAX_TEMPLATE:
            break
    return cut(text, MAX_TEMPLATE)


def _context(message: Message, event: AlertEvent) -> dict[str, object]:
    """What a template sees; docs/receivers.md lists it."""
    alert, record = event.record.alert, event.record
    return {
        "title": message.title,
        "news": message.news,
        "reason": message.reason,
        "action": message.action,
        "link": message.link or "",
        "facts": [{"name": name, "value": value} for name, value in message.facts],
        "drivers": [_driver(driver, alert.unit) for driver in alert.drivers],
        "event": event.type.value,
        "state": record.state.value,
        "severity": alert.severity.value,
        "kind": alert.kind.value,
        "labels": _Labels(alert.labels),
        "resource": resource_of(alert),
        "tenant": alert.tenant,
        "unit": alert.unit,
        "actual": alert.actual,
        "expected": alert.expected,
        "lower": alert.lower,
        "upper": alert.upper,
        "impact": alert.impact,
        "starts_at": alert.starts_at,
        "ends_at": alert.ends_at,
        "id": alert.id,
        "actor": event.actor,
        "comment": event.comment,
        "acknowledged_by": record.acknowledged_by or "",
        "acknowledged_until": record.acknowledged_until,
        "assigned_to": record.assigned_to or "",
        "resolved_by": record.resolved_by or "",
    }


def _driver(driver: DriverChange, unit: str) -> dict[str, object]:
    name, change = driver_name(driver.labels), amount(driver.change, unit, signed=True)
    return {
        "name": name,
        "change": change,
        "before": driver.before,
        "now": driver.now,
        "labels": _Labels(driver.labels),
    }


def _compiled(
    name: str, source: str | None, file: Path | None, where: str, escape: Callable[[str], str]
) -> Template | None:
    if source is None:
        return None
    if len(source) > MAX_TEMPLATE:
        raise ConfigError(f"{_at(where, name, file)}: must be at most {MAX_TEMPLATE} characters, got {len(source)}")
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, finalize=lambda value: escape("" if value is None else str(value)), autoescape=False
    )
    environment.filters["money"] = amount
    environment.globals.pop("range", None)  # the one way to write a loop without an end
    environment.globals.pop("lipsum", None)
    try:
        return environment.from_string(source)
    except TemplateSyntaxError as error:
        raise ConfigError(f"{_at(where, name, file)}:{error.lineno}: {error.message}") from None


def _check(name: str, template: Template, file: Path | None, where: str, context: dict[str, object]) -> None:
    try:
        template.render(context)
    except SecurityError as error:
        raise ConfigError(f"{_at(where, name, file)}:{_line(error)}: {error}") from None
    except TemplateError as error:
        raise ConfigError(f"{_at(where, name, file)}:{_line(error)}: {error.message}") from None
    except Exception as error:
        raise ConfigError(f"{_at(where, name, file)}:{_line(error)}: {type(error).__name__}: {error}") from None


def _at(where: str, name: str, file: Path | None) -> str:
    return f"{where}: templates.{name}" if file is None else f"{where}: templates.{name}_file {file}"


def _line(error: BaseException) -> int:
    """Line of the template in which it was raised: Jinja2 gives its frames the name `<template>`."""
    line, frames = 1, error.__traceback__
    while frames is not None:
        if frames.tb_frame.f_code.co_filename == "<template>":
            line = frames.tb_lineno
        frames = frames.tb_next
    return line


def _sample(event: EventType) -> AlertEvent:
    """An ordinary alert to try templates on."""
    at = datetime(2024, 9, 18, tzinfo=UTC)
    alert = Alert(
        id="sample",
        version=1,
        status=AlertStatus.FIRING,
        kind=AlertKind.SPIKE,
        severity=Severity.HIGH,
        tenant="default",
        series="default/effective_cost/USD/1d/tag:team=search",
        labels={"team": "search", "metric": "effective_cost", "grain": "1d"},
        metric="effective_cost",
        unit="USD",
        grain="1d",
        basis=Basis.BILLED,
        detector="seasonal",
        starts_at=at,
        ends_at=at + timedelta(days=1),
        judged_at=at,
        actual=412.5,
        expected=120.0,
        lower=95.0,
        upper=145.0,
        score=0.97,
        impact=292.5,
        buckets=1,
        drivers=(DriverChange(labels={"service_name": "Amazon EC2"}, change=292.5, before=120.0, now=412.5),),
        reason="team=search cost 412.50 USD on 2024-09-18, 3.4 times the 120.00 USD expected (95.00 to 145.00)",
        action="Look at Amazon EC2: +292.50 USD (usually 120.00)",
    )
    state = AlertState.FIRING if event is EventType.OPENED else AlertState.RESOLVED
    record = AlertRecord(alert=alert, state=state, seq=1, created_at=at, updated_at=at)
    return AlertEvent(seq=1, at=at, type=event, actor="detection", comment="", record=record)

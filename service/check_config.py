"""What `spendwatch check-config` says: what a configuration means, or everything that is wrong with it."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from connectors.errors import ConnectorError
from detectors import registry
from detectors.parameters import ParameterError, UnknownDetectorError
from service.config import load
from service.core.durations import format_duration
from service.core.policies import possible_detectors
from service.core.routing import Router
from service.delivery.receivers.factory import make_receivers
from service.errors import ConfigError
from service.inbound.senders import make_senders
from service.misshapen import Place
from service.route_tree import draw
from service.settings import Connector, Digest, Match, Settings
from service.sources import make


def report(path: Path | None) -> str:
    """One paragraph a section, in the order of the data. Raises ConfigError with every mistake."""
    settings = load(path, check=mistakes)
    return "\n".join([f"{path or 'defaults'}: no mistakes", "", *_lines(settings)])


def mistakes(settings: Settings) -> Iterator[tuple[Place, str]]:
    """What the shape of a configuration does not show, for `config.load`."""
    yield from _policy_mistakes(settings)
    for number, receiver in enumerate(settings.receivers):
        try:
            make_receivers(settings.model_copy(update={"receivers": (receiver,)}))
        except ConfigError as error:
            yield ("receivers", number), str(error)
    carries = {receiver.name: receiver for receiver in settings.receivers if receiver.carries_letters}
    for number, digest in enumerate(settings.digests):
        unable = [name for name in digest.names if name not in carries]
        if unable:
            able = ", ".join(carries) or "none that is configured"
            yield ("digests", number), f"no digest can be sent to {', '.join(unable)}; receivers that carry one: {able}"
    unable = [name for name in settings.silences.tell if name not in carries]
    if unable:
        able = ", ".join(carries) or "none that is configured"
        yield ("silences", "tell"), f"{', '.join(unable)} cannot be told; receivers that carry letters: {able}"
    for number, connector in enumerate(settings.connectors):
        try:
            make(connector, settings)
        except (ConnectorError, ValueError) as error:
            yield ("connectors", number), str(error)


def _policy_mistakes(settings: Settings) -> Iterator[tuple[Place, str]]:
    """Detectors that do not exist and parameters that they do not take."""
    for number, policy in enumerate(settings.policies):
        place: Place = ("policies", number)
        try:
            for grain, detector in possible_detectors(policy):
                registry.factory(detector, grain_seconds=grain.seconds, params=policy.params)
        except UnknownDetectorError as error:
            yield (*place, "detector"), str(error)
        except ParameterError as error:
            yield from (((*place, "params"), mistake) for mistake in error.mistakes)


def _lines(settings: Settings) -> list[str]:
    split = settings.split
    lines = [
        f"tenant      {settings.tenant}",
        f"kafka       {settings.kafka.bootstrap_servers or 'embedded (spendwatch up)'},"
        f" topics {settings.kafka.topic_prefix}.*, {settings.kafka.partitions} partitions",
        f"store       {settings.store.url.split('@')[-1]}",
        f"redis       {'configured' if settings.redis.url else 'embedded (spendwatch up), none elsewhere'}",
        f"api         http://{settings.api.host}:{settings.api.port}, {'a' if settings.api.token else 'no'} token",
        f"split       by {', '.join((*(f'tag {tag}' for tag in split.tags), *split.dimensions))}"
        f"{', total' if split.total else ''}; {split.metric} per {split.grain.value}",
        "connectors  " + (", ".join(map(_connector, settings.connectors)) or "none: facts come over HTTP or Kafka"),
    ]
    for number, policy in enumerate(settings.policies):
        name = "policies" if number == 0 else ""
        floor = "by grain" if policy.floor is None else f"{policy.floor:g}"
        money = f"floor {floor}, {'rises and falls' if policy.drops else 'rises'}"
        detectors = " or ".join(sorted({detector for _, detector in possible_detectors(policy)}))
        lines.append(f"{name:<12}{number + 1}. {_match(policy.match)}: {detectors}, {money}")
    receivers = ", ".join(f"{receiver.name} ({receiver.type})" for receiver in settings.receivers)
    lines.append(f"receivers   {receivers or 'none: alerts are shown, nobody is told'}")
    lines += [f"inbound     POST /inbound/{quote(name, safe='')}" for name in make_senders(settings)]
    for number, budget in enumerate(settings.budgets):
        told = f"{budget.pages} alerts in {budget.days:g} days for each {budget.label}"
        lines.append(f"{'budgets' if number == 0 else '':<12}{number + 1}. at most {told}; the rest is held back")
    for number, digest in enumerate(settings.digests):
        name = "digests" if number == 0 else ""
        lines.append(
            f"{name:<12}{number + 1}. {digest.name}: by {digest.by}, {_schedule(digest)} -> {', '.join(digest.names)}"
        )
    if settings.silences.tell:
        before = format_duration(settings.silences.expires_soon)
        lines.append(f"silences    their end is told {before} before -> {', '.join(settings.silences.tell)}")
    if settings.receivers:
        lines += _routes(settings)
    return lines


def _schedule(digest: Digest) -> str:
    day = "every day" if digest.every == "day" else f"every {digest.weekday.capitalize()}"
    return f"{day} at {digest.at:%H:%M} {digest.time_zone}"


def _routes(settings: Settings) -> list[str]:
    if settings.route is None:
        return ["route       none: every receiver hears of every alert"]
    receivers = [receiver.name for receiver in settings.receivers]
    drawn = draw(Router(settings.route, receivers, settings.time_intervals).root)
    return [f"{'route' if number == 0 else '':<12}{line}" for number, line in enumerate(drawn)]


def _connector(connector: Connector) -> str:
    return f"{connector.name} ({connector.type})"


def _match(match: Match) -> str:
    wanted = [f"{name}={value}" for name, value in match.model_dump(mode="json").items() if value is not None]
    return ", ".join(wanted) or "every other series"


def describe_detectors() -> str:
    """Every detector with its parameters, defaults and meaning."""
    return "\n\n".join(_describe(name) for name in registry.names())


def _describe(name: str) -> str:
    description = registry.describe(name)
    parameters = [f"  {one.name} = {one.default_note or one.default}  {one.meaning}" for one in description.parameters]
    return "\n".join([f"{name}: {description.summary}", *parameters])

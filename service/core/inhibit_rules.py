"""Explicit inhibition: an open alert that keeps others from being told, as Alertmanager's `inhibit_rules`."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.core.alerts import Alert
from service.core.labels import Subject, subject_of
from service.core.matchers import Matcher, all_hold, parse_matchers
from service.routing_settings import InhibitRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Inhibition:
    """A rule with its matchers read."""

    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...]


def read_rule(rule: InhibitRule) -> Inhibition:
    """Raises MatcherError for settings that `config.load` has not checked."""
    return Inhibition(
        source=parse_matchers(rule.source_matchers), target=parse_matchers(rule.target_matchers), equal=rule.equal
    )


def inhibitors(rules: Sequence[Inhibition], sources: Sequence[Alert], targets: Sequence[Alert]) -> dict[str, list[str]]:
    """Id of a target -> ids of the sources that keep it from being told as long as they are open, in their order.

    Labels of `equal` that both lack are equal. An alert inhibits no alert that would inhibit it by the same rule:
    where both match both sides neither is told of otherwise (Alertmanager leaves such pairs out for the same reason).
    """
    found: dict[str, list[str]] = {}
    if not rules:
        return found
    subjects = {alert.id: subject_of(alert) for alert in (*sources, *targets)}
    for rule in rules:
        is_source = {key: all_hold(rule.source, subject) for key, subject in subjects.items()}
        is_target = {key: all_hold(rule.target, subject) for key, subject in subjects.items()}
        by_labels: dict[tuple[str, ...], list[str]] = {}
        for source in sources:
            if is_source[source.id]:
                by_labels.setdefault(_equal(rule, subjects[source.id]), []).append(source.id)
        for target in targets:
            if is_target[target.id]:
                found.setdefault(target.id, []).extend(
                    one
                    for one in by_labels.get(_equal(rule, subjects[target.id]), ())
                    if one != target.id and not (is_target[one] and is_source[target.id])
                )
    return {target: ids for target, ids in found.items() if ids}


def _equal(rule: Inhibition, subject: Subject) -> tuple[str, ...]:
    return tuple(subject.labels.get(name, "") for name in rule.equal)

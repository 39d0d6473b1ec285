"""Explicit inhibition: an open alert that keeps others from being told, as Alertmanager's `inhibit_rules`."""

from dataclasses import dataclass

from service.core.alerts import Alert
from service.core.labels import subject_of
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


def inhibits(rule: Inhibition, source: Alert, target: Alert) -> bool:
    """Whether *source*, as long as it is open, keeps *target* from being told.

    Labels of `equal` that both lack are equal. An alert inhibits no alert that would inhibit it by the same rule:
    where both match both sides neither is told of otherwise (Alertmanager leaves such pairs out for the same reason).
    """
    if source.id == target.id:
        return False
    one, other = subject_of(source), subject_of(target)
    if not (all_hold(rule.source, one) and all_hold(rule.target, other)):
        return False
    if all_hold(rule.target, one) and all_hold(rule.source, other):
        return False
    return all(one.labels.get(name, "") == other.labels.get(name, "") for name in rule.equal)

"""Which open alert keeps which other from being told."""

import pytest

from service.core.alerts import Alert, Severity
from service.core.inhibit_rules import Inhibition, inhibitors, read_rule
from service.routing_settings import InhibitRule
from tests.builders import make_alert

RULE = read_rule(
    InhibitRule(
        source_matchers=("severity>=high",), target_matchers=("severity<high",), equal=("service_name", "tenant")
    )
)
PARENT = make_alert("parent", labels={"service_name": "EC2"}, severity=Severity.HIGH)


def inhibits(rule: Inhibition, source: Alert, target: Alert) -> bool:
    return inhibitors([rule], [source], [target]) == {target.id: [source.id]}


@pytest.mark.parametrize(
    ("labels", "severity", "inhibited"),
    [
        ({"service_name": "EC2", "team": "search"}, Severity.LOW, True),
        ({"service_name": "S3"}, Severity.LOW, False),
        ({}, Severity.LOW, False),
        ({"service_name": "EC2"}, Severity.CRITICAL, False),
    ],
)
def test_a_target_with_equal_labels_is_inhibited(labels: dict[str, str], severity: Severity, inhibited: bool) -> None:
    assert inhibits(RULE, PARENT, make_alert("child", labels=labels, severity=severity)) is inhibited


def test_labels_that_both_lack_are_equal() -> None:
    source = make_alert("parent", labels={}, severity=Severity.HIGH)
    assert inhibits(RULE, source, make_alert("child", labels={}))


def test_no_alert_inhibits_itself_nor_one_that_would_inhibit_it() -> None:
    rule = read_rule(InhibitRule(source_matchers=('unit="USD"',), target_matchers=('unit="USD"',)))
    assert not inhibits(rule, PARENT, PARENT)
    assert not inhibits(rule, PARENT, make_alert("other"))

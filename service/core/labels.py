"""What routes, silences and budgets know an alert by: its labels, and its numbers."""

from msgspec import Struct

from service.core.alerts import Alert, Severity

_RANKS = {severity: rank for rank, severity in enumerate(reversed(Severity))}


def severity_rank(severity: Severity) -> int:
    """0 for low up to 3 for critical."""
    return _RANKS[severity]


def routing_labels(alert: Alert) -> dict[str, str]:
    """The alert's labels plus severity, kind, tenant, unit, metric and grain, which win over tags of such names."""
    return {
        **alert.labels,
        "severity": alert.severity.value,
        "kind": alert.kind.value,
        "tenant": alert.tenant,
        "unit": alert.unit,
        "metric": alert.metric,
        "grain": alert.grain,
    }


class Subject(Struct, frozen=True, kw_only=True):
    """An alert as matchers see it. numbers: by the names of NUMBERS."""

    labels: dict[str, str]
    severity: int
    numbers: dict[str, float]


NUMBERS = ("impact", "excess", "actual", "expected", "score")
"""What matchers compare with <, <=, >, >=. impact, excess: how much, whether more or less than expected."""


def subject_of(alert: Alert) -> Subject:
    return Subject(
        labels=routing_labels(alert),
        severity=severity_rank(alert.severity),
        numbers={
            "impact": abs(alert.impact),
            "excess": abs(alert.actual - alert.expected),
            "actual": alert.actual,
            "expected": alert.expected,
            "score": alert.score,
        },
    )

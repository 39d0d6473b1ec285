"""Who hears about an alert: the routes of the configuration, as one function."""

from collections.abc import Sequence

from service.core.alerts import Alert, Severity
from service.settings import Route

_RANKS = {severity: rank for rank, severity in enumerate(reversed(Severity))}


def severity_rank(severity: Severity) -> int:
    """0 for low up to 3 for critical."""
    return _RANKS[severity]


def routing_labels(alert: Alert) -> dict[str, str]:
    """What matchers see: the alert's labels plus severity, kind, tenant and unit, which win over such tags."""
    return {
        **alert.labels,
        "severity": alert.severity.value,
        "kind": alert.kind.value,
        "tenant": alert.tenant,
        "unit": alert.unit,
    }


class Router:
    """Alert -> names of the receivers to tell, in the order of the configuration, each once.

    routes: every route whose matchers all hold adds its receiver. receivers: all that are configured; without any
    route each of them hears of everything, so that a first receiver works without a routing table.
    """

    def __init__(self, routes: Sequence[Route], receivers: Sequence[str]) -> None:
        self._routes = tuple(routes)
        self._receivers = tuple(dict.fromkeys(receivers))

    @property
    def receivers(self) -> tuple[str, ...]:
        return self._receivers

    def __call__(self, alert: Alert) -> tuple[str, ...]:
        if not self._routes:
            return self._receivers
        labels = routing_labels(alert)
        heard = (route.receiver for route in self._routes if _matches(route, alert.severity, labels))
        return tuple(dict.fromkeys(heard))


def _matches(route: Route, severity: Severity, labels: dict[str, str]) -> bool:
    if route.min_severity is not None and severity_rank(severity) < severity_rank(route.min_severity):
        return False
    return all(_holds(labels.get(name, ""), wanted) for name, wanted in route.match.items())


def _holds(value: str, wanted: str | tuple[str, ...]) -> bool:
    """A label that is missing counts as empty, as in Alertmanager: `team: ""` matches what has no team."""
    return value == wanted if isinstance(wanted, str) else value in wanted

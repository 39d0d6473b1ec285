"""docs/metrics.md lists every metric that our processes export; `python -m tests.test_metrics_docs` writes it again."""

from pathlib import Path

from prometheus_client import CollectorRegistry

from connectors.metrics import ConnectorMetrics
from detectors import registry as detectors
from service.delivery.metrics import DeliveryMetrics, DispatchMetrics
from service.digests.post import DigestMetrics
from service.inbound.metrics import InboundMetrics
from service.metrics import HttpMetrics, new_registry
from service.store.cache import Cache
from service.stream.metrics import StreamMetrics

DOCUMENT = Path(__file__).parent.parent / "docs" / "metrics.md"
HEAD = """# Metrics

What each role exports at `/metrics`, beside the `process_` and `python_` metrics of the Prometheus client. No tag
value, account or resource is ever a label; label sets start at zero. Rules and a dashboard that use them are in
`deploy/`.

"""


def _rows(registry: CollectorRegistry, known: set[str]) -> list[str]:
    rows = []
    for family in sorted(registry.collect(), key=lambda family: family.name):
        if not family.name.startswith("spendwatch_") or family.name in known:
            continue
        name = f"{family.name}_total" if family.type == "counter" else family.name
        collector = registry._names_to_collectors[name]
        labels = ", ".join(f"`{label}`" for label in getattr(collector, "_labelnames", ()))
        rows.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return rows


def _section(title: str, registry: CollectorRegistry, known: set[str]) -> str:
    rows = _rows(registry, known)
    return "\n".join([f"## {title}", "", "| metric | type | labels | meaning |", "|---|---|---|---|", *rows, ""])


def render() -> str:
    """The whole document."""
    common = new_registry("test")
    known = {family.name for family in common.collect()}
    parts = {name: CollectorRegistry() for name in ("worker", "api", "deliver", "connect")}
    StreamMetrics(parts["worker"], detectors=detectors.names())
    HttpMetrics(parts["api"])
    InboundMetrics(parts["api"], ["desk"])
    Cache(None, parts["api"])
    DeliveryMetrics(parts["deliver"], ["desk"])
    DispatchMetrics(parts["deliver"])
    DigestMetrics(parts["deliver"], ["weekly"])
    ConnectorMetrics(parts["connect"])
    sections = [_section("Every role", common, set())]
    sections += [_section(role, registry, known) for role, registry in parts.items()]
    return HEAD + "\n".join(sections)


def test_every_metric_is_documented() -> None:
    assert DOCUMENT.read_text() == render()


if __name__ == "__main__":
    DOCUMENT.write_text(render())

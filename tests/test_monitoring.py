"""Prometheus and Grafana ask for what the code exports, and every alert leads to a section of the handbook."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import CollectorRegistry

from connectors.metrics import ConnectorMetrics
from detectors import registry as detectors
from service.delivery.metrics import DeliveryMetrics, DispatchMetrics
from service.digests.post import DigestMetrics
from service.metrics import HttpMetrics, new_registry
from service.settings import Settings
from service.store.cache import Cache
from service.stream.metrics import StreamMetrics

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PROMETHEUS: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
GROUPS: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "prometheus/spendwatch.rules.yml").read_text())["groups"]
RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana/dashboards/spendwatch.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
DATASOURCES = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
TESTS = ["tests.yml", "tests-slow.yml"]
PORTS = {
    "api": Settings().api.port,
    "worker": Settings().worker.metrics_port,
    "deliver": Settings().deliver.metrics_port,
    "connect": Settings().connect.metrics_port,
}
OF_PROMETHEUS = {"job", "instance"}
"""Labels that every scraped series has."""


def exported() -> dict[str, set[str]]:
    """Every series our processes export -> its labels."""
    registry = new_registry("test")
    HttpMetrics(registry)
    ConnectorMetrics(registry)
    StreamMetrics(registry, detectors=detectors.names())
    DeliveryMetrics(registry, ["desk"])
    DispatchMetrics(registry)
    DigestMetrics(registry, ["weekly"])
    Cache(None, registry)
    return labels_by_series(registry)


def labels_by_series(registry: CollectorRegistry) -> dict[str, set[str]]:
    found = {}
    # Samples appear only once a label set exists; the registry's own index knows the others too.
    for name, collector in registry._names_to_collectors.items():
        found[name] = {*getattr(collector, "_labelnames", ()), *(["le"] if name.endswith("_bucket") else [])}
    return found


KNOWN = exported() | {"up": set()} | {rule["record"]: set() for rule in RULES if "record" in rule}
"""What a query may name. Labels of recorded series are those of their expression's `by`; not looked at."""


def expressions() -> Iterator[tuple[str, str]]:
    for rule in RULES:
        yield rule.get("alert") or rule["record"], rule["expr"]
    for panel in PANELS:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"].replace("$__rate_interval", "1m")


EXPRESSIONS = list(expressions())


def selectors(node: promql_parser.Expr) -> Iterator[promql_parser.VectorSelector]:
    """All selectors of a parsed query."""
    match node:
        case promql_parser.VectorSelector():
            yield node
        case promql_parser.MatrixSelector():
            yield node.vector_selector
        case promql_parser.BinaryExpr():
            yield from selectors(node.lhs)
            yield from selectors(node.rhs)
        case promql_parser.Call():
            for argument in node.args:
                yield from selectors(argument)
        case _:
            inner = getattr(node, "expr", None)
            if inner is not None:
                yield from selectors(inner)


@pytest.mark.parametrize(("name", "query"), EXPRESSIONS, ids=[name for name, _ in EXPRESSIONS])
def test_query_asks_for_series_and_labels_that_are_exported(name: str, query: str) -> None:
    for selector in selectors(promql_parser.parse(query)):
        assert selector.name is not None
        assert selector.name in KNOWN or selector.name.startswith("process_"), (
            f"{name}: {selector.name} is not exported"
        )
        for matcher in selector.matchers.matchers:
            assert matcher.name in KNOWN.get(selector.name, set()) | OF_PROMETHEUS, f"{name}: no label {matcher.name}"


@pytest.mark.parametrize(("name", "query"), EXPRESSIONS, ids=[name for name, _ in EXPRESSIONS])
def test_query_groups_by_labels_that_exist(name: str, query: str) -> None:
    grouped = {label.strip() for labels in re.findall(r"\b(?:by|on) \(([^)]*)\)", query) for label in labels.split(",")}
    available = {label for s in selectors(promql_parser.parse(query)) for label in KNOWN.get(s.name, set())}
    assert grouped <= available | OF_PROMETHEUS, name


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: str(rule["alert"]))
def test_alert_says_what_happened_and_where_to_read_on(rule: dict[str, Any]) -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "docs/operating.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert rule["alert"].startswith("Spendwatch")
    assert rule["labels"]["severity"] in {"page", "ticket", "info"}
    assert set(rule["annotations"]) == {"summary", "runbook"}
    assert rule["annotations"]["runbook"] in anchors


def test_names_of_rules_are_unique() -> None:
    names = [rule.get("alert") or rule["record"] for rule in RULES]
    assert len(names) == len(set(names))


def test_jobs_of_the_rules_are_scraped() -> None:
    jobs = {job["job_name"] for job in PROMETHEUS["scrape_configs"]}
    named = {job for rule in RULES for job in re.findall(r'job="([^"]+)"', rule["expr"])}
    assert named <= jobs


def scraped() -> Iterable[tuple[str, str, int]]:
    """Job, host, port of every target."""
    for job in PROMETHEUS["scrape_configs"]:
        for group in job.get("static_configs", []):
            for target in group["targets"]:
                host, _, port = target.partition(":")
                yield job["job_name"], host, int(port)
        for lookup in job.get("dns_sd_configs", []):
            for host in lookup["names"]:
                yield job["job_name"], host, lookup["port"]


def test_every_role_is_scraped_at_its_port() -> None:
    roles = {(job, host, port) for job, host, port in scraped() if job != "prometheus"}
    assert roles == {(f"spendwatch-{role}", role, port) for role, port in PORTS.items()}
    assert set(PORTS) <= set(COMPOSE["services"])


def test_rule_files_exist() -> None:
    assert [(DEPLOY / "prometheus" / name).exists() for name in PROMETHEUS["rule_files"]] == [True]


def test_rules_behave_as_their_tests_say() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian package `prometheus`)")
    folder = DEPLOY / "prometheus"
    for command in (["check", "config", "prometheus.yml"], ["test", "rules", *TESTS]):
        done = subprocess.run([promtool, *command], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_rules_that_are_tested_exist() -> None:
    tests = [test for name in TESTS for test in yaml.safe_load((DEPLOY / "prometheus" / name).read_text())["tests"]]
    tested = {case["alertname"] for test in tests for case in test["alert_rule_test"]}
    assert tested <= {rule["alert"] for rule in ALERTS}


def test_dashboard_reads_the_provisioned_source() -> None:
    (source,) = DATASOURCES
    expected = {"type": source["type"], "uid": source["uid"]}
    used = [panel["datasource"] for panel in PANELS] + [t["datasource"] for panel in PANELS for t in panel["targets"]]
    assert all(reference == expected for reference in used)
    assert source["url"] == "http://prometheus:9090"


def test_dashboard_can_be_provisioned() -> None:
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/spendwatch.yml").read_text())["providers"][0]
    mounted = {text.split(":")[1]: text.split(":")[0] for text in COMPOSE["services"]["grafana"]["volumes"]}
    assert mounted[provider["options"]["path"]] == "./deploy/grafana/dashboards"
    home = COMPOSE["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/spendwatch.json"
    assert DASHBOARD["id"] is None
    assert DASHBOARD["uid"] == "spendwatch"


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells

"""What all roles' metrics share."""

from datetime import timedelta

from prometheus_client import CollectorRegistry

from service.metrics import HttpMetrics, expose, new_registry
from tests.clock import NOON, FakeClock


def test_registry_says_which_process_it_is() -> None:
    registry = new_registry("deliver", clock=FakeClock(NOON + timedelta(seconds=1)))
    text = expose(registry, "")[0].decode()
    assert "spendwatch_build_info{" in text
    assert 'role="deliver"' in text
    assert registry.get_sample_value("spendwatch_start_time_seconds") == NOON.timestamp() + 1


def test_format_follows_the_accept_header() -> None:
    registry = new_registry("api")
    assert expose(registry, "")[1].startswith("text/plain")
    body, content_type = expose(registry, "application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_methods_of_scanners_do_not_grow_the_labels() -> None:
    registry = CollectorRegistry()
    HttpMetrics(registry).answered(method="PROPFIND", route="unmatched", status=405, seconds=0.1)
    labels = {"method": "OTHER", "route": "unmatched", "status": "405"}
    assert registry.get_sample_value("spendwatch_http_requests_total", labels) == 1


def test_streams_have_no_duration() -> None:
    registry = CollectorRegistry()
    HttpMetrics(registry).answered(method="GET", route="/s", status=200, seconds=None)
    labels = {"method": "GET", "route": "/s"}
    assert registry.get_sample_value("spendwatch_http_request_duration_seconds_count", labels) is None

"""What is taken from the alerts topic, and what is not."""

from datetime import UTC, datetime

import msgspec
import pytest
from msgspec.structs import replace

from service.core.alerts import AlertKind, Point
from service.core.episodes import alert_id
from service.stream.alert_messages import UnreadableAlertError, alert_of
from tests.builders import make_alert
from tests.clock import NOON

GOOD = make_alert(alert_id("default/effective_cost/USD/1d/tag:team=search", AlertKind.SPIKE, 1_700_000_000))


def encoded(**changes: object) -> bytes:
    return msgspec.json.encode(replace(GOOD, **changes))


def with_version(text: str) -> bytes:
    return encoded().replace(b'"version":1', b'"version":' + text.encode())


def test_our_own_alert_is_taken_as_it_is() -> None:
    assert alert_of(encoded()) == GOOD


def test_text_that_holds_nul_is_taken() -> None:
    """Tag values may hold it, and the store puts up with it."""
    assert alert_of(encoded(reason="a\0b", labels={"te\0am": "se\0arch"})).reason == "a\0b"


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (None, ""),
        (b"", ""),
        (b"{}", ""),
        (b"\xff\xfe", ""),
        (encoded().replace(b"search", b"se\xffrch"), ""),
        (encoded()[:-1] + b',"more":' + b"[" * 100_000 + b"]" * 100_000 + b"}", ""),
        (encoded().replace(b'"kind":"spike"', b'"kind":7'), "kind"),
        (encoded().replace(b"412.5", b"1e400"), "actual"),
        (encoded(id=""), "id"),
        (encoded(id="a\0b"), "id"),
        (encoded(id="a" * 65), "id"),
        (encoded(id="../a1"), "id"),
        (encoded(id="a1\n"), "id"),
        (with_version("-1"), "version"),
        (with_version(str(2**63)), "version"),
        (with_version("9" * 5_000), "version"),
        (encoded(buckets=-1), "buckets"),
        (encoded(tenant="t" * 65), "tenant"),
        (encoded(series="s" * 513), "series"),
        (encoded(reason="r" * 5_000), "reason"),
        (encoded(action="a" * 5_000), "action"),
        (encoded(labels={"team": "x" * 513}), "labels"),
        (encoded(labels={"x" * 513: "team"}), "labels"),
        (encoded(labels={str(number): "x" for number in range(65)}), "labels"),
        (encoded(impact=1e300), "impact"),
        (encoded(starts_at=datetime(2024, 9, 18)), "starts_at"),  # noqa: DTZ001  # this is what is refused
        (encoded(ends_at=datetime(1, 1, 1, tzinfo=UTC)), "ends_at"),
        (encoded(judged_at=datetime(9999, 12, 31, tzinfo=UTC)), "judged_at"),
        (
            encoded(history=(Point(at=NOON, actual=1.0), Point(at=NOON.replace(tzinfo=None), actual=1.0))),
            "history[1].at",
        ),
    ],
    ids=lambda value: None if isinstance(value, str) else "value",
)
def test_what_is_no_alert_is_refused_with_its_place(value: bytes | None, field: str) -> None:
    with pytest.raises(UnreadableAlertError) as caught:
        alert_of(value)
    assert caught.value.field == field
    assert 0 < len(str(caught.value)) < 300

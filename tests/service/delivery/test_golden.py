"""What each receiver sends for the life of an alert: others build on it, so a change is a deliberate edit.

`UPDATE_GOLDEN=1 python -m pytest tests/service/delivery/test_golden.py` writes the files anew.
"""

import json
import os
from pathlib import Path

import pytest

from service.core.alerts import DriverChange, EventType
from service.delivery.receivers.receiver import Delivered
from tests.clock import NOON
from tests.contracts.receiver import told
from tests.remotes.kinds import KINDS, Kind
from tests.remotes.remote import Request

GOLDEN = Path(__file__).parent / "golden"
LIFE = (EventType.OPENED, EventType.UPDATED, EventType.ACKNOWLEDGED, EventType.RESOLVED)
SHOWN_HEADERS = (
    "content-type",
    "idempotency-key",
    "webhook-id",
    "ce-id",
    "ce-type",
    "ce-source",
    "ce-subject",
    "ce-time",
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_what_is_sent(kind: Kind) -> None:
    drivers = (
        DriverChange(
            labels={"service_name": "Amazon EC2", "resource_id": "i-0abc"}, change=260.0, before=80.0, now=340.0
        ),
        DriverChange(labels={"other": "true"}, change=32.5, before=40.0, now=72.5),
    )
    sent: list[dict[str, object]] = []
    async with kind.remote() as remote:
        receiver = kind.on_loopback(remote.url)
        remote_id = None
        for event in LIFE:
            before = len(remote.requests)
            outcome = await receiver.send(told(event, remote_id=remote_id, drivers=drivers), now=NOON)
            assert isinstance(outcome, Delivered)
            remote_id = outcome.remote_id or remote_id
            sent.append({"event": event.value, "requests": [_shown(one) for one in remote.requests[before:]]})
        await receiver.close()
    text = json.dumps(sent, indent=1, ensure_ascii=False) + "\n"
    assert not [secret for secret in kind.secrets if secret in text and kind.type not in ("pagerduty", "webhook")]
    path = GOLDEN / f"{kind.name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert path.read_text() == text


def _shown(request: Request) -> dict[str, object]:
    path = request.path.replace("T0KENPART", "SECRET")
    shown: dict[str, object] = {"request": f"{request.method} {path}"}
    query = {name: value for name, value in request.query.items() if name != "sig"}
    headers = {name: request.headers[name] for name in SHOWN_HEADERS if name in request.headers}
    shown |= {name: value for name, value in (("query", query), ("headers", headers)) if value}
    if request.body:
        shown["body"] = request.json
    return shown

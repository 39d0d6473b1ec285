"""Webhooks as the remotes send them: the shapes of their references, really signed.

Jira: https://developer.atlassian.com/cloud/jira/platform/webhooks/; PagerDuty: the payloads of its client for Go;
Zendesk: its list of ticket events; Slack: the reference of block_actions. ServiceNow: what docs/two-way.md has the rule
send.
"""

import base64
import hashlib
import hmac
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

SECRET = "a-secret-of-both-sides-0001"
OURS = "712020:spendwatch"
"""Our account, wherever the other side has accounts."""
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Hook:
    """A request to us. headers: names as the sender writes them."""

    headers: Mapping[str, str]
    body: bytes


def _mac(secret: str, signed: bytes) -> bytes:
    return hmac.new(secret.encode(), signed, hashlib.sha256).digest()


def _json(body: object) -> bytes:
    return json.dumps(body).encode()


def jira(event: Mapping[str, Any], *, at: datetime, secret: str = SECRET) -> Hook:
    body = _json({"timestamp": int(at.timestamp() * 1000), **event})
    headers = {
        "Content-Type": "application/json; charset=UTF-8",
        "X-Hub-Signature": f"sha256={_mac(secret, body).hex()}",
        "X-Atlassian-Webhook-Identifier": f"6f{next(_numbers):030x}",
        "X-Atlassian-Webhook-Flow": "Primary",
    }
    return Hook(headers, body)


def jira_user(account: str) -> dict[str, Any]:
    self_ = f"https://acme.atlassian.net/rest/api/2/user?accountId={account}"
    name = "Spendwatch" if account == OURS else account
    return {"self": self_, "accountId": account, "displayName": name, "active": True, "accountType": "atlassian"}


def servicenow(event: Mapping[str, Any], *, at: datetime, secret: str = SECRET) -> Hook:
    body = _json({**event, "updated_on": f"{at:%Y-%m-%d %H:%M:%S}"})
    return Hook({"Content-Type": "application/json", "X-Spendwatch-Secret": secret}, body)


def zendesk(event: Mapping[str, Any], *, at: datetime, secret: str = SECRET) -> Hook:
    stamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body = _json({"account_id": 22129848, "id": f"01G{next(_numbers):023}", "time": stamp, **event})
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "X-Zendesk-Account-Id": "22129848",
        "X-Zendesk-Webhook-Signature": base64.b64encode(_mac(secret, stamp.encode() + body)).decode(),
        "X-Zendesk-Webhook-Signature-Timestamp": stamp,
    }
    return Hook(headers, body)


def pagerduty(kind: str, data: Mapping[str, Any], *, by: str | None, at: datetime, secret: str = SECRET) -> Hook:
    agent = {
        "html_url": "https://acme.pagerduty.com/users/PLH1HKV",
        "id": "PLH1HKV",
        "self": "https://api.pagerduty.com/users/PLH1HKV",
        "summary": by,
        "type": "user_reference",
    }
    service = {"id": "PF9KMXH", "summary": "Spend", "type": "service_reference"}
    event = {
        "id": f"01BRB6{next(_numbers):020}",
        "event_type": f"incident.{kind}",
        "resource_type": "incident",
        "occurred_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "agent": service if by is None else agent,
        "client": None,
        "data": data,
    }
    body = _json({"event": event})
    # An older secret is still in use beside the new one.
    signature = f"v1={_mac('the-secret-before-this-one', body).hex()},v1={_mac(secret, body).hex()}"
    headers = {"Content-Type": "application/json", "X-PagerDuty-Signature": signature, "X-Webhook-Id": "0f9b1a4e"}
    return Hook(headers, body)


def slack(action_id: str, value: str, *, by: str, at: datetime, response_url: str = "", secret: str = SECRET) -> Hook:
    number = next(_numbers)
    payload = {
        "type": "block_actions",
        "user": {"id": "UA8RXUSPL", "username": by, "name": by, "team_id": "T9TK3CUKW"},
        "api_app_id": "AABA1ABCD",
        "container": {"type": "message", "message_ts": "1900000001.000100", "channel_id": "C024BE91L"},
        "trigger_id": f"12321423423.333649436676.{number:032x}",
        "team": {"id": "T9TK3CUKW", "domain": "acme"},
        "channel": {"id": "C024BE91L", "name": "finops"},
        "response_url": response_url or "https://hooks.slack.com/actions/T9TK3CUKW/1/XXXX",
        "actions": [
            {
                "type": "button",
                "action_id": action_id,
                "block_id": "=qXel",
                "text": {"type": "plain_text", "text": "?", "emoji": True},
                "value": value,
                "action_ts": f"{at.timestamp():.6f}",
            }
        ],
    }
    body = urlencode({"payload": json.dumps(payload)}).encode()
    stamp = str(int(at.timestamp()))
    signature = _mac(secret, b"v0:" + stamp.encode() + b":" + body).hex()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={signature}",
    }
    return Hook(headers, body)

"""Slack and Teams, as their references say."""

import re
from typing import Any

from service.core.inbound import Action
from tests.remotes import hooks
from tests.remotes.remote import RefusedError, Remote, Reply, Request, require

TOKEN = "xoxb-1234567890-hunter2"
CHANNEL = "C024BE91L"
_MENTION = re.compile(r"<[!@#]")


def check_blocks(blocks: list[dict[str, Any]]) -> None:
    """Block Kit's limits, and what must not be in a text that came from a tag."""
    require(len(blocks) <= 50, b"invalid_blocks")
    for block in blocks:
        match block["type"]:
            case "header":
                require(0 < len(block["text"]["text"]) <= 150, b"invalid_blocks")
                require(block["text"]["type"] == "plain_text", b"invalid_blocks")
            case "section":
                texts = [block["text"]] if "text" in block else []
                require(all(0 < len(text["text"]) <= 3000 for text in texts), b"invalid_blocks")
                fields = block.get("fields", [])
                require(texts or fields, b"invalid_blocks")
                require(len(fields) <= 10 and all(len(one["text"]) <= 2000 for one in fields), b"invalid_blocks")
            case "context":
                require(len(block["elements"]) <= 10, b"invalid_blocks")
            case "actions":
                for button in block["elements"]:
                    require(len(button["action_id"]) <= 255 and len(button.get("url", "")) <= 3000, b"invalid_blocks")
                    require(len(button["text"]["text"]) <= 75, b"invalid_blocks")
            case _:
                raise RefusedError(400, b"invalid_blocks")


class SlackWebhookRemote(Remote):
    """An incoming webhook: keeps what was posted."""

    def __init__(self) -> None:
        super().__init__()
        self.posts: list[dict[str, Any]] = []

    def handle(self, request: Request) -> Reply:
        require(request.method == "POST", b"invalid_payload")
        payload = request.json
        require(payload.get("text"), b"no_text")
        check_blocks(payload["blocks"])
        self.posts.append(payload)
        return Reply(200, b"ok", {"content-type": "text/html"})


class SlackRemote(Remote):
    """The Web API of one channel: every answer is 200, and says in `ok` whether it worked."""

    def __init__(self) -> None:
        super().__init__()
        self.posts: dict[str, dict[str, Any]] = {}
        self.replies: list[dict[str, Any]] = []
        self.may_read = True
        self._clock = 1_900_000_000

    def handle(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return _not_ok("invalid_auth")
        match request.path:
            case "/chat.postMessage":
                return self._post(request.json)
            case "/chat.update":
                return self._update(request.json)
            case "/conversations.history":
                return self._history(request)
        return _not_ok("unknown_method")

    def states(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for post in self.posts.values():
            title = post["blocks"][0]["text"]["text"]
            state = {
                "[resolved]": "resolved",
                "[expected]": "resolved",
                "[withdrawn]": "resolved",
                "[acknowledged]": "acknowledged",
            }
            marker = post["metadata"]["event_payload"]["alert"]
            found.setdefault(marker, []).append(state.get(title.split(" ")[0], "open"))
        return found

    def person(self, alert: str, does: Action, who: str = "alice", comment: str = "") -> None:
        """Presses a button under the newest post of an alert, which changes nothing there; without it, does nothing."""
        del comment
        names = {Action.ACKNOWLEDGE: "acknowledge", Action.CLOSE: "resolve", Action.EXPECTED: "expected"}
        for button in self.buttons(alert):
            if button["action_id"] == f"spendwatch_{names.get(does)}":
                self.hooks.append(hooks.slack(button["action_id"], button["value"], by=who, at=self.now()))

    def buttons(self, alert: str) -> list[dict[str, Any]]:
        """Under the newest post of an alert; without links."""
        post = next(
            one for one in reversed(self.posts.values()) if one["metadata"]["event_payload"].get("alert") == alert
        )
        rows = [block["elements"] for block in post["blocks"] if block["type"] == "actions"]
        return [button for row in rows for button in row if "url" not in button]

    def _post(self, body: dict[str, Any]) -> Reply:
        if body["channel"] != CHANNEL:
            return _not_ok("channel_not_found")
        if "blocks" in body:
            check_blocks(body["blocks"])
        self._clock += 1
        ts = f"{self._clock}.000100"
        if "thread_ts" in body:
            if body["thread_ts"] not in self.posts:
                return _not_ok("thread_not_found")
            self.replies.append(body)
        else:
            self.posts[ts] = body
        return Reply(200, {"ok": True, "channel": CHANNEL, "ts": ts})

    def _update(self, body: dict[str, Any]) -> Reply:
        if body["ts"] not in self.posts:
            return _not_ok("message_not_found")
        check_blocks(body["blocks"])
        self.posts[body["ts"]] = body
        return Reply(200, {"ok": True, "channel": CHANNEL, "ts": body["ts"]})

    def _history(self, request: Request) -> Reply:
        if not self.may_read:
            return Reply(200, {"ok": False, "error": "missing_scope", "needed": "channels:history"})
        newest = sorted(self.posts.items(), reverse=True)
        start, limit = int(request.query.get("cursor", "0")), int(request.query["limit"])
        page = [{"ts": ts, "metadata": post["metadata"]} for ts, post in newest[start : start + limit]]
        more = str(start + limit) if start + limit < len(newest) else ""
        return Reply(200, {"ok": True, "messages": page, "response_metadata": {"next_cursor": more}})


def _not_ok(error: str) -> Reply:
    return Reply(200, {"ok": False, "error": error})


class TeamsRemote(Remote):
    """A workflow: takes a card and answers 202 before it has shown it."""

    def __init__(self) -> None:
        super().__init__()
        self.cards: list[dict[str, Any]] = []

    def handle(self, request: Request) -> Reply:
        require(len(request.body) <= 28_000, b"Request Entity Too Large", 413)
        message = request.json
        require(message["type"] == "message", {"error": {"code": "InvalidRequestContent"}})
        (attachment,) = message["attachments"]
        require(attachment["contentType"] == "application/vnd.microsoft.card.adaptive", {"error": {}})
        card = attachment["content"]
        require(card["type"] == "AdaptiveCard" and card["version"] in ("1.2", "1.3", "1.4"), {"error": {}})
        for block in card["body"]:
            require(block["type"] == "RichTextBlock" and block["inlines"], {"error": {}})
            require(all(run["type"] == "TextRun" and run["text"] for run in block["inlines"]), {"error": {}})
        self.cards.append(card)
        return Reply(202)

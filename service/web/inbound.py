"""`POST /inbound/{receiver}`: what people did in the other systems, as these send it.

No token: whoever sends has signed it, or knows the receiver's secret. A refusal says nothing but its status. What was
understood is answered with an empty 200 as soon as the store has it, also when it changed nothing; 503 asks the sender
to send it again, which changes nothing twice.
"""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus

import structlog
from litestar import Request, Response, Router, post
from litestar.background_tasks import BackgroundTask
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath
from msgspec.structs import replace

from connectors.facts import FeedbackVerdict
from service.core.inbound import Action, Heard, Inbound, Outcome
from service.delivery.texts import clean, cut, one_line
from service.errors import UnavailableError
from service.inbound.reading import MalformedError, RefusedError
from service.inbound.replies import reply, reply_of
from service.inbound.sender import Sender
from service.receiver_settings import SlackBotReceiver
from service.web.auth import PUBLIC
from service.web.errors import ProblemError, problem_spec, unavailable
from service.web.parts import Given, Parts

MAX_BODY_BYTES = 1024 * 1024
ANSWER_SECONDS = 2.0
"""Slack waits for 3."""
_NAME = 128
_COMMENT = 2000

_log = structlog.get_logger(__name__)


@post(
    "/inbound/{receiver:str}",
    summary="Hear what people did in a receiver",
    status_code=HTTPStatus.OK.value,
    request_max_body_size=MAX_BODY_BYTES,
    opt={PUBLIC: True},
    security=[],
    tags=["inbound"],
    responses={
        200: ResponseSpec(data_container=None, description="Heard; the body is empty.", generate_examples=False),
        400: problem_spec("Signed, and not what this sender is known to send."),
        401: problem_spec("Not signed with the secret of this receiver, or not just now."),
        404: problem_spec("Nothing is heard from a receiver of this name."),
        413: problem_spec(f"More than {MAX_BODY_BYTES // 1024 // 1024} MiB."),
        503: problem_spec("A dependency is away; send the same again after `Retry-After` seconds."),
    },
)
async def hear(request: Request[object, object, State], parts: Given, receiver: FromPath[str]) -> Response[bytes]:
    """Close, reopen, acknowledge, assign and comment come back from Jira, Jira Service Management, ServiceNow, Zendesk,
    PagerDuty and the buttons in Slack, each in the sender's own form and with its own signature: docs/two-way.md.
    """
    sender = parts.senders.get(receiver)
    if sender is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, "no-such-path", "Not Found")
    said = await _read(request, parts, receiver, sender)
    if not said:
        parts.inbound_metrics.heard(receiver, Outcome.IGNORED)
    answers: list[tuple[str, str]] = []
    for one in said:
        heard = await _apply(parts, receiver, one)
        parts.inbound_metrics.heard(receiver, heard.outcome)
        _log.info("heard", receiver=receiver, action=one.action.value, outcome=heard.outcome.value)
        text = reply_of(heard)
        if one.reply_url is not None and text is not None:
            answers.append((one.reply_url, text))
        elif heard.outcome is Outcome.UNAVAILABLE:
            raise unavailable("please send it again")
    background = BackgroundTask(_answer, parts, receiver, answers) if answers else None
    return Response(b"", background=background)


async def _read(
    request: Request[object, object, State], parts: Parts, receiver: str, sender: Sender
) -> Sequence[Inbound]:
    """Raises ProblemError, and litestar's HTTPException for a body that is too large."""
    try:
        body = await request.body()
        sender.verify(request.headers, body, parts.clock.now())
        return sender.parse(body)
    except RefusedError as error:
        parts.inbound_metrics.heard(receiver, Outcome.REFUSED)
        raise ProblemError(HTTPStatus.UNAUTHORIZED, "bad-signature", str(error)) from None
    except MalformedError as error:
        parts.inbound_metrics.heard(receiver, Outcome.MALFORMED)
        raise ProblemError(HTTPStatus.BAD_REQUEST, "invalid-request", str(error)) from None
    except HTTPException as error:
        if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            parts.inbound_metrics.heard(receiver, Outcome.TOO_LARGE)
        raise


async def _apply(parts: Parts, receiver: str, said: Inbound) -> Heard:
    """Within the time that the sender waits; away and too slow are the same to it."""
    actor = cut(f"{receiver}:{one_line(said.actor) or 'somebody'}", _NAME)
    said = _tidy(said)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            if said.action is Action.EXPECTED:
                return await _say_expected(parts, said, receiver, actor)
            heard = await parts.inbox.hear(receiver, said, actor=actor, at=parts.clock.now())
    except (UnavailableError, ProblemError, TimeoutError) as error:
        _log.warning("not heard, since something is away", receiver=receiver, reason=str(error)[:200])
        return Heard(outcome=Outcome.UNAVAILABLE)
    await parts.announce(heard.events)
    return heard


async def _say_expected(parts: Parts, said: Inbound, receiver: str, actor: str) -> Heard:
    """Heard once, then told to detection, which answers with a version of the alert."""
    heard = await parts.inbox.hear(receiver, said, actor=actor, at=parts.clock.now())
    if heard.outcome is not Outcome.UNCHANGED or heard.record is None:
        return heard
    verdict = FeedbackVerdict.EXPECTED
    await parts.give_feedback(heard.record.alert.id, verdict=verdict, actor=actor, comment=said.comment)
    return Heard(outcome=Outcome.APPLIED, record=heard.record)


def _tidy(said: Inbound) -> Inbound:
    """Other people's text, as far as it is kept."""
    assignee = None if said.assignee is None else cut(one_line(said.assignee), _NAME)
    return replace(said, assignee=assignee, comment=cut(clean(said.comment).strip(), _COMMENT))


async def _answer(parts: Parts, receiver: str, answers: Sequence[tuple[str, str]]) -> None:
    config = next(one for one in parts.settings.receivers if one.name == receiver)
    if isinstance(config, SlackBotReceiver):
        for url, text in answers:
            await reply(config, url, text, parts.clock)


def inbound_router() -> Router:
    return Router(path="/", route_handlers=[hear])

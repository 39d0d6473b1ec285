"""What people do to an alert: `POST /api/v1/alerts/{id}/...`. Each answers with the alert as it is then."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from litestar import post
from litestar.params import Body, FromPath
from msgspec import Meta, Struct

from connectors.facts import FeedbackVerdict
from service.core.alerts import AlertRecord
from service.web.errors import OF_ALERT, bad_request
from service.web.parts import Given

_YEAR = timedelta(days=366)
_YEAR_SECONDS = int(_YEAR.total_seconds())

Name = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"\S")]
Text = Annotated[str, Meta(max_length=2000)]
_CASCADE = "Whether the same is done to the alerts that this one is told in place of (`inhibited_by`)."


class Action(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who did it, and why. The comment is kept in the audit trail and sent to receivers."""

    actor: Name
    comment: Text = ""


class Resolution(Action, frozen=True, kw_only=True, forbid_unknown_fields=True):
    cascade: Annotated[bool, Meta(description=_CASCADE)] = True


class Acknowledgement(Action, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how long somebody looks after it, as a time or a number of seconds; without either until it is over."""

    expires_at: Annotated[datetime, Meta(tz=True, description="At most a year from now.")] | None = None
    for_seconds: Annotated[int, Meta(ge=1, le=_YEAR_SECONDS)] | None = None
    cascade: Annotated[bool, Meta(description=_CASCADE)] = True

    def until(self, now: datetime) -> datetime | None:
        """Raises ProblemError."""
        if self.expires_at is None:
            return None if self.for_seconds is None else now + timedelta(seconds=self.for_seconds)
        if self.for_seconds is not None:
            raise bad_request("body expires_at", "expected one of expires_at and for_seconds, got both")
        if not now < self.expires_at <= now + _YEAR:
            raise bad_request(
                "body expires_at", f"expected a time within a year from now, got {self.expires_at.isoformat()}"
            )
        return self.expires_at.astimezone(UTC)


class Assignment(Action, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """to: whose task it is from now on; null is nobody's."""

    to: Name | None


class Remark(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    actor: Name
    comment: Annotated[str, Meta(min_length=1, max_length=2000, pattern=r"\S")]


class Opinion(Action, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person says an alert was."""

    verdict: FeedbackVerdict
    cascade: Annotated[bool, Meta(description=_CASCADE)] = True


@post(
    "/alerts/{alert_id:str}/acknowledge",
    summary="Acknowledge an alert",
    status_code=200,
    responses=OF_ALERT,
)
async def acknowledge_alert(
    parts: Given, alert_id: FromPath[str], data: Annotated[Acknowledgement, Body()]
) -> AlertRecord:
    """Say that somebody looks after it, for a while or until it is over; when the while is over it fires again.
    Doing the same again, or after it was over, changes nothing; another end replaces the one before.
    """
    until = data.until(parts.clock.now())
    await parts.acknowledge(alert_id, actor=data.actor, comment=data.comment, until=until, cascade=data.cascade)
    return await parts.store.get(alert_id)


@post(
    "/alerts/{alert_id:str}/resolve",
    summary="Resolve an alert",
    status_code=200,
    responses=OF_ALERT,
)
async def resolve_alert(parts: Given, alert_id: FromPath[str], data: Annotated[Resolution, Body()]) -> AlertRecord:
    """Close it by hand; it stays closed for this episode. Doing it again changes nothing."""
    await parts.resolve(alert_id, actor=data.actor, comment=data.comment, cascade=data.cascade)
    return await parts.store.get(alert_id)


@post(
    "/alerts/{alert_id:str}/reopen",
    summary="Reopen an alert",
    status_code=200,
    responses=OF_ALERT,
)
async def reopen_alert(parts: Given, alert_id: FromPath[str], data: Annotated[Action, Body()]) -> AlertRecord:
    """Take back what a person resolved, or a plan expected, while it goes on.

    What detection has ended is left as it is: it opens again by itself when its spend is back.
    """
    await parts.reopen(alert_id, actor=data.actor, comment=data.comment)
    return await parts.store.get(alert_id)


@post(
    "/alerts/{alert_id:str}/assign",
    summary="Assign an alert",
    status_code=200,
    responses=OF_ALERT,
)
async def assign_alert(parts: Given, alert_id: FromPath[str], data: Annotated[Assignment, Body()]) -> AlertRecord:
    """Say whose task it is. It changes nothing else: who looks after it acknowledges it."""
    to = None if data.to is None else data.to.strip()
    await parts.assign(alert_id, to=to, actor=data.actor, comment=data.comment)
    return await parts.store.get(alert_id)


@post(
    "/alerts/{alert_id:str}/comment",
    summary="Comment on an alert",
    status_code=200,
    responses=OF_ALERT,
)
async def comment_on_alert(parts: Given, alert_id: FromPath[str], data: Annotated[Remark, Body()]) -> AlertRecord:
    """Kept in the audit trail. No receiver is told of it."""
    await parts.comment(alert_id, actor=data.actor, comment=data.comment)
    return await parts.store.get(alert_id)


@post(
    "/alerts/{alert_id:str}/feedback",
    summary="Say what an alert was",
    status_code=202,
    responses=OF_ALERT,
)
async def give_feedback(parts: Given, alert_id: FromPath[str], data: Annotated[Opinion, Body()]) -> AlertRecord:
    """`expected` ends this episode quietly and teaches nothing; `new_normal` takes its level for normal from here on;
    `false_alarm` withdraws it, and no deviation of the series as small as this one is an alert any more.

    The answer comes once the broker has it; detection follows within seconds with a new version of the alert. Of
    several the last one counts.
    """
    await parts.give_feedback(
        alert_id, verdict=data.verdict, actor=data.actor, comment=data.comment, cascade=data.cascade
    )
    return await parts.store.get(alert_id)


DEEDS = (acknowledge_alert, resolve_alert, reopen_alert, assign_alert, comment_on_alert, give_feedback)

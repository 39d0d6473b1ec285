"""What people do to alerts, and to those that an alert is told in place of. Pure.

One incident shows as several alerts of the same money, of which one, the head, is told. Who answers for the head has
answered for all of them: else the next one would be told as soon as the head is over.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

from connectors.facts import FeedbackVerdict
from service.core.alerts import AlertRecord, EventType
from service.core.transitions import acknowledged, assigned, commented, reopened, resolved
from service.core.wording import who


class Move(Protocol):
    """One of service/core/transitions.py."""

    def __call__(self, current: AlertRecord, *, actor: str, at: datetime) -> AlertRecord | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """kind: of the events. cascade: whether it is done to the members as well. words: the comment as it is kept."""

    kind: EventType
    move: Move
    actor: str
    comment: str
    at: datetime
    cascade: bool = False
    words: Callable[[str], str] = str

    def changes(self, head: AlertRecord, members: Iterable[AlertRecord]) -> list[tuple[AlertRecord, str]]:
        """The records it makes, with their comments, the head's last; none when it changes nothing of the head.

        members: the alerts that *head* is told in place of. What is over is not touched.
        """
        moved = self.move(head, actor=self.actor, at=self.at)
        if moved is None:
            return []
        found = [
            (record, self.words(_together_with(head, self.comment)))
            for member in members
            if self.cascade
            and not member.state.is_over
            and (record := self.move(member, actor=self.actor, at=self.at)) is not None
        ]
        return [*found, (moved, self.words(self.comment))]


def _together_with(head: AlertRecord, comment: str) -> str:
    said = f"together with {who(head.alert.series)} ({head.alert.id})"
    return f"{said}: {comment}" if comment else said


def acknowledge(*, actor: str, comment: str, at: datetime, until: datetime | None, cascade: bool) -> Deed:
    move = partial(acknowledged, until=until)
    return Deed(kind=EventType.ACKNOWLEDGED, move=move, actor=actor, comment=comment, at=at, cascade=cascade)


def resolve(*, actor: str, comment: str, at: datetime, cascade: bool) -> Deed:
    return Deed(kind=EventType.RESOLVED, move=resolved, actor=actor, comment=comment, at=at, cascade=cascade)


def reopen(*, actor: str, comment: str, at: datetime) -> Deed:
    return Deed(kind=EventType.REOPENED, move=reopened, actor=actor, comment=comment, at=at)


def assign(*, to: str | None, actor: str, comment: str, at: datetime) -> Deed:
    move = partial(assigned, to=to)
    return Deed(kind=EventType.ASSIGNED, move=move, actor=actor, comment=comment, at=at)


def comment_on(*, actor: str, comment: str, at: datetime) -> Deed:
    return Deed(kind=EventType.COMMENTED, move=commented, actor=actor, comment=comment, at=at)


def give_feedback(*, verdict: FeedbackVerdict, actor: str, comment: str, at: datetime, cascade: bool) -> Deed:
    def words(text: str) -> str:
        return f"{verdict.value}: {text}" if text else verdict.value

    move, kind = commented, EventType.FEEDBACK
    return Deed(kind=kind, move=move, actor=actor, comment=comment, at=at, cascade=cascade, words=words)

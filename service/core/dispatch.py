"""Who is told of an alert for the first time, and beside which other one: the dispatch. Pure.

As Alertmanager's, it stands between what fires and who hears of it: planned spend, silences, the routes with their time
windows, inhibition, grouping and the alert budget, in this order. Unlike Alertmanager's it leaves no receiver deaf:
one alert inhibits another for a receiver only if that receiver is told of the first. What was told once is told of
until it ends; a better head that comes later is inhibited by it.

The dashboard counts as a receiver that hears of everything (EVERYBODY): what it is not shown apart is `inhibited_by`.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from service.core.alerts import Alert, AlertRecord, AlertState, EventType
from service.core.board import (
    ALL_LABELS,
    DISPATCH,
    EVERYBODY,
    Board,
    Change,
    Destination,
    Join,
    Outcome,
    Rules,
    Tell,
)
from service.core.hearing import is_ending, is_hearable, is_planned, lingers_until
from service.core.routing import routing_labels
from service.core.transitions import ended, expected, inhibited, opened, reopened, silenced


def dispatch(board: Board, rules: Rules, *, now: datetime) -> Outcome:
    """Decide about everything that is due at *now*, and about silences and plans of all that is open."""
    return _Round(board, rules, now).run()


class _Round:
    def __init__(self, board: Board, rules: Rules, now: datetime) -> None:
        self._board = board
        self._rules = rules
        self._now = now
        self._outcome = Outcome()
        self._records = dict(board.records)
        self._all = {**board.lingering, **board.records}
        self._since = {alert_id: since for alert_id, since in board.waiting.items() if alert_id in board.records}
        self._afforded: dict[str, bool] = {}
        self._leads: dict[tuple[str, ...], str] | None = None

    def run(self) -> Outcome:
        for alert_id in sorted(self._records):
            self._mute(self._records[alert_id])
        self._plan_same_money()
        self._let_old_news_go()
        self._free()
        due = self._hearable()
        shown = self._inhibited(EVERYBODY, due)
        self._join_all(EVERYBODY, shown)
        heard: set[str] = set()
        for receiver, destinations in self._by_receiver(due).items():
            heard |= self._tell(receiver, destinations)
        for alert_id in due:
            self._open(self._records[alert_id], shown.get(alert_id), is_heard=alert_id in heard)
        self._outcome.tells += [
            Tell(alert_id, EVERYBODY, EventType.OPENED)
            for alert_id in due
            if alert_id not in shown and not self._knows(alert_id, EVERYBODY)
        ]
        self._end(due)
        return self._outcome

    # What is not to be heard of at all.

    def _mute(self, record: AlertRecord) -> None:
        """Plans and silences: of all that is open, whether it is due or not."""
        plan = self._rules.planned(record.alert)
        if is_planned(record):
            if plan is None:
                back = reopened(record, actor=DISPATCH, at=self._now)
                self._change(EventType.REOPENED, back, "more than was planned")
            return
        if plan is not None:
            self._change(EventType.EXPECTED, expected(record, actor=DISPATCH, at=self._now), plan)
            return
        by = sorted(self._rules.silenced_by(record.alert, self._now))
        kind = EventType.SILENCED if by else EventType.UNSILENCED
        self._change(kind, silenced(record, by=by, at=self._now))

    def _plan_same_money(self) -> None:
        """What is the same money as something planned is planned too, whichever label the plan names."""
        planned = {alert_id for alert_id, record in self._records.items() if is_planned(record)}
        due = self._hearable()
        if not planned or not due:
            return
        for alert_id, head in sorted(self._heads([*due, *sorted(planned)], planned, EVERYBODY).items()):
            if head in planned and alert_id not in planned:
                comment = f"the same money as {self._records[head].alert.series}, which was planned"
                record = expected(self._records[alert_id], actor=DISPATCH, at=self._now)
                self._change(EventType.EXPECTED, record, comment)

    def _let_old_news_go(self) -> None:
        """What has ended and is to be heard of by nobody: it was long ago, or it is silenced, or in good hands."""
        since = self._board.heard_since
        for alert_id in sorted(self._records):
            record = self._records[alert_id]
            ends_at = record.alert.ends_at
            is_old = since is not None and ends_at is not None and ends_at < since
            if is_ending(record) and (is_old or not is_hearable(record)) and self._ends(record):
                self._since.pop(alert_id, None)

    def _free(self) -> None:
        """Look anew at what somebody was to hear of through an alert that is not told there (any more): its silence
        may have ended, and no route leads there."""
        told: dict[str, set[str]] = {}
        for (alert_id, receiver), notice in self._board.notices.items():
            if notice.lead is None or alert_id not in self._records or not is_hearable(self._records[alert_id]):
                continue
            if receiver not in told:
                told[receiver] = self._told(receiver)
            if notice.lead not in told[receiver]:
                self._since.setdefault(alert_id, self._now)

    def _change(self, kind: EventType, record: AlertRecord | None, comment: str = "") -> None:
        """None: nothing changes by it. What can be heard of anew is looked at at once."""
        if record is None:
            return
        self._write(kind, record, comment)
        if is_hearable(record):
            self._since.setdefault(record.alert.id, self._now)

    def _write(self, kind: EventType, record: AlertRecord, comment: str = "") -> None:
        self._outcome.changes.append(Change(kind, record, comment))
        self._records[record.alert.id] = self._all[record.alert.id] = record

    def _hearable(self) -> list[str]:
        return sorted(alert_id for alert_id in self._since if is_hearable(self._records[alert_id]))

    # What is heard of through another alert.

    def _inhibited(self, receiver: str, due: Sequence[str]) -> dict[str, str]:
        """alert id -> id of the one that this receiver is told of instead."""
        told = self._told(receiver)
        waiting = [alert_id for alert_id in due if alert_id not in told]
        found = dict(self._heads([*waiting, *sorted(told)], told, receiver))
        by_rule = [alert_id for alert_id in waiting if alert_id not in found]
        muted = self._muted_by_rule(sorted(told), by_rule)
        leads = {alert_id: muted.get(head, head) for alert_id, head in found.items() if alert_id not in told}
        return {**leads, **muted}

    def _muted_by_rule(self, told: Sequence[str], waiting: Sequence[str]) -> dict[str, str]:
        targets = [self._records[alert_id].alert for alert_id in waiting]
        found = self._rules.inhibitors([*(self._all[alert_id].alert for alert_id in told), *targets], targets)
        muted: dict[str, str] = {}
        sources: set[str] = set()
        for alert_id in waiting:
            source = next((one for one in found.get(alert_id, ()) if one not in muted), None)
            # What inhibits others already is not inhibited itself: rules in a circle would leave nothing to be heard.
            if source is not None and alert_id not in sources:
                muted[alert_id] = source
                sources.add(source)
        return muted

    def _told(self, receiver: str) -> set[str]:
        """What this receiver has been told of, and what it does not hear of for a reason of its own."""
        told = {
            alert_id
            for alert_id, record in self._records.items()
            if record.state is AlertState.SILENCED or record.held_back
        }
        told |= {
            alert_id
            for alert_id, record in self._records.items()
            if not record.state.is_over and self._knows(alert_id, receiver)
        }
        notices = {alert_id: self._board.notices.get((alert_id, receiver)) for alert_id in self._board.lingering}
        return told | {alert_id for alert_id, one in notices.items() if one is not None and one.lead is None}

    def _heads(self, alert_ids: Sequence[str], told: Collection[str], receiver: str) -> Mapping[str, str]:
        notices = {alert_id: self._board.notices.get((alert_id, receiver)) for alert_id in alert_ids}
        led = {alert_id: one.lead for alert_id, one in notices.items() if one is not None and one.lead is not None}
        return self._rules.heads([self._all[alert_id].alert for alert_id in alert_ids], told, led)

    def _join_all(self, receiver: str, leads: Mapping[str, str]) -> None:
        for alert_id, lead in leads.items():
            # It will not say when it ends; what is over itself need not know.
            if lead in self._board.lingering and not is_ending(self._records[alert_id]):
                self._look_again(alert_id, lingers_until(self._board.lingering[lead]))
            notice = self._board.notices.get((alert_id, receiver))
            if notice is None or notice.lead != lead:
                self._outcome.joins.append(Join(alert_id, receiver, lead))

    # What is told.

    def _by_receiver(self, due: Sequence[str]) -> dict[str, dict[str, Destination]]:
        found: dict[str, dict[str, Destination]] = {}
        for alert_id in due:
            for destination in self._rules.destinations(self._records[alert_id].alert):
                until = destination.muted_until(self._now)
                if until is None:
                    found.setdefault(destination.receiver, {})[alert_id] = destination
                elif not self._knows(alert_id, destination.receiver) and not is_ending(self._records[alert_id]):
                    self._look_again(alert_id, until)
        return dict(sorted(found.items()))

    def _knows(self, alert_id: str, receiver: str) -> bool:
        notice = self._board.notices.get((alert_id, receiver))
        return notice is not None and notice.is_told

    def _tell(self, receiver: str, destinations: Mapping[str, Destination]) -> set[str]:
        """Returns what the receiver hears of now, by itself or in a group."""
        due = [alert_id for alert_id in destinations if not self._knows(alert_id, receiver)]
        inhibited = self._inhibited(receiver, due)
        self._join_all(receiver, inhibited)
        groups: dict[tuple[str, ...], list[str]] = {}
        heard: set[str] = set()
        for alert_id in due:
            if alert_id in inhibited:
                continue
            key = group_of(self._records[alert_id].alert, destinations[alert_id])
            if key is not None:
                groups.setdefault(key, []).append(alert_id)
            elif self._affords(alert_id):
                self._outcome.tells.append(Tell(alert_id, receiver, self._kind(alert_id, receiver)))
                heard.add(alert_id)
        for key, members in groups.items():
            heard |= self._tell_group(receiver, key, members, destinations[members[0]])
        return heard

    def _tell_group(
        self, receiver: str, key: tuple[str, ...], members: Sequence[str], destination: Destination
    ) -> set[str]:
        lead = self._open_lead(receiver, key)
        if lead is not None:
            ready = (self._board.notices[lead, receiver].told_at or self._now) + destination.group_interval
        else:
            ready = min(self._since[alert_id] for alert_id in members) + destination.group_wait
        if self._now < ready:
            for alert_id in members:
                self._look_again(alert_id, ready)
            return set()
        heard = [alert_id for alert_id in members if self._affords(alert_id)]
        if not heard:
            return set()
        kind = EventType.UPDATED
        if lead is None:
            lead = max(heard, key=lambda one: (abs(self._records[one].alert.impact), one))
            kind = self._kind(lead, receiver)
        joining = [alert_id for alert_id in heard if alert_id != lead]
        self._outcome.joins += [Join(alert_id, receiver, lead) for alert_id in joining]
        self._outcome.tells.append(Tell(lead, receiver, kind, members=tuple(joining)))
        return set(heard)

    def _open_lead(self, receiver: str, key: tuple[str, ...]) -> str | None:
        """The alert that this receiver was told of for the group and that is still open; the oldest of several."""
        if self._leads is None:
            self._leads = self._open_leads()
        return self._leads.get((receiver, *key))

    def _open_leads(self) -> dict[tuple[str, ...], str]:
        """By receiver and group. Looked for once a round: each alert's routes have to be asked."""
        leads: dict[tuple[str, ...], str] = {}
        for alert_id, record in sorted(self._records.items(), key=lambda item: (item[1].created_at, item[0])):
            if record.state.is_over:
                continue
            for destination in self._rules.destinations(record.alert):
                key = group_of(record.alert, destination)
                if key is not None and self._knows(alert_id, destination.receiver):
                    leads.setdefault((destination.receiver, *key), alert_id)
        return leads

    def _kind(self, alert_id: str, receiver: str) -> EventType:
        notice = self._board.notices.get((alert_id, receiver))
        return EventType.REOPENED if notice is not None and notice.ended else EventType.OPENED

    def _affords(self, alert_id: str) -> bool:
        if alert_id not in self._afforded:
            self._afforded[alert_id] = self._rules.affords(self._records[alert_id].alert)
        return self._afforded[alert_id]

    def _look_again(self, alert_id: str, at: datetime) -> None:
        self._outcome.again[alert_id] = min(at, self._outcome.again.get(alert_id, at))

    def _open(self, record: AlertRecord, head: str | None, *, is_heard: bool) -> None:
        """The event of what nobody has heard of yet, or of what is heard of otherwise than before."""
        is_held_back = not self._afforded[record.alert.id] if record.alert.id in self._afforded else record.held_back
        is_new = record.pending_since is not None or record.held_back > is_held_back
        if not is_new and (record.inhibited_by, record.held_back) == (head, is_held_back):
            return
        opening, changed = opened(record, at=self._now) or (EventType.OPENED, record)
        kind = opening if head is None or is_heard else EventType.INHIBITED
        changed = inhibited(changed, by=head, at=self._now) or changed
        changed = replace(changed, held_back=is_held_back, updated_at=self._now)
        self._write(kind, changed)

    def _end(self, due: Sequence[str]) -> None:
        """What was over before it was told of is told to be over, too."""
        for alert_id in due:
            if alert_id not in self._outcome.again:
                self._ends(self._records[alert_id])

    def _ends(self, record: AlertRecord) -> bool:
        over = ended(record, at=self._now)
        if over is not None:
            self._outcome.ends.append(over)
        return over is not None


def group_of(alert: Alert, destination: Destination) -> tuple[str, ...] | None:
    """What alerts of one route have in common to be told of together; None where each is told of by itself."""
    if not destination.group_by:
        return None
    labels = routing_labels(alert)
    if ALL_LABELS in destination.group_by:
        return (destination.route, *(f"{name}={value}" for name, value in sorted(labels.items())))
    return (destination.route, *(labels.get(name, "") for name in destination.group_by))

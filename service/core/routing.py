"""Who hears about an alert: a tree of routes, as in Alertmanager.

An alert enters at the root and goes down into the first child that matches, or further ones after a child that says
`continue`; the deepest nodes reached decide. A node's time intervals never change who hears, only when.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from service.core.alerts import Alert
from service.core.labels import Subject, routing_labels, severity_rank, subject_of
from service.core.matchers import Matcher, all_hold, parse_matchers
from service.core.time_intervals import NamedIntervals, TimeInterval, any_contains, next_moment
from service.routing_settings import Route, TimeIntervals

__all__ = ["Destination", "Node", "Router", "Step", "Windows", "routing_labels", "severity_rank"]

GROUP_WAIT = timedelta(seconds=30)
GROUP_INTERVAL = timedelta(minutes=5)
RENOTIFY_FACTOR = 2.0
ROOT = "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """When one route may tell: while one of `active` (if there are any) and none of `mute` is open."""

    active: tuple[NamedIntervals, ...] = ()
    mute: tuple[NamedIntervals, ...] = ()

    def closed_by(self, at: datetime) -> tuple[str, ...]:
        """Names of the intervals because of which nothing is told now; empty if it may be."""
        muted = tuple(one.name for one in self.mute if any_contains(one.intervals, at))
        if muted or not self.active or any(any_contains(one.intervals, at) for one in self.active):
            return muted
        return tuple(one.name for one in self.active)

    @property
    def intervals(self) -> tuple[TimeInterval, ...]:
        return tuple(interval for named in (*self.active, *self.mute) for interval in named.intervals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """One receiver that hears of an alert, and how.

    route: the node, as numbers from the root on: `0.2` is the root's third child. group_by: empty: told by itself.
    windows: of every route that led here; one that is open is enough, so that a second route never makes it later.
    """

    receiver: str
    route: str
    group_by: tuple[str, ...] = ()
    group_wait: timedelta = GROUP_WAIT
    group_interval: timedelta = GROUP_INTERVAL
    renotify_factor: float = RENOTIFY_FACTOR
    windows: tuple[Windows, ...] = (Windows(),)

    def muted_until(self, at: datetime) -> datetime | None:
        """When it may be told; None: now. time_intervals.NEVER if no interval ever lets it."""
        if not self.muted_by(at):
            return None
        intervals = [interval for one in self.windows for interval in one.intervals]
        return next_moment(intervals, at, lambda moment: not self.muted_by(moment))

    def muted_by(self, at: datetime) -> tuple[str, ...]:
        """Names of the intervals because of which it is not told now; empty if it may be."""
        closed = [one.closed_by(at) for one in self.windows]
        return () if not all(closed) else tuple(dict.fromkeys(name for names in closed for name in names))


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A route with what it inherits, ready to be asked."""

    path: str
    receivers: tuple[str, ...]
    matchers: tuple[Matcher, ...]
    goes_on: bool
    group_by: tuple[str, ...]
    group_wait: timedelta
    group_interval: timedelta
    renotify_factor: float
    windows: Windows
    children: tuple["Node", ...] = ()

    def destination(self, receiver: str, windows: tuple[Windows, ...]) -> Destination:
        return Destination(
            receiver=receiver,
            route=self.path,
            group_by=self.group_by,
            group_wait=self.group_wait,
            group_interval=self.group_interval,
            renotify_factor=self.renotify_factor,
            windows=windows,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One node that was looked at for an alert. failed: its first matcher that does not hold; None: it matches.
    decides: no child of it matches, so its receivers hear."""

    node: Node
    failed: Matcher | None
    decides: bool = False


class Router:
    """Alert -> who is told. Called, it gives only the names of the receivers, each once.

    route: the root; None: every receiver hears of everything, so that a first receiver works without a tree.
    receivers: all that are configured. Raises MatcherError and KeyError (an interval without a name) for settings that
    `config.load` has not checked.
    """

    def __init__(
        self, route: Route | None, receivers: Sequence[str], time_intervals: Sequence[TimeIntervals] = ()
    ) -> None:
        self._receivers = tuple(dict.fromkeys(receivers))
        named = {one.name: one.named() for one in time_intervals}
        root = Route(receiver=self._receivers) if route is None else route
        self.root = _node(root, _DEFAULTS, ROOT, named)

    @property
    def receivers(self) -> tuple[str, ...]:
        return self._receivers

    def __call__(self, alert: Alert) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for node in _reached(self.root, subject_of(alert)) for name in node.receivers))

    def factors(self, alert: Alert) -> dict[str, float]:
        """Receiver -> by which factor the impact of the alert has to grow to be told again."""
        return {one.receiver: one.renotify_factor for one in self.destinations(alert)}

    def destinations(self, alert: Alert) -> tuple[Destination, ...]:
        """Each receiver once: as the first route that leads to it says, at the times of any of them."""
        nodes = _reached(self.root, subject_of(alert))
        return tuple(
            next(node for node in nodes if receiver in node.receivers).destination(
                receiver, tuple(dict.fromkeys(node.windows for node in nodes if receiver in node.receivers))
            )
            for receiver in dict.fromkeys(name for node in nodes for name in node.receivers)
        )

    def steps(self, alert: Alert) -> list[Step]:
        """The nodes that were looked at, in their order: why who hears of an alert."""
        subject = subject_of(alert)
        deciding = {node.path for node in _reached(self.root, subject)}
        return [
            Step(
                node=node,
                failed=next((one for one in node.matchers if not one.holds(subject)), None),
                decides=node.path in deciding,
            )
            for node in _looked_at(self.root, subject)
        ]


_DEFAULTS = Node(
    path="",
    receivers=(),
    matchers=(),
    goes_on=False,
    group_by=(),
    group_wait=GROUP_WAIT,
    group_interval=GROUP_INTERVAL,
    renotify_factor=RENOTIFY_FACTOR,
    windows=Windows(),
)
"""What the root inherits."""


def _node(route: Route, parent: Node, path: str, named: Mapping[str, NamedIntervals]) -> Node:
    node = Node(
        path=path,
        receivers=parent.receivers if route.receiver is None else tuple(dict.fromkeys(route.receiver)),
        matchers=parse_matchers(route.matchers),
        goes_on=route.continue_,
        group_by=parent.group_by if route.group_by is None else route.group_by,
        group_wait=parent.group_wait if route.group_wait is None else route.group_wait,
        group_interval=parent.group_interval if route.group_interval is None else route.group_interval,
        renotify_factor=parent.renotify_factor if route.renotify_factor is None else route.renotify_factor,
        windows=Windows(
            active=tuple(named[name] for name in route.active_time_intervals),
            mute=tuple(named[name] for name in route.mute_time_intervals),
        ),
    )
    children = (_node(child, node, f"{path}.{number}", named) for number, child in enumerate(route.routes))
    return replace(node, children=tuple(children))


def _reached(node: Node, subject: Subject) -> list[Node]:
    """The deepest nodes an alert comes to."""
    if not all_hold(node.matchers, subject):
        return []
    found: list[Node] = []
    for child in node.children:
        below = _reached(child, subject)
        found += below
        if below and not child.goes_on:
            break
    return found or [node]


def _looked_at(node: Node, subject: Subject) -> Iterator[Node]:
    yield node
    if not all_hold(node.matchers, subject):
        return
    for child in node.children:
        yield from _looked_at(child, subject)
        if all_hold(child.matchers, subject) and not child.goes_on:
            break

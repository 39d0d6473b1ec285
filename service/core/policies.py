"""Which policy a series is judged by, and with which detector."""

from collections.abc import Callable, Mapping, Sequence

from connectors.series import Grain, SeriesKey
from detectors.detector import Detector
from service.core.amounts import NANO
from service.core.instants import Instants
from service.settings import Policy

Factory = Callable[[], Detector]
Prepare = Callable[..., Factory]
"""`detectors.registry.factory`: (name, *, grain_seconds, params) -> what makes cold detectors."""


def _default_prepare(name: str, *, grain_seconds: int, params: Mapping[str, float | int | str | bool]) -> Factory:
    from detectors.registry import factory  # imported late: river is slow to import, and tests bring their own

    return factory(name, grain_seconds=grain_seconds, params=params)


_MAX_REMEMBERED = 4096
_RING_BUCKETS = {Grain.DAY: 90, Grain.HOUR: 336, Grain.FIVE_MINUTES: 576, Grain.MINUTE: 720}
_ACCEPT_AFTER = {Grain.DAY: 7, Grain.HOUR: 72, Grain.FIVE_MINUTES: 288, Grain.MINUTE: 360}
_FLOOR = {Grain.DAY: 1.0, Grain.HOUR: 0.04, Grain.FIVE_MINUTES: 1.0, Grain.MINUTE: 1.0}
_DROP_AFTER = {Grain.DAY: 2, Grain.HOUR: 2, Grain.FIVE_MINUTES: 1, Grain.MINUTE: 1}
"""A credit, a late record or a holiday is low once; what has stopped stays low."""
_SPIKE_AFTER = {Grain.DAY: 1, Grain.HOUR: 2, Grain.FIVE_MINUTES: 1, Grain.MINUTE: 1}
"""Of 720 hours a month some are high by chance, and few are the two in a row."""


class Judge:
    """A policy made ready for the series of one grain; shared by all of them.

    floor: in nano-units. make: a cold detector. instants: text of a start -> bucket of this grain.
    """

    __slots__ = (
        "_close_at",
        "_indexes",
        "accept_after",
        "detector",
        "drop_after",
        "drops",
        "floor",
        "grain",
        "grain_seconds",
        "instants",
        "lateness_seconds",
        "make",
        "ring_buckets",
        "spike_after",
    )

    def __init__(self, policy: Policy, grain: Grain, instants: Instants, make: Factory) -> None:
        self.grain = grain
        self.grain_seconds = grain.seconds
        self.instants = instants
        self.make = make
        self.detector = policy.detector
        self.floor = round((_FLOOR[grain] if policy.floor is None else policy.floor) * NANO)
        self.ring_buckets = policy.ring_buckets or _RING_BUCKETS[grain]
        self.accept_after = policy.accept_after or _ACCEPT_AFTER[grain]
        self.lateness_seconds = policy.lateness_seconds
        self.drops = policy.drops
        self.spike_after = policy.spike_after or _SPIKE_AFTER[grain]
        self.drop_after = policy.drop_after or _DROP_AFTER[grain]
        self._close_at: dict[int, int] = {}
        self._indexes: dict[int, int] = {}

    def close_at(self, index: int) -> int:
        """When bucket *index* counts as complete, in seconds since 1970; one object for all that wait for it."""
        close_at = self._close_at.get(index)
        if close_at is None:
            if len(self._close_at) >= _MAX_REMEMBERED:
                self._close_at.clear()
                self._indexes.clear()
            self._indexes[index] = index
            close_at = self._close_at[index] = (index + 1) * self.grain_seconds + self.lateness_seconds
        return close_at

    def shared(self, index: int) -> int:
        """The same number, as one object for all series: a million of them add up."""
        self.close_at(index)
        return self._indexes[index]


class PolicyBook:
    """The policies in the order of the configuration; the first that matches a series judges it.

    A series that none matches is judged by the default policy. Raises what the detectors' registry raises for an
    unknown detector or a bad parameter, for every policy and every grain it may meet, when it is made.
    """

    def __init__(self, policies: Sequence[Policy], prepare: Prepare = _default_prepare) -> None:
        self._policies = (*policies, Policy())
        self._prepare = prepare
        self._judges: dict[tuple[int, Grain], Judge] = {}
        self._instants = {grain: Instants(grain.seconds) for grain in Grain}
        for number, policy in enumerate(self._policies):
            for grain in Grain if policy.match.grain is None else (policy.match.grain,):
                self._judge(number, grain)

    def judge_of(self, series: SeriesKey) -> Judge:
        for number, policy in enumerate(self._policies):
            if _matches(policy, series):
                return self._judge(number, series.grain)
        raise AssertionError("the default policy matches every series")

    def _judge(self, number: int, grain: Grain) -> Judge:
        judge = self._judges.get((number, grain))
        if judge is None:
            policy = self._policies[number]
            make = self._prepare(policy.detector, grain_seconds=grain.seconds, params=policy.params)
            judge = self._judges[number, grain] = Judge(policy, grain, self._instants[grain], make)
        return judge


def _matches(policy: Policy, series: SeriesKey) -> bool:
    match = policy.match
    return (
        match.metric in (None, series.metric)
        and match.unit in (None, series.unit)
        and match.grain in (None, series.grain)
        and match.dimension in (None, series.dimension)
        and match.value in (None, series.value)
    )

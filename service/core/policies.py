"""Which policy a series is judged by, and with which detector."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b

from connectors.series import Grain, SeriesKey
from detectors.detector import Detector
from service.core.amounts import NANO
from service.core.episodes import Episode
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
_MISSING_AFTER = {Grain.DAY: 2, Grain.HOUR: 4, Grain.FIVE_MINUTES: 12, Grain.MINUTE: 30}
_KEEP_FIRING_FOR = {Grain.DAY: 2, Grain.HOUR: 3, Grain.FIVE_MINUTES: 0, Grain.MINUTE: 0}
"""The detector of fine grains keeps its incidents together by itself."""
_DAY_SECONDS = 86_400
_EVIDENCE = 10
"""A tenth of `new_spend_floor` has to be spent before the pace of a new tag counts."""
_MONEY = frozenset({"billed_cost", "effective_cost"})
_FINE_GRAINS = frozenset({Grain.FIVE_MINUTES, Grain.MINUTE})
SPEND, USAGE = "seasonal", "usage"


def detector_of(policy: Policy, metric: str, grain: Grain) -> str:
    """The detector that the policy names, else the one for this kind of series.

    Usage by the minute gets a detector with a memory, of up to 40 kB a series; money, and whatever comes by the hour
    or day, one that a million series of fit into one worker. Parameters without a name are the spend detector's.
    """
    if policy.detector is not None:
        return policy.detector
    return USAGE if not policy.params and grain in _FINE_GRAINS and metric not in _MONEY else SPEND


class Judge:
    """A policy made ready for the series of one grain; shared by all of them.

    floor: in nano-units. make: a cold detector. instants: text of a start -> bucket of this grain.
    learns_abnormal: the detector wants to learn every bucket, and none is held back from it.
    new_floor: nano-units a bucket; None where new spend is not judged. new_evidence: nano-units.
    """

    __slots__ = (
        "_close_at",
        "_indexes",
        "accept_after",
        "detector",
        "digest",
        "drop_after",
        "drops",
        "floor",
        "grain",
        "grain_seconds",
        "instants",
        "keep_firing_above",
        "keep_firing_for",
        "lateness_seconds",
        "learns_abnormal",
        "make",
        "missing_after",
        "new_evidence",
        "new_floor",
        "ring_buckets",
        "spike_after",
    )

    def __init__(self, policy: Policy, detector: str, grain: Grain, instants: Instants, make: Factory) -> None:
        self.grain = grain
        self.grain_seconds = grain.seconds
        self.instants = instants
        self.make = make
        self.detector = detector
        self.learns_abnormal = bool(getattr(make(), "learns_abnormal", False))
        self.floor = round((_FLOOR[grain] if policy.floor is None else policy.floor) * NANO)
        self.ring_buckets = policy.ring_buckets or _RING_BUCKETS[grain]
        self.accept_after = policy.accept_after or _ACCEPT_AFTER[grain]
        self.lateness_seconds = policy.lateness_seconds
        self.drops = policy.drops
        self.spike_after = policy.spike_after or _SPIKE_AFTER[grain]
        self.drop_after = policy.drop_after or _DROP_AFTER[grain]
        self.keep_firing_for = _KEEP_FIRING_FOR[grain] if policy.keep_firing_for is None else policy.keep_firing_for
        self.keep_firing_above = policy.keep_firing_above
        self.missing_after = _MISSING_AFTER[grain] if policy.missing_after is None else policy.missing_after
        daily = None if policy.new_spend_floor is None else round(policy.new_spend_floor * NANO)
        self.new_floor = None if daily is None else daily * grain.seconds // _DAY_SECONDS
        self.new_evidence = (daily or 0) // _EVIDENCE
        self._close_at: dict[int, int] = {}
        self._indexes: dict[int, int] = {}
        self.digest = self._digest(policy)

    def _digest(self, policy: Policy) -> str:
        """Of all that a judgement hangs on, defaults included: another one asks for everything to be judged again."""
        rules = (
            self.detector,
            sorted(policy.params.items()),
            self.floor,
            self.accept_after,
            self.lateness_seconds,
            self.drops,
            self.spike_after,
            self.drop_after,
            self.keep_firing_for,
            self.keep_firing_above,
            self.missing_after,
            self.new_floor,
        )
        return blake2b(repr(rules).encode(), digest_size=6).hexdigest()

    def over_with(self, run: Episode) -> int:
        """The bucket with which an episode is over for good, if none up to it is abnormal."""
        return run.last + self.keep_firing_for + 1

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
        self._judges: dict[tuple[int, Grain, str], Judge] = {}
        self._instants = {grain: Instants(grain.seconds) for grain in Grain}
        for number, policy in enumerate(self._policies):
            for grain, detector in possible_detectors(policy):
                self._judge(number, grain, detector)

    def judge_of(self, series: SeriesKey) -> Judge:
        for number, policy in enumerate(self._policies):
            if _matches(policy, series):
                return self._judge(number, series.grain, detector_of(policy, series.metric, series.grain))
        raise AssertionError("the default policy matches every series")

    def _judge(self, number: int, grain: Grain, detector: str) -> Judge:
        judge = self._judges.get((number, grain, detector))
        if judge is None:
            policy = self._policies[number]
            make = self._prepare(detector, grain_seconds=grain.seconds, params=policy.params)
            judge = Judge(policy, detector, grain, self._instants[grain], make)
            self._judges[number, grain, detector] = judge
        return judge


def possible_detectors(policy: Policy) -> Iterator[tuple[Grain, str]]:
    """What the series that match may be judged by, at each grain."""
    for grain in Grain if policy.match.grain is None else (policy.match.grain,):
        metrics = (policy.match.metric,) if policy.match.metric is not None else ("usage", *sorted(_MONEY))
        for detector in sorted({detector_of(policy, metric, grain) for metric in metrics}):
            yield grain, detector


def _matches(policy: Policy, series: SeriesKey) -> bool:
    match = policy.match
    return (
        match.metric in (None, series.metric)
        and match.unit in (None, series.unit)
        and match.grain in (None, series.grain)
        and match.dimension in (None, series.dimension)
        and match.value in (None, series.value)
    )

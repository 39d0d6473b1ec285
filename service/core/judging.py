"""A bucket and a detector make a verdict: judged first, learned second, and the abnormal is not learned.

An abnormal bucket is held back from the detector, unless the detector asks for all of them. When `accept_after` of
them came in a row in one direction, the detector takes their level for the new normal. A missing bucket is neither
judged nor learned. What is in doubt is told of when `spike_after` or `drop_after` in a row say the
same.

An episode is over when a bucket is clearly back. One that is only just within its bound, or missing, may be a pause:
after `keep_firing_for` of them in a row it is over as well.
"""

from collections import Counter
from typing import NamedTuple

from connectors.facts import Basis
from detectors.detector import Attentive, Detector
from detectors.verdict import Band, Status
from service.core.alerts import AlertKind
from service.core.amounts import bound, to_units
from service.core.borrowing import Borrowed, Opinion
from service.core.episodes import Episode, Judged, begin
from service.core.feedback import NOTHING_GIVEN, GivenByEpisode, accepts, floor_for
from service.core.policies import Judge
from service.core.ring import ABNORMAL, ACCEPTED, NORMAL, Ring


class Traced(NamedTuple):
    """One bucket as a chart draws it; what `Point` becomes of."""

    bucket: int
    actual: int
    band: Band | None
    abnormal: bool


class Fold:
    """Takes the closed buckets of a series one after the other.

    run: the episode that the latest bucket belongs to. ended: those that ended on the way. retagged: buckets whose
    change is only that of a tag, with what moved. trace: one entry per present bucket, when asked for. borrowed: judges
    what the detector has no opinion of yet. given: what people said.
    """

    __slots__ = ("borrowed", "counts", "detector", "ended", "given", "judge", "retagged", "run", "trace")

    def __init__(
        self,
        judge: Judge,
        detector: Detector,
        run: Episode | None,
        *,
        trace: list[Traced] | None = None,
        borrowed: Borrowed | None = None,
        given: GivenByEpisode = NOTHING_GIVEN,
    ) -> None:
        self.judge = judge
        self.borrowed = borrowed
        self.given = given
        self.detector = detector
        self.run = run
        self.ended: list[Episode] = []
        self.trace = trace
        self.counts: Counter[Status] = Counter()
        self.retagged: list[tuple[int, int]] = []

    def bucket(self, index: int, nano: int, basis: Basis, moved: int = 0) -> int:
        """Judge and learn one bucket; returns its judgement, as the ring keeps it.

        moved: what re-tagging has brought. What is abnormal with it and normal without it raises nothing: the cost has
        another tag, and its level is taken for the new normal.
        """
        judge = self.judge
        if self.run is not None and not self.run.can_join(index, judge.keep_firing_for):
            self._end()
        value = to_units(nano)
        at = index * judge.grain_seconds
        verdict = self.detector.score_one(value, at)
        status, score, band = verdict.status, verdict.score, verdict.band
        kind = kind_of(judge, status, nano, band, index=index, given=self.given)
        if band is None and self.borrowed is not None:
            opinion = opinion_of(self.borrowed, index, nano, self.run, self.given)
            if opinion is not None:
                status = Status.HIGH
                kind, band, score = opinion
        if kind is not None and self._only_moved(index, nano, moved):
            self._end()
            self.counts[Status.NORMAL] += 1
            self.detector.accept_level([(value, at)])
            self.retagged.append((index, moved))
            return ACCEPTED
        self.counts[status if kind is not None or band is None else Status.NORMAL] += 1
        if self.trace is not None:
            self.trace.append(Traced(index, nano, band, kind is not None))
        if kind is None or band is None:
            if self.run is not None and not is_pause(judge, self.run, index, nano, band, self.given):
                self._end()
            self.detector.learn_one(value, at)
            return NORMAL
        if judge.learns_abnormal:
            self.detector.learn_one(value, at)
        elif isinstance(self.detector, Attentive):
            self.detector.hold_one(value, at)
        return self._join(kind, Judged(index=index, actual=nano, basis=basis, band=band, score=score))

    def _join(self, kind: AlertKind, judged: Judged) -> int:
        """Make an abnormal bucket part of an episode."""
        judge, index = self.judge, judged.index
        if self.run is not None and self.run.kind is kind:
            self.run = self.run.joined(judged)
        else:
            self._end()
            self.run = begin(kind, judged)
        by_hand = accepts(self.given, kind, self.run.first, index)
        if self.run.count < judge.accept_after and not by_hand:
            return ABNORMAL
        self.detector.accept_level(held_pairs(judge, self.run))
        self._end(accepted=True)
        return ACCEPTED

    def _only_moved(self, index: int, nano: int, moved: int) -> bool:
        return is_only_moved(
            self.judge, self.detector, index, nano, moved, borrowed=self.borrowed, run=self.run, given=self.given
        )

    def _end(self, *, accepted: bool = False) -> None:
        if self.run is not None:
            if is_told(self.judge, self.run):
                self.ended.append(self.run.ended(accepted=accepted))
            self.run = None


_BEYOND_DOUBT = 0.97
"""The score of what lies six times as far off as the bound."""
_NOTHING = 0.0001
"""No more than this part of what was expected is left of what has stopped."""


def is_told(judge: Judge, run: Episode) -> bool:
    """Whether so much of an episode is enough to tell of it."""
    return run.count >= told_from(judge, run)


def is_pause(
    judge: Judge, run: Episode, index: int, nano: int, band: Band | None, given: GivenByEpisode = NOTHING_GIVEN
) -> bool:
    """Whether an episode that was told goes on through a normal bucket, since that is not back by much.

    A part of the way from what was expected to where the next alert would be: a value that hovers at the bound makes
    one alert, not many.
    """
    if band is None or index - run.last > judge.keep_firing_for or not is_told(judge, run):
        return False
    off = nano - bound(band.expected)
    reach = bound(band.upper) - bound(band.expected)
    if run.kind is AlertKind.DROP:
        off, reach = -off, bound(band.expected) - bound(band.lower)
    floor = floor_for(given, run.kind, index, judge.floor) if given else judge.floor
    return off >= judge.keep_firing_above * max(reach, floor)


def told_from(judge: Judge, run: Episode) -> int:
    """Of how many buckets an episode like this is told."""
    if run.kind is AlertKind.DROP:
        return 1 if _has_stopped(run.worst) else judge.drop_after
    return judge.spike_after if run.kind is AlertKind.SPIKE and run.worst.score < _BEYOND_DOUBT else 1


def _has_stopped(judged: Judged) -> bool:
    """A credit leaves any amount, also less than nothing; where it is nothing, something has stopped."""
    expected = bound(judged.band.expected)
    return 0 <= judged.actual * (1 if expected >= 0 else -1) <= abs(expected) * _NOTHING


def held_pairs(judge: Judge, run: Episode) -> list[tuple[float, int]]:
    """(value, start of the bucket) of what was held back, oldest first."""
    grain_seconds = judge.grain_seconds
    places = enumerate(run.held, start=run.first)
    return [(to_units(nano), index * grain_seconds) for index, nano in places if nano is not None]


def kind_of(
    judge: Judge,
    status: Status,
    nano: int,
    band: Band | None,
    *,
    index: int = 0,
    given: GivenByEpisode = NOTHING_GIVEN,
) -> AlertKind | None:
    """What a verdict means under this policy: nothing below the floor, and no drop where these are not wanted.

    given: what people said of the series; it may raise the floor of bucket *index*.
    """
    if band is None:
        return None
    if status is Status.HIGH:
        kind, deviation = AlertKind.SPIKE, nano - bound(band.expected)
    elif status is Status.LOW and judge.drops:
        kind, deviation = AlertKind.DROP, bound(band.expected) - nano
    else:
        return None
    floor = floor_for(given, kind, index, judge.floor) if given else judge.floor
    return kind if deviation >= floor else None


def opinion_of(borrowed: Borrowed, index: int, nano: int, run: Episode | None, given: GivenByEpisode) -> Opinion | None:
    """What peers say of a bucket, unless as much was called a false alarm."""
    opinion = borrowed.opinion(index, nano, run)
    if opinion is None or nano - bound(opinion.band.expected) < floor_for(given, opinion.kind, index, 0):
        return None
    return opinion


def is_only_moved(
    judge: Judge,
    detector: Detector,
    index: int,
    nano: int,
    moved: int,
    *,
    borrowed: Borrowed | None,
    run: Episode | None,
    given: GivenByEpisode,
) -> bool:
    """Whether an abnormal bucket is normal without what re-tagging has brought; to a newcomer also in the buckets
    before, as it has no other past."""
    if borrowed is not None:
        moved = max(moved, borrowed.came_along(index))
    if not moved:
        return False
    verdict = detector.score_one(to_units(nano - moved), index * judge.grain_seconds)
    if verdict.band is None and borrowed is not None:
        return opinion_of(borrowed, index, nano - moved, run, given) is None
    return kind_of(judge, verdict.status, nano - moved, verdict.band, index=index, given=given) is None


def highest_quiet(judge: Judge, band: Band | None, *, index: int, given: GivenByEpisode) -> int | None:
    """Up to this running total, in nano-units, an open bucket cannot be a spike; None while warming up."""
    if band is None:
        return None
    floor = floor_for(given, AlertKind.SPIKE, index, judge.floor) if given else judge.floor
    return max(bound(band.upper), bound(band.expected) + floor - 1)


def fold_ring(fold: Fold, ring: Ring, *, start: int, until: int) -> list[int]:
    """Fold the buckets from *start* on, before *until*; returns the judgement of each."""
    judgements = [NORMAL] * (until - start)
    for index in ring.present(start):
        if index >= until:
            break
        judgements[index - start] = fold.bucket(index, ring.value(index), ring.basis(index), ring.moved(index))
    return judgements


def learn_again(fold: Fold, ring: Ring, until: int) -> Episode | None:
    """Bring the state as of the ring's start forward to bucket *until*, and drop what it then covers.

    What the ring remembers of each bucket's judgement spares judging the normal ones again.
    """
    for index in ring.present():
        if index >= until:
            break
        if ring.judgement(index) == NORMAL and fold.run is None:
            fold.detector.learn_one(to_units(ring.value(index)), index * fold.judge.grain_seconds)
        else:
            fold.bucket(index, ring.value(index), ring.basis(index), ring.moved(index))
    ring.drop_until(until)
    run = fold.run
    return None if run is None or not run.can_join(until, fold.judge.keep_firing_for) else run

"""The parts of a series' state as msgpack holds them, and back.

Amounts may exceed 64 bits, which msgpack cannot hold: those travel as text.
"""

import math
from collections.abc import Callable

from msgspec import Struct

from connectors.facts import Basis, FeedbackVerdict
from detectors.verdict import Band
from service.core.alerts import AlertKind, AlertStatus
from service.core.amounts import INT64_MAX
from service.core.borrowing import Newcomer, Start
from service.core.buckets import UNBOUNDED, Bucket, Gauge, Labels, Ledger, Part, Parts
from service.core.drivers import Change
from service.core.episodes import Episode, Judged
from service.core.feedback import EpisodeKey, Given
from service.core.lateness import STEPS, Lateness
from service.core.ring import Ring, share_stamps
from service.core.sources import Origin
from service.core.state import Reported
from service.core.usual import Prior

Number = int | str


class _Part(Struct, array_like=True, frozen=True):
    labels: Labels
    cost: Number
    quantity: Number | None = None
    unit: str | None = None
    moved: Number = 0
    moved_with: str | None = None


class _Change(Struct, array_like=True, frozen=True):
    labels: Labels
    before: Number
    now: Number
    quantity_before: Number | None = None
    quantity_now: Number | None = None
    unit: str | None = None
    moved: Number = 0
    moved_with: str | None = None
    surely: bool = False


class _Ledger(Struct, array_like=True, frozen=True):
    total: Number
    puts: list[tuple[str, int, Number]]
    gauge: tuple[int, Number, Number, Number, Number, int, str] | None
    parts: list[tuple[str | None, list[_Part]]]
    low: Number | None
    high: Number | None
    moved: list[tuple[str | None, Number]] = []


class PackedBucket(Struct, array_like=True, frozen=True):
    index: int
    fired: bool
    billed: _Ledger | None
    estimated: _Ledger | None


class _Judged(Struct, array_like=True, frozen=True):
    index: int
    actual: Number
    basis: Basis
    expected: float
    lower: float
    upper: float
    score: float


class PackedEpisode(Struct, array_like=True, frozen=True):
    kind: AlertKind
    first: int
    worst: _Judged
    impact: Number
    held: list[Number | None]


class PackedReported(Struct, array_like=True, frozen=True):
    kind: AlertKind
    first: int
    last: int
    judged_at: int
    version: int
    status: AlertStatus
    digest: bytes
    impact: Number
    worst: int
    changes: list[_Change]
    baseline: int
    begins: int | None = None
    reach: Number = 0


class PackedGiven(Struct, array_like=True, frozen=True):
    first: int
    kind: AlertKind
    verdict: FeedbackVerdict
    through: int
    deviation: Number
    revision: int


class PackedNewcomer(Struct, array_like=True, frozen=True):
    """starts: bucket, latest instant, what events said at the first, origins with revision and amount, the earliest
    instants, and number, sum and squares of the events. prior: start, peers, below, limit.
    """

    first: int | None
    starts: list[tuple[int, int, Number, list[tuple[str, int, Number]], tuple[int, ...], int, Number, Number]]
    prior: tuple[int, int, int, Number] | None


class PackedRing(Struct, array_like=True, frozen=True):
    start: int
    width: int
    cells: bytes
    stamps: list[tuple[bool, str | None, int]]
    whole: list[PackedBucket]


def wide(nano: int) -> Number:
    return nano if -INT64_MAX <= nano <= INT64_MAX else str(nano)


def _pack_ledger(ledger: Ledger | None) -> _Ledger | None:
    if ledger is None:
        return None
    gauge = ledger.gauge
    return _Ledger(
        wide(ledger.total),
        [(name, revision, wide(nano)) for name, revision, nano in ledger.contributions()],
        None
        if gauge is None
        else (
            gauge.count,
            wide(gauge.total),
            wide(gauge.low),
            wide(gauge.high),
            wide(gauge.last),
            gauge.last_key[0],
            gauge.last_key[1],
        ),
        [
            (None if origin is None else origin.name, [_pack_part(labels, part) for labels, part in parts.items()])
            for origin, parts in (ledger.parts or {}).items()
        ],
        None if ledger.low == -UNBOUNDED else wide(ledger.low),
        None if ledger.high == UNBOUNDED else wide(ledger.high),
        [(None if origin is None else origin.name, wide(nano)) for origin, nano in (ledger.moves or {}).items()],
    )


def _unpack_ledger(
    packed: _Ledger | None, origin_of: Callable[[str], Origin], intern: Callable[[Labels], Labels]
) -> Ledger | None:
    if packed is None:
        return None
    ledger = Ledger()
    for name, revision, nano in packed.puts:
        ledger.put(origin_of(name), revision, int(nano))
    ledger.total = int(packed.total)
    if packed.gauge is not None:
        count, total, low, high, last, micros, event_id = packed.gauge
        gauge = ledger.gauge = Gauge()
        gauge.count, gauge.total, gauge.low, gauge.high = count, int(total), int(low), int(high)
        gauge.last, gauge.last_key = int(last), (micros, event_id, int(last))
    for name_or_none, items in packed.parts:
        parts: Parts = {intern(item.labels): _unpack_part(item) for item in items}
        if name_or_none is None:
            ledger.add_parts(parts)
        else:
            ledger.put_parts(origin_of(name_or_none), parts)
    for name_or_none, nano in packed.moved:
        ledger.put_moved(None if name_or_none is None else origin_of(name_or_none), int(nano))
    ledger.low = -UNBOUNDED if packed.low is None else int(packed.low)
    ledger.high = UNBOUNDED if packed.high is None else int(packed.high)
    return ledger


def _pack_part(labels: Labels, part: Part) -> _Part:
    return _Part(labels, wide(part.cost), _wide(part.quantity), part.unit, wide(part.moved), part.moved_with)


def _unpack_part(packed: _Part) -> Part:
    return Part(int(packed.cost), _int(packed.quantity), packed.unit, int(packed.moved), packed.moved_with)


def _pack_change(change: Change) -> _Change:
    return _Change(
        change.labels,
        wide(change.before),
        wide(change.now),
        _wide(change.quantity_before),
        _wide(change.quantity_now),
        change.unit,
        wide(change.moved),
        change.moved_with,
        change.surely,
    )


def _unpack_change(packed: _Change, intern: Callable[[Labels], Labels]) -> Change:
    return Change(
        intern(packed.labels),
        int(packed.before),
        int(packed.now),
        _int(packed.quantity_before),
        _int(packed.quantity_now),
        packed.unit,
        int(packed.moved),
        packed.moved_with,
        packed.surely,
    )


def _wide(nano: int | None) -> Number | None:
    return None if nano is None else wide(nano)


def _int(number: Number | None) -> int | None:
    return None if number is None else int(number)


def pack_bucket(bucket: Bucket) -> PackedBucket:
    return PackedBucket(bucket.index, bucket.fired, _pack_ledger(bucket.billed), _pack_ledger(bucket.estimated))


def unpack_bucket(
    packed: PackedBucket, origin_of: Callable[[str], Origin], intern: Callable[[Labels], Labels]
) -> Bucket:
    bucket = Bucket(packed.index)
    bucket.fired = packed.fired
    bucket.billed = _unpack_ledger(packed.billed, origin_of, intern)
    bucket.estimated = _unpack_ledger(packed.estimated, origin_of, intern)
    if bucket.billed is None and bucket.estimated is None:
        raise ValueError(f"bucket {packed.index} has no contributions")
    return bucket


def pack_ring(ring: Ring) -> PackedRing:
    return PackedRing(
        ring.start,
        ring.width,
        ring.cells,
        [(billed, None if origin is None else origin.name, revision) for billed, origin, revision in ring.stamps],
        [pack_bucket(bucket) for bucket in (ring.whole or {}).values()],
    )


def unpack_ring(packed: PackedRing, origin_of: Callable[[str], Origin], intern: Callable[[Labels], Labels]) -> Ring:
    ring = Ring(packed.start)
    ring.width, ring.cells = packed.width, packed.cells
    ring.stamps = share_stamps(
        tuple(
            (billed, None, 0) if name is None else origin_of(name).stamp(revision, billed=billed)
            for billed, name, revision in packed.stamps
        )
    )
    if packed.whole:
        ring.whole = {bucket.index: unpack_bucket(bucket, origin_of, intern) for bucket in packed.whole}
    ring.check()
    return ring


def pack_episode(episode: Episode | None) -> PackedEpisode | None:
    if episode is None:
        return None
    worst = episode.worst
    return PackedEpisode(
        episode.kind,
        episode.first,
        _Judged(
            worst.index,
            wide(worst.actual),
            worst.basis,
            worst.band.expected,
            worst.band.lower,
            worst.band.upper,
            worst.score,
        ),
        wide(episode.impact),
        [_wide(nano) for nano in episode.held],
    )


def unpack_episode(packed: PackedEpisode | None) -> Episode | None:
    """An episode that is kept is never over: those that are have been told."""
    if packed is None:
        return None
    worst = packed.worst
    return Episode(
        kind=packed.kind,
        first=packed.first,
        worst=Judged(
            index=worst.index,
            actual=int(worst.actual),
            basis=worst.basis,
            band=Band(expected=worst.expected, lower=worst.lower, upper=worst.upper),
            score=worst.score,
        ),
        impact=int(packed.impact),
        held=tuple(_int(nano) for nano in packed.held),
    )


def pack_given(key: EpisodeKey, given: Given) -> PackedGiven:
    return PackedGiven(*key, given.verdict, given.through, wide(given.deviation), given.revision)


def unpack_given(packed: PackedGiven) -> tuple[EpisodeKey, Given]:
    given = Given(packed.verdict, packed.through, int(packed.deviation), packed.revision)
    return (packed.first, packed.kind), given


def pack_reported(known: Reported) -> PackedReported:
    return PackedReported(
        known.kind,
        known.first,
        known.last,
        known.judged_at,
        known.version,
        known.status,
        known.digest,
        wide(known.impact),
        known.worst,
        [_pack_change(change) for change in known.changes],
        known.baseline,
        known.begins,
        wide(known.reach),
    )


def unpack_reported(packed: PackedReported, intern: Callable[[Labels], Labels]) -> Reported:
    known = Reported(packed.kind, packed.first, packed.judged_at)
    known.last, known.version, known.status = packed.last, packed.version, packed.status
    known.digest, known.impact, known.worst = packed.digest, int(packed.impact), packed.worst
    known.changes = tuple(_unpack_change(change, intern) for change in packed.changes)
    known.baseline, known.reach = packed.baseline, int(packed.reach)
    known.begins = packed.first if packed.begins is None else packed.begins
    return known


def unpack_lateness(index: int, weights: list[float]) -> Lateness:
    if len(weights) != STEPS or not all(math.isfinite(weight) and weight >= 0.0 for weight in weights):
        raise ValueError(f"lateness has {STEPS} weights, none below 0, got {weights}")
    return Lateness(index, weights)


def pack_newcomer(newcomer: Newcomer | None) -> PackedNewcomer | None:
    if newcomer is None:
        return None
    starts = [
        (
            index,
            start.last,
            wide(start.added),
            [(name, revision, wide(nano)) for name, (revision, nano) in sorted(start.puts.items())],
            start.instants,
            start.events,
            wide(start.total),
            wide(start.squares),
        )
        for index, start in sorted((newcomer.starts or {}).items())
    ]
    prior = newcomer.prior
    return PackedNewcomer(
        newcomer.first,
        starts,
        None if prior is None else (prior.start, prior.peers, prior.below, wide(prior.limit)),
    )


def unpack_newcomer(packed: PackedNewcomer) -> Newcomer:
    newcomer = Newcomer()
    newcomer.first = packed.first
    for index, last, added, puts, instants, events, total, squares in packed.starts:
        start = Start(instants[0])
        start.last, start.added, start.instants = last, int(added), instants
        start.events, start.total, start.squares = events, int(total), int(squares)
        start.puts = {name: (revision, int(nano)) for name, revision, nano in puts}
        newcomer.starts = {**(newcomer.starts or {}), index: start}
    if packed.prior is not None:
        first, peers, below, limit = packed.prior
        newcomer.prior = Prior(first, peers, below, int(limit))
    return newcomer

"""The state of one series, or of a partition, as versioned msgpack with the last applied offset inside.

What is read back comes from a topic, so its shape is checked; whether numbers are a detector's own is for that
detector to say when it is used. Amounts may exceed 64 bits, which msgpack cannot hold: those travel as text.
"""

import sys
from array import array
from collections.abc import Callable

import msgspec
from msgspec import Struct

from connectors.facts import Basis
from detectors.verdict import Band
from service.core.alerts import AlertKind, AlertStatus
from service.core.amounts import INT64_MAX
from service.core.buckets import UNBOUNDED, Bucket, Gauge, Labels, Ledger, Parts
from service.core.drivers import Change
from service.core.episodes import Episode, Judged
from service.core.event_ids import ID_BYTES, restore_ids
from service.core.live import DOUBLE_BYTES, head_of
from service.core.policies import Judge
from service.core.ring import Ring, share_stamps
from service.core.sources import Origin
from service.core.state import Rare, Reported, SeriesState

VERSION = 1
PARTITION_KEY = b"~engine"

Number = int | str


class SnapshotError(ValueError):
    """A snapshot that cannot be read: cut off, of another version, or not one at all."""

    def __init__(self, key: bytes, message: str) -> None:
        super().__init__(f"snapshot of {key!r}: {message}")
        self.key = key


class _Ledger(Struct, array_like=True, frozen=True):
    total: Number
    puts: list[tuple[str, int, Number]]
    gauge: tuple[int, Number, Number, Number, Number, int, str] | None
    parts: list[tuple[str | None, list[tuple[Labels, Number]]]]
    low: Number | None
    high: Number | None


class _Bucket(Struct, array_like=True, frozen=True):
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


class _Episode(Struct, array_like=True, frozen=True):
    kind: AlertKind
    first: int
    worst: _Judged
    impact: Number
    held: list[Number]


class _Reported(Struct, array_like=True, frozen=True):
    kind: AlertKind
    first: int
    last: int
    judged_at: int
    version: int
    status: AlertStatus
    digest: bytes
    impact: Number
    worst: int
    changes: list[tuple[Labels, Number, Number]]
    baseline: int


class _Ring(Struct, array_like=True, frozen=True):
    start: int
    width: int
    cells: bytes
    stamps: list[tuple[bool, str | None, int]]
    whole: list[_Bucket]


class _Series(Struct, array_like=True, frozen=True):
    version: int
    offset: int
    open: list[_Bucket]
    sources: list[tuple[str, Basis]]
    ring: _Ring | None
    anchor: bytes | None
    anchor_run: _Episode | None
    head: bytes | None
    run: _Episode | None
    unsettled: int | None
    reported: list[_Reported]
    ids: bytes
    left: tuple[int, Number] | None
    waits_for: tuple[int, list[str]] | None


class PartitionSnapshot(Struct, array_like=True, frozen=True, kw_only=True):
    """sources: name, seen, word. newcomers: tenant, dimension, count within `hour`."""

    version: int = VERSION
    offset: int
    sources: list[tuple[str, int, int]]
    hour: int
    newcomers: list[tuple[str, str, int]]
    last_start: int


class _Header(Struct, array_like=True, frozen=True):
    """What every snapshot begins with."""

    version: int
    offset: int


_encoder = msgspec.msgpack.Encoder()
_series_decoder = msgspec.msgpack.Decoder(_Series)
_partition_decoder = msgspec.msgpack.Decoder(PartitionSnapshot)
_header_decoder = msgspec.msgpack.Decoder(_Header)


def encode_partition(snapshot: PartitionSnapshot) -> bytes:
    return _encoder.encode(snapshot)


def decode_partition(key: bytes, data: bytes) -> PartitionSnapshot:
    """Raises SnapshotError."""
    offset_of(key, data)
    try:
        return _partition_decoder.decode(data)
    except msgspec.DecodeError as error:
        raise SnapshotError(key, str(error)) from None


def offset_of(key: bytes, data: bytes) -> int:
    """The last applied offset inside a snapshot. Raises SnapshotError for another version."""
    try:
        header = _header_decoder.decode(data)
    except msgspec.DecodeError as error:
        raise SnapshotError(key, str(error)) from None
    if header.version != VERSION:
        raise SnapshotError(key, f"expected version {VERSION}, got {header.version}")
    return header.offset


def encode_series(state: SeriesState, offset: int) -> bytes:
    """offset: all facts of the series at or below it are in its state, and none beyond."""
    ring, rare = state.ring, state.rare
    return _encoder.encode(
        _Series(
            VERSION,
            offset,
            [_pack_bucket(bucket) for bucket in state.open_buckets],
            [(source.name, basis) for source, basis in state.sources],
            None if ring is None else _pack_ring(ring),
            _portable(state.anchor),
            _pack_episode(rare.anchor_run),
            _portable(head_of(state)),
            _pack_episode(rare.run),
            state.unsettled,
            [_pack_reported(known) for known in (rare.reported or {}).values()],
            bytes(rare.id_log or b""),
            None if rare.left is None else (rare.left[0], _wide(rare.left[1])),
            None if rare.waits_for is None else (rare.waits_for[0], [source.name for source in rare.waits_for[1]]),
        )
    )


def decode_series(
    key: bytes,
    data: bytes,
    judge: Judge,
    *,
    origin_of: Callable[[str], Origin],
    intern: Callable[[Labels], Labels],
) -> SeriesState:
    """Raises SnapshotError. The state is not watched by its sources yet.

    origin_of: the engine's one object for an origin's name. intern: the same for a driver's labels.
    """
    offset_of(key, data)
    try:
        packed = _series_decoder.decode(data)
        state = SeriesState(key, judge)
        state.restored_offset = packed.offset
        state.set_open(tuple(_unpack_bucket(bucket, origin_of, intern) for bucket in packed.open))
        state.sources = tuple((origin_of(f"{name}:").source, basis) for name, basis in packed.sources)
        if packed.ring is not None:
            state.ring = _unpack_ring(packed.ring, origin_of, intern)
        state.anchor = _portable(packed.anchor)
        state.head = _portable(packed.head)
        state.unsettled = packed.unsettled
        if packed.waits_for is not None:
            since, names = packed.waits_for
            state.own_rare().waits_for = (since, tuple(origin_of(f"{name}:").source for name in names))
        if packed.anchor_run or packed.run or packed.reported or packed.ids or packed.left:
            _unpack_rare(packed, state.own_rare(), intern)
    except (msgspec.DecodeError, ValueError) as error:
        raise SnapshotError(key, str(error)) from None
    return state


def _unpack_rare(packed: _Series, rare: Rare, intern: Callable[[Labels], Labels]) -> None:
    rare.anchor_run = _unpack_episode(packed.anchor_run)
    rare.run = _unpack_episode(packed.run)
    if packed.reported:
        rare.reported = {(known.first, known.kind): _unpack_reported(known, intern) for known in packed.reported}
    if packed.ids:
        if len(packed.ids) % ID_BYTES:
            raise ValueError(f"event ids must be a multiple of {ID_BYTES} bytes, got {len(packed.ids)}")
        rare.id_log = bytearray(packed.ids)
        rare.seen_ids = restore_ids(packed.ids)
    if packed.left is not None:
        rare.left = (packed.left[0], int(packed.left[1]))


def _wide(nano: int) -> Number:
    return nano if -INT64_MAX <= nano <= INT64_MAX else str(nano)


def _portable(numbers: bytes | None) -> bytes | None:
    """To little-endian from the order of this machine, or back."""
    if numbers is None or sys.byteorder == "little" or len(numbers) % DOUBLE_BYTES:
        return numbers
    swapped = array("d", numbers)
    swapped.byteswap()
    return swapped.tobytes()


def _pack_ledger(ledger: Ledger | None) -> _Ledger | None:
    if ledger is None:
        return None
    gauge = ledger.gauge
    return _Ledger(
        _wide(ledger.total),
        [(name, revision, _wide(nano)) for name, revision, nano in ledger.contributions()],
        None
        if gauge is None
        else (
            gauge.count,
            _wide(gauge.total),
            _wide(gauge.low),
            _wide(gauge.high),
            _wide(gauge.last),
            gauge.last_key[0],
            gauge.last_key[1],
        ),
        [
            (None if origin is None else origin.name, [(labels, _wide(nano)) for labels, nano in parts.items()])
            for origin, parts in (ledger.parts or {}).items()
        ],
        None if ledger.low == -UNBOUNDED else _wide(ledger.low),
        None if ledger.high == UNBOUNDED else _wide(ledger.high),
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
        parts: Parts = {intern(labels): int(nano) for labels, nano in items}
        if name_or_none is None:
            ledger.add_parts(parts)
        else:
            ledger.put_parts(origin_of(name_or_none), parts)
    ledger.low = -UNBOUNDED if packed.low is None else int(packed.low)
    ledger.high = UNBOUNDED if packed.high is None else int(packed.high)
    return ledger


def _pack_bucket(bucket: Bucket) -> _Bucket:
    return _Bucket(bucket.index, bucket.fired, _pack_ledger(bucket.billed), _pack_ledger(bucket.estimated))


def _unpack_bucket(packed: _Bucket, origin_of: Callable[[str], Origin], intern: Callable[[Labels], Labels]) -> Bucket:
    bucket = Bucket(packed.index)
    bucket.fired = packed.fired
    bucket.billed = _unpack_ledger(packed.billed, origin_of, intern)
    bucket.estimated = _unpack_ledger(packed.estimated, origin_of, intern)
    if bucket.billed is None and bucket.estimated is None:
        raise ValueError(f"bucket {packed.index} has no contributions")
    return bucket


def _pack_ring(ring: Ring) -> _Ring:
    return _Ring(
        ring.start,
        ring.width,
        ring.cells,
        [(billed, None if origin is None else origin.name, revision) for billed, origin, revision in ring.stamps],
        [_pack_bucket(bucket) for bucket in (ring.whole or {}).values()],
    )


def _unpack_ring(packed: _Ring, origin_of: Callable[[str], Origin], intern: Callable[[Labels], Labels]) -> Ring:
    ring = Ring(packed.start)
    ring.width, ring.cells = packed.width, packed.cells
    ring.stamps = share_stamps(
        tuple(
            (billed, None, 0) if name is None else origin_of(name).stamp(revision, billed=billed)
            for billed, name, revision in packed.stamps
        )
    )
    if packed.whole:
        ring.whole = {bucket.index: _unpack_bucket(bucket, origin_of, intern) for bucket in packed.whole}
    ring.check()
    return ring


def _pack_episode(episode: Episode | None) -> _Episode | None:
    if episode is None:
        return None
    worst = episode.worst
    return _Episode(
        episode.kind,
        episode.first,
        _Judged(
            worst.index,
            _wide(worst.actual),
            worst.basis,
            worst.band.expected,
            worst.band.lower,
            worst.band.upper,
            worst.score,
        ),
        _wide(episode.impact),
        [_wide(nano) for nano in episode.held],
    )


def _unpack_episode(packed: _Episode | None) -> Episode | None:
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
        held=tuple(int(nano) for nano in packed.held),
    )


def _pack_reported(known: Reported) -> _Reported:
    return _Reported(
        known.kind,
        known.first,
        known.last,
        known.judged_at,
        known.version,
        known.status,
        known.digest,
        _wide(known.impact),
        known.worst,
        [(change.labels, _wide(change.before), _wide(change.now)) for change in known.changes],
        known.baseline,
    )


def _unpack_reported(packed: _Reported, intern: Callable[[Labels], Labels]) -> Reported:
    known = Reported(packed.kind, packed.first, packed.judged_at)
    known.last, known.version, known.status = packed.last, packed.version, packed.status
    known.digest, known.impact, known.worst = packed.digest, int(packed.impact), packed.worst
    known.changes = tuple(Change(intern(labels), int(before), int(now)) for labels, before, now in packed.changes)
    known.baseline = packed.baseline
    return known

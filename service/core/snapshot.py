"""The state of one series, or of a partition, as versioned msgpack with the last applied offset inside.

What is read back comes from a topic, so its shape is checked; whether numbers are a detector's own is for that
detector to say when it is used.
"""

import sys
from array import array
from collections.abc import Callable

import msgspec
from msgspec import Struct

from connectors.facts import Basis
from service.core.buckets import Labels
from service.core.event_ids import ID_BYTES, restore_ids
from service.core.live import DOUBLE_BYTES, head_of
from service.core.packing import (
    Number,
    PackedBucket,
    PackedEpisode,
    PackedGiven,
    PackedNewcomer,
    PackedReported,
    PackedRing,
    pack_bucket,
    pack_episode,
    pack_given,
    pack_newcomer,
    pack_reported,
    pack_ring,
    unpack_bucket,
    unpack_episode,
    unpack_given,
    unpack_lateness,
    unpack_newcomer,
    unpack_reported,
    unpack_ring,
    wide,
)
from service.core.policies import Judge
from service.core.sources import Origin
from service.core.state import Rare, SeriesState

VERSION = 1
PARTITION_KEY = b"~engine"
MAX_STATE_BYTES = 8 * 1024 * 1024
"""Of one series. Ordinary ones have 2 kB; beyond this somebody puts what differs each time into origins or drivers."""


class SnapshotError(ValueError):
    """A snapshot that cannot be read: cut off, of another version, or not one at all."""

    def __init__(self, key: bytes, message: str) -> None:
        super().__init__(f"snapshot of {key!r}: {message}")
        self.key = key


class _Series(Struct, array_like=True, frozen=True):
    version: int
    offset: int
    open: list[PackedBucket]
    sources: list[tuple[str, Basis]]
    ring: PackedRing | None
    anchor: bytes | None
    anchor_run: PackedEpisode | None
    head: bytes | None
    run: PackedEpisode | None
    unsettled: int | None
    reported: list[PackedReported]
    ids: bytes
    left: tuple[int, Number] | None
    waits_for: tuple[int, list[str]] | None
    newcomer: PackedNewcomer | None = None
    given: list[PackedGiven] = []
    judged_by: str = ""
    lateness: tuple[int, list[float]] | None = None
    awaited: list[int] = []


class PartitionSnapshot(Struct, array_like=True, frozen=True, kw_only=True):
    """sources: name, seen, word. newcomers: tenant, dimension, count within `hour`. born, stated: see spend.py; what is
    older than they are knows neither."""

    version: int = VERSION
    offset: int
    sources: list[tuple[str, int, int]]
    hour: int
    newcomers: list[tuple[str, str, int]]
    last_start: int
    born: int = 0
    stated: list[tuple[str, str]] = []


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
        raise _wrong_version(key, header.version)
    return header.offset


def _wrong_version(key: bytes, version: int) -> SnapshotError:
    return SnapshotError(key, f"expected version {VERSION}, got {version}")


def encode_series(state: SeriesState, offset: int) -> bytes:
    """offset: all facts of the series at or below it are in its state, and none beyond."""
    ring, rare = state.ring, state.rare
    return _encoder.encode(
        _Series(
            VERSION,
            offset,
            [pack_bucket(bucket) for bucket in state.open_buckets],
            [(source.name, basis) for source, basis in state.sources],
            None if ring is None else pack_ring(ring),
            _portable(state.anchor),
            pack_episode(rare.anchor_run),
            _portable(head_of(state)),
            pack_episode(rare.run),
            state.unsettled,
            [pack_reported(known) for known in (rare.reported or {}).values()],
            bytes(rare.id_log or b""),
            None if rare.left is None else (rare.left[0], wide(rare.left[1])),
            None if rare.waits_for is None else (rare.waits_for[0], [source.name for source in rare.waits_for[1]]),
            pack_newcomer(rare.newcomer),
            [pack_given(key, given) for key, given in state.given.items()],
            state.judge.digest,
            None if rare.lateness is None else (rare.lateness.index, list(rare.lateness.weights)),
            list(rare.awaited or ()),
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
    """Raises SnapshotError. The state is not watched by its sources yet. Where another policy has judged it, its ring
    is to be folded again.

    origin_of: the engine's one object for an origin's name. intern: the same for a driver's labels.
    """
    try:
        packed = _series_decoder.decode(data)
    except msgspec.DecodeError as error:
        offset_of(key, data)  # of another version, it may have another shape: then that is what is wrong
        raise SnapshotError(key, str(error)) from None
    if packed.version != VERSION:
        raise _wrong_version(key, packed.version)
    try:
        state = SeriesState(key, judge)
        state.restored_offset = packed.offset
        state.set_open(tuple(unpack_bucket(bucket, origin_of, intern) for bucket in packed.open))
        state.sources = tuple((origin_of(f"{name}:").source, basis) for name, basis in packed.sources)
        if packed.ring is not None:
            state.ring = unpack_ring(packed.ring, origin_of, intern)
        state.anchor = _portable(packed.anchor)
        state.head = _portable(packed.head)
        state.unsettled = packed.unsettled
        if packed.waits_for is not None:
            since, names = packed.waits_for
            state.own_rare().waits_for = (since, tuple(origin_of(f"{name}:").source for name in names))
        if _has_rare(packed):
            _unpack_rare(packed, state.own_rare(), intern)
        if packed.judged_by not in ("", judge.digest) and state.ring is not None:
            state.own_rare().is_judged_anew = True
            state.unsettled = state.ring.start
    except ValueError as error:
        raise SnapshotError(key, str(error)) from None
    return state


def _has_rare(packed: _Series) -> bool:
    of_episodes = packed.anchor_run or packed.run or packed.reported or packed.given
    return bool(of_episodes or packed.ids or packed.left or packed.newcomer or packed.lateness or packed.awaited)


def _unpack_rare(packed: _Series, rare: Rare, intern: Callable[[Labels], Labels]) -> None:
    if packed.newcomer is not None:
        rare.newcomer = unpack_newcomer(packed.newcomer)
    if packed.given:
        rare.given = dict(map(unpack_given, packed.given))
    if packed.lateness is not None:
        rare.lateness = unpack_lateness(*packed.lateness)
    rare.anchor_run = unpack_episode(packed.anchor_run)
    rare.run = unpack_episode(packed.run)
    rare.awaited = tuple(packed.awaited) or None
    if packed.reported:
        rare.reported = {(known.first, known.kind): unpack_reported(known, intern) for known in packed.reported}
    if packed.ids:
        if len(packed.ids) % ID_BYTES:
            raise ValueError(f"event ids must be a multiple of {ID_BYTES} bytes, got {len(packed.ids)}")
        rare.id_log = bytearray(packed.ids)
        rare.seen_ids = restore_ids(packed.ids)
    if packed.left is not None:
        rare.left = (packed.left[0], int(packed.left[1]))


def _portable(numbers: bytes | None) -> bytes | None:
    """To little-endian from the order of this machine, or back."""
    if numbers is None or sys.byteorder == "little" or len(numbers) % DOUBLE_BYTES:
        return numbers
    swapped = array("d", numbers)
    swapped.byteswap()
    return swapped.tobytes()

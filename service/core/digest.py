"""A canonical hash of folded state: equal for any order of the same facts, however it is stored."""

from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from service.core.borrowing import Newcomer
from service.core.buckets import Bucket, Ledger
from service.core.live import head_of
from service.core.sources import Source
from service.core.state import SeriesState

_encode = msgspec.json.Encoder().encode


def digest_of_states(states: Iterable[SeriesState], sources: Iterable[Source]) -> str:
    """Without offsets and versions, which tell how the state came about, and without drivers and event ids, of which
    only the latest are kept. 32 hexadecimal digits."""
    digest = blake2b(digest_size=16)
    for source in sorted(sources, key=lambda source: source.name):
        digest.update(_encode((source.name, source.seen, source.word)))
    for state in sorted(states, key=lambda state: state.key):
        digest.update(_encode(_state(state)))
    return digest.hexdigest()


def _state(state: SeriesState) -> tuple[object, ...]:
    ring = state.ring
    closed = []
    if ring is not None:
        closed = [(_bucket(ring.get(index)), ring.judgement(index)) for index in ring.present()]
    return (
        state.text,
        [_bucket(bucket) for bucket in state.open_buckets],
        closed,
        (state.anchor or b"").hex(),
        (head_of(state) or b"").hex(),
        sorted((source.name, basis.value) for source, basis in state.sources),
        [
            None if run is None else (run.kind.value, run.first, list(map(str, run.held)))
            for run in (state.rare.anchor_run, state.run)
        ],
        str(state.rare.left),
        sorted((first, kind.value, *map(str, given)) for (first, kind), given in state.given.items()),
        _newcomer(state.rare.newcomer),
    )


def _newcomer(newcomer: Newcomer | None) -> tuple[object, ...] | None:
    if newcomer is None:
        return None
    prior = newcomer.prior
    starts = sorted((newcomer.starts or {}).items())
    return (
        newcomer.first,
        None if prior is None else [str(number) for number in prior],
        [(index, start.instants, start.last, str(start.before), str(start.squares)) for index, start in starts],
    )


def _bucket(bucket: Bucket) -> tuple[object, ...]:
    return (bucket.index, bucket.fired, _ledger(bucket.billed), _ledger(bucket.estimated))


def _ledger(ledger: Ledger | None) -> tuple[object, ...] | None:
    """Amounts as text: they may exceed what JSON readers hold."""
    if ledger is None:
        return None
    gauge = ledger.gauge
    return (
        str(ledger.total),
        [(origin, revision, str(nano)) for origin, revision, nano in ledger.contributions()],
        None
        if gauge is None
        else [str(number) for number in (gauge.count, gauge.total, gauge.low, gauge.high, gauge.last)],
    )

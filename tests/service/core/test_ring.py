"""Compact cells say the same as the buckets that were put in."""

import random

import pytest

from connectors.facts import Basis
from service.core.buckets import Bucket
from service.core.ring import ABNORMAL, ACCEPTED, NORMAL, Ring
from service.core.sources import Origin, Source

SOURCE = Source("cur")


def make_bucket(
    index: int, nano: int, *, origin: str | None = "cur:a", revision: int = 1, basis: Basis = Basis.BILLED
) -> Bucket:
    """Without an origin: a sum of events."""
    bucket = Bucket(index)
    ledger = bucket.ledger_of(basis)
    if origin is None:
        ledger.add(nano)
    else:
        ledger.put(Origin(origin, SOURCE), revision, nano)
    return bucket


def content(bucket: Bucket) -> tuple[object, ...]:
    ledgers = (bucket.billed, bucket.estimated)
    return tuple(None if ledger is None else (ledger.total, ledger.contributions()) for ledger in ledgers)


def put(ring: Ring, bucket: Bucket, judgement: int = NORMAL) -> None:
    ring.extend_to(bucket.index)
    ring.put(bucket, judgement)


@pytest.mark.parametrize("nano", [0, 1, -1, 2**31 - 1, -(2**31), 2**31, 10**14, -(10**17), 2**62, 2**63, 3 * 10**21])
def test_any_amount_comes_back(nano: int) -> None:
    ring = Ring(100)
    put(ring, make_bucket(100, 5))
    put(ring, make_bucket(101, nano))
    put(ring, make_bucket(102, 7, origin=None))
    assert [ring.value(index) for index in (100, 101, 102)] == [5, nano, 7]


def test_buckets_come_back_whole() -> None:
    ring = Ring(100)
    both = make_bucket(103, 40)
    both.ledger_of(Basis.ESTIMATED).add(39)
    two = make_bucket(104, 40)
    two.effective.put(Origin("cur:b", SOURCE), 1, 2)
    mixed = make_bucket(105, 40)
    mixed.effective.add(2)
    buckets = [
        make_bucket(100, 10),
        make_bucket(101, 20, basis=Basis.ESTIMATED),
        make_bucket(102, 30, origin=None),
        both,
        two,
        mixed,
    ]
    before = [content(bucket) for bucket in buckets]
    for bucket in buckets:
        put(ring, bucket)
    assert [content(ring.get(index)) for index in range(100, 106)] == before
    assert [ring.basis(index) for index in (100, 101)] == [Basis.BILLED, Basis.ESTIMATED]
    assert set(ring.whole or {}) == {103, 104, 105}


def test_gaps_are_missing() -> None:
    ring = Ring(100)
    put(ring, make_bucket(100, 1))
    put(ring, make_bucket(105, 1))
    put(ring, make_bucket(97, 1))
    assert list(ring.present()) == [97, 100, 105]
    assert (ring.start, ring.end, len(ring)) == (97, 106, 9)
    assert not ring.is_present(96)
    assert not ring.is_present(101)
    assert not ring.is_present(106)


def test_judgements_are_kept_beside_the_amounts() -> None:
    ring = Ring(100)
    for index, judgement in ((100, NORMAL), (101, ABNORMAL), (102, ACCEPTED)):
        put(ring, make_bucket(index, index), judgement)
    assert [ring.judgement(index) for index in (100, 101, 102)] == [NORMAL, ABNORMAL, ACCEPTED]
    ring.judge([ACCEPTED, NORMAL, ABNORMAL])
    assert [ring.judgement(index) for index in (100, 101, 102)] == [ACCEPTED, NORMAL, ABNORMAL]
    assert [ring.value(index) for index in (100, 101, 102)] == [100, 101, 102]


def test_what_leaves_is_forgotten() -> None:
    ring = Ring(100)
    for index in range(100, 110):
        put(ring, make_bucket(index, 3 * 10**21 if index < 105 else index))
    ring.drop_until(107)
    assert list(ring.present()) == [107, 108, 109]
    assert ring.whole is None
    ring.drop_until(500)
    assert (len(ring), ring.start) == (0, 110)


def test_a_new_revision_of_all_days_every_day_stays_small() -> None:
    ring = Ring(0)
    for index in range(90):
        put(ring, make_bucket(index, index))
    for revision in range(2, 500):
        for index in range(60, 90):
            put(ring, make_bucket(index, index + revision, revision=revision))
    assert len(ring.stamps) <= 8
    assert ring.value(89) == 89 + 499
    assert ring.value(3) == 3


def test_more_stamps_than_numbers_keep_buckets_whole() -> None:
    ring = Ring(0)
    for index in range(90):
        put(ring, make_bucket(index, index, revision=index))
    assert [ring.get(index).effective.revision for index in range(90)] == list(range(90))
    assert len(ring.whole or {}) == 90 - 62


def test_series_of_one_delivery_share_their_stamps() -> None:
    rings = [Ring(0), Ring(0)]
    for ring in rings:
        for index in range(40):
            put(ring, make_bucket(index, 1, origin=f"cur:{index // 30}"))
    assert rings[0].stamps is rings[1].stamps


def test_random_changes_come_back() -> None:
    rng = random.Random(1)
    ring = Ring(50)
    known: dict[int, int] = {}
    for _ in range(2000):
        index = rng.randint(50, 140)
        nano = rng.choice((rng.randint(-100, 100), rng.randint(-(10**12), 10**12), rng.randint(-(10**22), 10**22)))
        put(ring, make_bucket(index, nano, origin=rng.choice(("cur:a", "cur:b", None)), revision=rng.randint(1, 3)))
        known[index] = nano
    assert {index: ring.value(index) for index in ring.present()} == known
    ring.check()

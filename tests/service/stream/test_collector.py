"""Loading is not slowed down by the garbage collector, and what is dropped does not stay."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from service.stream.collector import collector_at_rest


class Cycle:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def collector_as_it_was() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


def test_nothing_is_collected_during_a_load_and_what_it_made_is_set_apart() -> None:
    with collector_at_rest():
        assert not gc.isenabled()
        kept = Cycle()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    assert kept.itself is kept


def test_what_was_dropped_is_gone_when_the_next_load_begins() -> None:
    with collector_at_rest():
        state = Cycle()
    gone = weakref.ref(state)
    del state
    gc.collect()
    assert gone() is not None
    with collector_at_rest():
        assert gone() is None


def test_a_load_that_fails_sets_nothing_apart() -> None:
    gc.unfreeze()
    with pytest.raises(ValueError, match="broken"), collector_at_rest():
        raise ValueError("broken")
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0

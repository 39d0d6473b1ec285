"""Cost that a resource takes along when its tag changes."""

import pytest

from connectors.retagging import Move, Retagging, Thing

VM: Thing = ("vm",)
A, B = ("a",), ("b",)


def moves(*buckets: dict[tuple[str | None, ...], float]) -> list[list[Move]]:
    retagging = Retagging()
    return [retagging.moves({VM: bucket} if bucket else {}) for bucket in buckets]


def move(origin: str | None, to: str | None, cost: float, position: int = 0) -> Move:
    return Move(VM, position, origin, to, cost)


def test_nothing_moves_while_tags_stay() -> None:
    assert moves({A: 10.0}, {A: 30.0}, {A: 5.0}) == [[], [], []]


def test_a_changed_tag_takes_the_cost_along_once() -> None:
    assert moves({A: 10.0}, {B: 10.0}, {B: 10.0}) == [[], [move("a", "b", 10.0)], []]


def test_a_tag_that_is_set_for_the_first_time_moves_from_untagged() -> None:
    assert moves({(None,): 10.0}, {B: 10.0})[1] == [move(None, "b", 10.0)]


def test_a_change_in_the_middle_of_a_bucket_moves_in_two_steps() -> None:
    assert moves({A: 10.0}, {A: 4.0, B: 6.0}, {B: 10.0}) == [[], [move("a", "b", 6.0)], [move("a", "b", 4.0)]]


def test_what_it_costs_beyond_what_it_usually_did_is_a_rise_of_its_own() -> None:
    assert moves({A: 10.0}, {A: 12.0}, {B: 60.0})[2] == [move("a", "b", 12.0)]


def test_a_weekday_after_a_weekend_moves_in_full() -> None:
    assert moves({A: 10.0}, {A: 3.0}, {B: 10.0})[2] == [move("a", "b", 10.0)]


def test_a_gap_does_not_matter() -> None:
    assert moves({A: 10.0}, {}, {B: 10.0})[2] == [move("a", "b", 10.0)]


def test_shares_of_one_resource_that_grow_apart_move_nothing() -> None:
    assert moves({A: 50.0, B: 50.0}, {A: 50.0, B: 400.0}) == [[], []]
    assert moves({A: 50.0}, {A: 50.0, B: 50.0}) == [[], []]


def test_each_tag_is_looked_at_by_itself() -> None:
    assert moves({("a", "prod"): 10.0}, {("b", "prod"): 10.0}) == [[], [move("a", "b", 10.0)]]
    assert moves({("a", "dev"): 10.0}, {("a", "prod"): 10.0}) == [[], [move("dev", "prod", 10.0, 1)]]


@pytest.mark.parametrize("cost", [0.0, -10.0])
def test_what_costs_nothing_or_less_moves_nothing(cost: float) -> None:
    assert moves({A: 10.0}, {B: cost}) == [[], []]
    assert moves({A: cost}, {B: 10.0}) == [[], []]

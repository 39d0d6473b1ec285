"""At most so many pages a week, and what is beyond them is listed with its cost."""

from datetime import timedelta

import pytest

from service.core.alerts import Alert
from service.core.budget import PageBook, states
from service.settings import Budget
from tests.builders import make_alert
from tests.clock import NOON

DAY = timedelta(days=1)


def fired(number: int, day: float, *, team: str = "search", impact: float = 100.0) -> Alert:
    return make_alert(f"a{number}", team=team, judged_at=NOON + day * DAY, impact=impact)


def test_what_is_beyond_the_budget_is_held_back() -> None:
    book = PageBook([Budget(pages=2)])
    assert [book.ask(fired(number, number)) for number in range(4)] == [True, True, False, False]


def test_each_team_has_its_own_budget() -> None:
    book = PageBook([Budget(pages=1)])
    assert book.ask(fired(1, 0))
    assert book.ask(fired(2, 0, team="ads"))
    assert not book.ask(fired(3, 0, team="ads"))


def test_a_week_later_there_is_room_again() -> None:
    book = PageBook([Budget(pages=1, days=7)])
    assert book.ask(fired(1, 0))
    assert not book.ask(fired(2, 6.9))
    assert book.ask(fired(3, 7))


def test_one_that_was_told_may_be_told_again() -> None:
    book = PageBook([Budget(pages=1)])
    assert book.ask(fired(1, 0))
    assert book.ask(fired(1, 0))
    assert not book.ask(fired(2, 0))


def test_what_is_held_back_spends_nothing_of_another_budget() -> None:
    book = PageBook([Budget(label="team", pages=1), Budget(label="severity", pages=2)])
    assert [book.ask(fired(number, 0)) for number in range(3)] == [True, False, False]
    assert book.ask(fired(9, 0, team="ads"))


def test_a_book_that_was_kept_goes_on() -> None:
    book = PageBook([Budget(pages=1)])
    book.ask(fired(1, 0))
    again = PageBook([Budget(pages=1)], book.changed)
    assert not again.ask(fired(2, 1))


@pytest.mark.parametrize("pages", [0, 1, 5])
def test_nothing_is_dropped_silently(pages: int) -> None:
    budgets = [Budget(pages=pages)]
    book = PageBook(budgets)
    for number in range(5):
        book.ask(fired(number, number / 10, impact=10.0 * number))
    (state,) = states(budgets, book.entries())
    assert (state.label, state.group, state.allowed, state.pages) == ("team", "search", pages, pages)
    assert state.pages + len(state.held) == 5
    assert sum(state.impact.values()) == sum(10.0 * number for number in range(pages, 5))
    assert [entry.impact for entry in state.held] == sorted((entry.impact for entry in state.held), reverse=True)

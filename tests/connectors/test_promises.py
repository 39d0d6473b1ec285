import pytest

from connectors.promises import announcement, latest_promise
from connectors.restatement import instant_of

NOW = instant_of("2024-10-01T12:00:00Z").timestamp()


def test_the_latest_promise_counts() -> None:
    assert latest_promise(["2024-09-01T00:00:00Z", "2024-09-03T00:00:00Z"], NOW) == "2024-09-03T00:00:00Z"


def test_no_promise_is_none() -> None:
    assert latest_promise([], NOW) is None


def test_the_day_that_has_begun_may_be_promised_but_not_next_year() -> None:
    assert latest_promise(["2024-10-02T00:00:00Z", "2025-10-01T00:00:00Z"], NOW) == "2024-10-02T00:00:00Z"


@pytest.mark.parametrize(
    ("starts", "newest", "expected"),
    [
        ([], None, None),
        (["2024-09-01T00:00:00Z"], None, None),
        (["2024-01-01T00:00:00Z", "2024-09-01T00:00:00Z"], None, None),
        (["2022-01-01T00:00:00Z", "2024-09-01T00:00:00Z"], None, "2023-11-06T00:00:00Z"),
        (["2024-09-01T00:00:00Z"], "2024-08-01T00:00:00Z", None),
        (["2024-09-01T00:00:00Z"], "2022-08-01T00:00:00Z", "2023-11-06T00:00:00Z"),
        (["2022-09-01T00:00:00Z"], "2024-08-01T00:00:00Z", None),
        (["2024-09-01T00:00:00Z", "2099-01-01T00:00:00Z"], "2024-08-01T00:00:00Z", None),
        (["2099-01-01T00:00:00Z"], None, None),
    ],
    ids=["nothing", "first", "one bill", "years in one", "next", "jump", "back", "wrong year", "only a wrong year"],
)
def test_only_a_jump_is_announced(starts: list[str], newest: str | None, expected: str | None) -> None:
    assert announcement(starts, [] if newest is None else [newest, "2021-01-01T00:00:00Z"], NOW) == expected


def test_the_first_facts_of_a_source_that_will_promise_something_are_announced() -> None:
    starts, promised = ["2024-09-02T00:00:00Z", "2024-09-01T00:00:00Z", "2024-09-03T00:00:00Z"], "2024-09-04T00:00:00Z"
    assert announcement(starts, [], NOW, promised=promised) == "2024-09-01T00:00:00Z"
    assert announcement(starts, ["2024-08-01T00:00:00Z"], NOW, promised=promised) is None
    assert announcement(["2099-01-01T00:00:00Z"], [], NOW, promised=promised) is None


@pytest.mark.parametrize("promised", [None, "2099-01-01T00:00:00Z"])
def test_a_source_whose_promise_will_not_be_sent_is_not_announced(promised: str | None) -> None:
    assert announcement(["2024-09-01T00:00:00Z"], [], NOW, promised=promised) is None


def test_a_wrong_year_before_does_not_hide_a_jump() -> None:
    before = ["2022-08-01T00:00:00Z", "2099-01-01T00:00:00Z"]
    assert announcement(["2024-09-01T00:00:00Z"], before, NOW) == "2023-11-06T00:00:00Z"

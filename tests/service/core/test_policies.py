"""Which policy judges a series."""

import pytest

from connectors.series import Grain, SeriesKey
from detectors.parameters import ParameterError, UnknownDetectorError
from service.core.policies import PolicyBook
from service.settings import Match, Policy


def make_series(value: str = "search", grain: Grain = Grain.DAY) -> SeriesKey:
    return SeriesKey(metric="effective_cost", unit="USD", grain=grain, dimension="tag:team", value=value)


def floor_of(book: PolicyBook, series: SeriesKey) -> int:
    return book.judge_of(series).floor // 1_000_000_000


def test_the_first_that_matches_judges() -> None:
    book = PolicyBook(
        (
            Policy(match=Match(value="search", grain=Grain.HOUR), floor=1),
            Policy(match=Match(value="search"), floor=2),
            Policy(match=Match(metric="billed_cost"), floor=3),
            Policy(match=Match(unit="USD", dimension="tag:team"), floor=4),
        )
    )
    assert floor_of(book, make_series(grain=Grain.HOUR)) == 1
    assert floor_of(book, make_series()) == 2
    assert floor_of(book, make_series("ads")) == 4


def test_a_series_that_none_matches_has_the_default() -> None:
    book = PolicyBook((Policy(match=Match(value="search"), detector="rolling"),))
    assert book.judge_of(make_series("ads")).detector == "seasonal"


@pytest.mark.parametrize(
    ("metric", "grain", "detector"),
    [
        ("cpu_utilization", Grain.FIVE_MINUTES, "usage"),
        ("cpu_utilization", Grain.MINUTE, "usage"),
        ("cpu_utilization", Grain.HOUR, "seasonal"),
        ("effective_cost", Grain.FIVE_MINUTES, "seasonal"),
        ("billed_cost", Grain.DAY, "seasonal"),
    ],
)
def test_usage_by_the_minute_gets_the_detector_with_a_memory(metric: str, grain: Grain, detector: str) -> None:
    series = SeriesKey(metric=metric, unit="percent", grain=grain, dimension="resource_id", value="i-1")
    assert PolicyBook(()).judge_of(series).detector == detector


def test_parameters_without_a_name_are_those_of_the_spend_detector() -> None:
    series = SeriesKey(metric="cpu", unit="percent", grain=Grain.MINUTE, dimension="resource_id", value="i-1")
    assert PolicyBook((Policy(params={"sigma": 4}),)).judge_of(series).detector == "seasonal"


def test_series_of_one_policy_and_grain_share_a_judge() -> None:
    book = PolicyBook((Policy(),))
    assert book.judge_of(make_series("a")) is book.judge_of(make_series("b"))
    assert book.judge_of(make_series(grain=Grain.HOUR)).grain_seconds == 3600


def test_a_detector_is_made_anew_for_each_series() -> None:
    judge = PolicyBook((Policy(),)).judge_of(make_series())
    assert judge.make() is not judge.make()


def test_mistakes_show_when_the_book_is_made() -> None:
    with pytest.raises(UnknownDetectorError):
        PolicyBook((Policy(detector="oracle"),))
    with pytest.raises(ParameterError):
        PolicyBook((Policy(detector="rolling", params={"window": -1}),))


def test_a_bucket_closes_at_its_end_and_lateness() -> None:
    judge = PolicyBook((Policy(lateness_seconds=3600),)).judge_of(make_series())
    assert judge.close_at(0) == 86_400 + 3600

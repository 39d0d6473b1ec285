"""Token bucket, pauses and circuit, on a clock that a test moves."""

import math
from datetime import timedelta

import pytest

from service.delivery.pace import (
    FAILURES,
    FIRST_PAUSE_SECONDS,
    HALFWAY,
    LEAST_PATIENCE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    LONGEST_WAIT_SECONDS,
    Pace,
)
from service.delivery.receivers.receiver import Delivered, FailureReason, Rejected, Retry

AWAY = Retry(reason=FailureReason.NETWORK, detail="refused")
HALF = Retry(reason=FailureReason.SERVER_ERROR, detail="503", got_somewhere=True)


def limited(seconds: float | None) -> Retry:
    after = None if seconds is None else timedelta(seconds=seconds)
    return Retry(reason=FailureReason.RATE_LIMITED, detail="429", after=after)


def make_pace(rate: float = 1000.0, burst: int = 1000) -> Pace:
    return Pace(rate=rate, burst=burst, now=0.0)


def fail(pace: Pace, times: int, now: float = 0.0, *, outcome: Retry = AWAY) -> None:
    for _ in range(times):
        pace.began(1, now)
        assert not pace.ended(outcome, now)


def test_a_burst_is_allowed_and_then_the_rate() -> None:
    pace = make_pace(rate=2.0, burst=3)
    assert pace.allowed(0.0) == 3
    pace.began(3, 0.0)
    assert pace.allowed(0.4) == 0
    assert pace.wait(0.4) == pytest.approx(0.1)
    assert pace.allowed(0.5) == 1
    assert pace.allowed(100.0) == 3, "a long rest saves up no more than a burst"


def test_a_thousand_seconds_let_through_what_the_rate_says() -> None:
    pace, sent = make_pace(rate=0.1, burst=1), 0
    for tenth in range(10_000):
        now = tenth / 10
        if pace.allowed(now):
            pace.began(1, now)
            pace.ended(Delivered(), now)
            sent += 1
    assert sent == 100


def test_after_429_nothing_is_sent_for_as_long_as_it_asks() -> None:
    pace = make_pace()
    pace.began(1, 0.0)
    assert not pace.ended(limited(77.0), 0.0)
    assert (pace.allowed(76.9), pace.allowed(77.0)) == (0, 1000)
    assert not pace.is_open, "it works, it only has enough"


def test_a_pause_without_end_is_cut() -> None:
    pace = make_pace()
    pace.began(1, 0.0)
    pace.ended(limited(86_400.0), 0.0)
    assert pace.wait(0.0) == LONGEST_WAIT_SECONDS


def test_five_failures_in_a_row_open_the_circuit() -> None:
    pace = make_pace()
    fail(pace, FAILURES - 1)
    assert pace.allowed(0.0) > 1
    fail(pace, 1)
    assert pace.is_open
    assert pace.allowed(FIRST_PAUSE_SECONDS - 0.1) == 0


def test_an_open_circuit_lets_one_try_and_closes_when_it_is_answered() -> None:
    pace = make_pace()
    fail(pace, FAILURES)
    now = FIRST_PAUSE_SECONDS
    assert pace.allowed(now) == 1
    pace.began(1, now)
    assert pace.allowed(now) == 0, "one at a time"
    assert pace.wait(now) == math.inf, "no time makes up for its answer"
    assert pace.ended(Delivered(), now), "it is back"
    assert pace.allowed(now) > 1


def test_the_pauses_of_an_open_circuit_grow_up_to_half_a_minute() -> None:
    pace, now, pauses = make_pace(), 0.0, []
    fail(pace, FAILURES)
    for _ in range(8):
        pauses.append(pace.wait(now))
        now += pauses[-1]
        fail(pace, 1, now)
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)


@pytest.mark.parametrize(
    "answer",
    [
        Delivered(),
        Rejected(reason=FailureReason.CLIENT_ERROR, detail="400"),
        limited(None),
    ],
    ids=["delivered", "rejected", "limited"],
)
def test_an_answer_of_any_kind_is_no_failure_of_the_receiver(answer: Delivered | Rejected | Retry) -> None:
    pace = make_pace()
    for _ in range(3 * FAILURES):
        pace.began(1, 0.0)
        pace.ended(answer, 0.0)
    assert not pace.is_open


def test_attempts_that_got_somewhere_are_no_outage_as_long_as_others_get_through() -> None:
    pace = make_pace()
    for _ in range(10 * HALFWAY):
        fail(pace, HALFWAY - 1, outcome=HALF)
        pace.began(1, 0.0)
        pace.ended(Delivered(), 0.0)
    assert not pace.is_open


def test_an_attempt_that_got_somewhere_is_no_sign_of_a_receiver_that_never_answers() -> None:
    pace = make_pace()
    fail(pace, FAILURES - 1)
    fail(pace, 1, outcome=HALF)
    fail(pace, FAILURES - 1)
    assert not pace.is_open


def test_a_desk_that_can_be_read_and_not_written_to_is_away() -> None:
    pace = make_pace()
    fail(pace, HALFWAY, outcome=HALF)
    assert pace.is_open


def test_a_receiver_that_answers_again_is_tried_and_is_back_when_something_gets_through() -> None:
    pace = make_pace()
    fail(pace, FAILURES)
    now = pace.wait(0.0)
    fail(pace, 1, now, outcome=HALF)
    assert not pace.is_open
    fail(pace, FAILURES - 1, now, outcome=HALF)
    assert not pace.is_open
    pace.began(1, now)
    assert pace.ended(Delivered(), now), "it is back"
    fail(pace, FAILURES - 1, now)
    assert not pace.is_open


def test_a_receiver_that_answers_again_and_takes_nothing_is_spared_more_and_more() -> None:
    pace, now, pauses = make_pace(), 0.0, []
    for _ in range(6):
        while not pace.is_open:
            fail(pace, 1, now, outcome=HALF)
        pauses.append(pace.wait(now))
        now += pauses[-1]
        pace.began(1, now)
        pace.ended(HALF, now)
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_SECONDS


def test_a_probe_of_unknown_end_lets_another_try() -> None:
    pace = make_pace()
    fail(pace, FAILURES)
    pace.began(1, FIRST_PAUSE_SECONDS)
    pace.ended(None, FIRST_PAUSE_SECONDS)
    assert pace.allowed(FIRST_PAUSE_SECONDS) == 1


def test_how_long_a_message_waits_at_most_grows_with_the_time_the_receiver_has_worked() -> None:
    pace = make_pace()
    assert [pace.patience(now) for now in (0.0, 60.0, 3600.0)] == [LEAST_PATIENCE_SECONDS, 15.0, 900.0]


def test_a_message_waits_no_longer_than_it_takes_to_notice_that_the_receiver_is_back() -> None:
    pace = make_pace()
    fail(pace, FAILURES, now=86_400.0)
    assert pace.patience(86_400.0) == LONGEST_PAUSE_SECONDS


def test_what_failed_in_an_outage_is_tried_soon_after_it() -> None:
    pace, back = make_pace(), 86_402.0
    fail(pace, FAILURES, now=86_400.0)
    pace.began(1, back)
    pace.ended(Delivered(), back)
    assert pace.patience(back) == LEAST_PATIENCE_SECONDS
    pace.began(1, back + 3600.0)
    pace.ended(Delivered(), back + 3600.0)
    assert pace.patience(back + 3600.0) == 900.0, "only its coming back begins it anew"

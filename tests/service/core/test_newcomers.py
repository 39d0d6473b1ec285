"""A tag is judged from its first event on: by what its peers cost."""

import random
from collections.abc import Sequence

import pytest

from connectors.facts import Basis, Fact, Fold, Watermark
from service.core.alerts import Alert, AlertKind, AlertStatus
from service.core.engine import Engine
from service.core.policies import PolicyBook
from service.settings import Policy
from tests.service.core.fleet import P4D_USD_PER_HOUR, complete, daily, instant, levels, metered, tag
from tests.service.core.support import FIRST_DAY, Feed, concluded, make_fact, said, standing

DAY_MINUTES = 1440
BEGIN = 30
"""Days of history before anything new comes."""


def make_feed(*, peers: int = 200, seed: int = 1, policy: Policy | None = None) -> Feed:
    """Peers of 5 to 500 USD a day, with thirty days behind them."""
    feed = Feed(Engine(policies=PolicyBook((policy or Policy(),))))
    for number in range(BEGIN):
        feed.send(*daily(levels(peers, seed), [number], seed * 1000 + number))
        feed.send(complete(number + 1))
    feed.alerts.clear()
    return feed


def of(feed: Feed, name: str, grain: str = "1d") -> list[Alert]:
    return [alert for alert in feed.alerts if alert.series == tag(name, grain)]


@pytest.mark.parametrize("step", [1, 2, 5])
@pytest.mark.parametrize("hour", [0, 9.5, 23.95], ids=["at midnight", "in the day", "shortly before midnight"])
def test_eight_p4d_of_a_new_tag_are_flagged_within_ten_minutes(step: int, hour: float) -> None:
    feed = make_feed()
    start = BEGIN * DAY_MINUTES + hour * 60
    for fact in metered("lab", P4D_USD_PER_HOUR, start, 10, step=step):
        feed.send(fact)
    raised = of(feed, "lab")
    assert raised, "nothing was said of 262 USD an hour"
    assert raised[0].kind is AlertKind.NEW_SPEND
    assert raised[0].status is AlertStatus.FIRING
    assert (raised[0].judged_at - FIRST_DAY).total_seconds() / 60 <= start + 10


def test_a_new_tag_is_told_in_words_that_say_what_it_was_compared_with() -> None:
    feed = make_feed()
    feed.send(*metered("lab", P4D_USD_PER_HOUR, BEGIN * DAY_MINUTES + 570, 9))
    (alert,) = of(feed, "lab")
    assert alert.reason == (
        "team=lab is new (first seen 2024-10-02 09:30 UTC) and cost 43.67 USD so far on 2024-10-02, on the way to "
        "6,085.16 USD a day at least; all of 200 peers of tag:team stay below 570.00 USD a day"
    )
    assert alert.action == "Find out who started team=lab, and whether it is meant to cost this much"
    assert (alert.expected, alert.detector, alert.impact) == (0.0, "peers", alert.actual)
    assert alert.lower < alert.upper < alert.actual


def test_a_new_tag_that_goes_on_is_one_alert_until_it_is_normal() -> None:
    feed = make_feed()
    for number in range(10):
        start = (BEGIN + number) * DAY_MINUTES + (570 if number == 0 else 0)
        feed.send(*metered("lab", P4D_USD_PER_HOUR, start, DAY_MINUTES - 5 - (570 if number == 0 else 0), step=5))
    (alert,) = standing(of(feed, "lab")).values()
    assert (alert.kind, alert.status, alert.buckets) == (AlertKind.NEW_SPEND, AlertStatus.RESOLVED, 7)
    assert alert.reason.endswith("taken as the new normal")


def test_the_bill_settles_the_alert_of_the_meter() -> None:
    feed = make_feed()
    feed.send(*metered("lab", P4D_USD_PER_HOUR, BEGIN * DAY_MINUTES + 1200, 235, step=5))
    assert [alert.status for alert in standing(of(feed, "lab")).values()] == [AlertStatus.FIRING]
    feed.send(make_fact(BEGIN, 1040.0, series=tag("lab")))
    (alert,) = standing(of(feed, "lab")).values()
    assert (alert.basis, alert.actual, alert.status) == (Basis.BILLED, 1040.0, AlertStatus.FIRING)


def test_what_was_spent_before_the_first_report_says_nothing_of_the_pace() -> None:
    """A meter that states the day so far begins at noon: 300 USD at once are not 300 USD a minute."""
    feed = make_feed()
    for minute in range(60):
        at = instant(BEGIN * DAY_MINUTES + 720 + minute)
        total = 300 + minute * 0.2
        feed.send(
            make_fact(
                BEGIN,
                total,
                series=tag("old"),
                charge_period_start=at,
                origin="meter:eu",
                basis=Basis.ESTIMATED,
                revision=minute + 1,
            )
        )
    assert of(feed, "old") == []


def test_one_large_purchase_below_the_limit_of_the_peers_is_quiet() -> None:
    feed = make_feed()
    at = BEGIN * DAY_MINUTES + 600
    feed.send(*metered("shop", 0.5, at, 60, step=5), *metered("shop2", 400 * 60, at, 0))
    assert of(feed, "shop") == of(feed, "shop2") == []


def ordinary(number: int, rng: random.Random) -> tuple[str, float, int]:
    """Name, USD a day, minute of birth within the first day."""
    return f"new{number:03}", 5.0 * 100.0 ** rng.random(), BEGIN * DAY_MINUTES + rng.randrange(DAY_MINUTES)


@pytest.mark.parametrize("grain", ["1d", "1h"])
@pytest.mark.parametrize("seed", range(3))
def test_five_hundred_ordinary_new_tags_raise_at_most_five_alerts_in_two_days(seed: int, grain: str) -> None:
    rng = random.Random(seed)
    feed = make_feed(seed=seed) if grain == "1d" else make_hourly_feed(seed)
    facts: list[tuple[int, Fact]] = []
    for name, usd, birth in (ordinary(number, rng) for number in range(500)):
        for minute in range(birth, (BEGIN + 2) * DAY_MINUTES, 30):
            value = usd / 48 * rng.lognormvariate(0.0, 0.5)
            facts.append((minute, make_event(name, minute, value, grain)))
    feed.send(*(fact for _, fact in sorted(facts, key=lambda entry: entry[0])))
    raised = {alert.series for alert in feed.alerts if "team=new" in alert.series}
    assert len(raised) <= 5


def make_event(name: str, minute: int, value: float, grain: str) -> Fact:
    return Fact(
        series=tag(name, grain),
        charge_period_start=instant(minute),
        value=value,
        origin="meter:eu",
        fold=Fold.ADD,
        basis=Basis.ESTIMATED,
        event_id=f"{name}-{minute}",
    )


def make_hourly_feed(seed: int) -> Feed:
    """As `make_feed`, by the hour; the last nine days are enough."""
    rng = random.Random(f"hourly {seed}")
    feed = Feed(Engine(policies=PolicyBook((Policy(),))))
    for hour in range((BEGIN - 9) * 24, BEGIN * 24):
        for name, level in levels(200, seed).items():
            wave = 1 + 0.3 * (1 if 8 <= hour % 24 < 18 else -1)
            feed.send(make_event(name, hour * 60, level / 24 * wave * rng.lognormvariate(0.0, 0.1), "1h"))
    feed.alerts.clear()
    return feed


def test_eight_p4d_are_flagged_within_ten_minutes_by_the_hour_too() -> None:
    feed = make_hourly_feed(1)
    start = BEGIN * DAY_MINUTES + 617
    for fact in metered("lab", P4D_USD_PER_HOUR, start, 10, grain="1h"):
        feed.send(fact)
    raised = of(feed, "lab", "1h")
    assert [alert.kind for alert in raised[:1]] == [AlertKind.NEW_SPEND]


def test_the_first_days_of_a_new_installation_are_quiet() -> None:
    """Everything is new to us then, and nothing of it in the world."""
    feed = Feed(Engine(policies=PolicyBook((Policy(),))))
    teams = levels(300, 3, low=5.0, high=50_000.0)
    for number in range(10):
        feed.send(*daily(teams, [number], number))
        feed.send(complete(number + 1))
    assert feed.alerts == []


def test_the_history_of_tags_that_are_connected_later_is_not_news() -> None:
    """A second account brings a month of its own with it: it is judged as a whole, and what was dear is over."""
    feed = make_feed()
    feed.send(*(fact for number in range(3, BEGIN) for fact in daily({"acquired": 9_000.0}, [number], number)))
    feed.complete(BEGIN)
    assert all(alert.status is not AlertStatus.FIRING for alert in feed.alerts)


def test_few_peers_widen_the_band() -> None:
    told = []
    for peers in (3, 200):
        feed = make_feed(peers=peers)
        feed.send(make_fact(BEGIN, 900.0, series=tag("lab")))
        told.append(bool(of(feed, "lab")))
    assert told == [False, True]


def test_a_new_tag_has_a_limit_of_its_own_after_some_days() -> None:
    feed = make_feed()
    for number in range(5):
        feed.send(make_fact(BEGIN + number, 12.0 + number, series=tag("small")), complete(BEGIN + number + 1))
    assert of(feed, "small") == []
    feed.send(make_fact(BEGIN + 5, 300.0, series=tag("small")))
    (alert,) = of(feed, "small")
    assert (alert.kind, alert.expected) == (AlertKind.SPIKE, 14.0)
    assert alert.upper < 100


def test_rest_is_no_measure_of_what_a_new_tag_costs_at_work() -> None:
    feed = make_feed()
    for number in range(5):
        feed.send(make_fact(BEGIN + number, 0.0, series=tag("nightly")), complete(BEGIN + number + 1))
    feed.send(make_fact(BEGIN + 5, 30.0, series=tag("nightly")), complete(BEGIN + 6))
    assert of(feed, "nightly") == []
    feed.send(make_fact(BEGIN + 6, 6_000.0, series=tag("nightly")))
    (alert,) = of(feed, "nightly")
    assert alert.kind is AlertKind.SPIKE


def test_new_spend_can_be_switched_off_and_has_a_floor() -> None:
    for floor, told in ((None, False), (5_000.0, False), (800.0, True)):
        feed = make_feed(policy=Policy(new_spend_floor=floor))
        feed.send(make_fact(BEGIN, 900.0, series=tag("lab")))
        assert bool(of(feed, "lab")) is told


@pytest.mark.parametrize(
    "series",
    [
        "default/effective_cost/USD/1d/total=",
        "default/effective_cost/USD/1d/tag:team=__untagged__",
        "default/tokens/tokens/1d/tag:team=lab",
    ],
)
def test_what_has_no_peers_in_money_is_not_judged_by_them(series: str) -> None:
    feed = make_feed()
    assert feed.send(make_fact(BEGIN, 1e6, series=series)) == []


def test_a_peer_that_is_restated_changes_what_was_said() -> None:
    feed = make_feed(peers=20)
    feed.send(make_fact(BEGIN, 900.0, series=tag("lab")))
    assert [alert.status for alert in of(feed, "lab")] == [AlertStatus.FIRING]
    costly = max(levels(20, 1), key=lambda name: levels(20, 1)[name])
    feed.send(*(make_fact(number, 2_000.0, series=tag(costly), revision=1) for number in range(20, 29)))
    feed.complete(BEGIN)
    assert [alert.status for alert in of(feed, "lab")] == [AlertStatus.FIRING, AlertStatus.WITHDRAWN]


def test_any_order_gives_the_same_newcomers() -> None:
    facts: list[Fact] = []
    for number in range(20):
        facts += daily(levels(12, 4), [number], number)
    facts += metered("lab", P4D_USD_PER_HOUR, 12 * DAY_MINUTES + 300, 120, step=5)
    facts += metered("lab", P4D_USD_PER_HOUR, 13 * DAY_MINUTES, 1400, step=60)
    facts += daily({"small": 20.0}, range(11, 20), 5)
    facts += [make_fact(16, 900.0, series=tag("small"), revision=1)]
    final = [complete(24), complete(24, "meter")]
    expected = run_through(facts, final)
    assert {alert.kind for alert in said(expected.alerts).values()} >= {AlertKind.NEW_SPEND, AlertKind.SPIKE}
    for seed in range(20):
        rng = random.Random(seed)
        mixed: list[Fact | Watermark] = [*facts, *rng.sample(facts, len(facts) // 5)]
        rng.shuffle(mixed)
        mixed = [*mixed[:300], complete(rng.randrange(24)), *mixed[300:]] if seed % 2 else mixed
        feed = run_through(mixed, final)
        assert concluded(feed.alerts) == concluded(expected.alerts), f"seed {seed}"
        assert feed.engine.digest() == expected.engine.digest(), f"seed {seed}"


def run_through(facts: Sequence[Fact | Watermark], final: Sequence[Watermark]) -> Feed:
    feed = Feed(Engine(policies=PolicyBook((Policy(),))))
    feed.send(*facts)
    feed.send(*final)
    return feed

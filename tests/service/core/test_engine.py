"""What an ops team sees: when an alert is raised, changed, ended and taken back."""

import msgspec
import pytest

from connectors.facts import Basis, Fold, Watermark
from connectors.series import UNTAGGED
from service.core.alerts import AlertKind, AlertStatus, Severity
from service.core.engine import Engine
from service.core.newcomers import MAX_DIMENSIONS
from service.core.policies import PolicyBook
from service.core.rejects import RejectReason
from service.core.snapshot import PARTITION_KEY, PartitionSnapshot, encode_partition
from service.settings import Match, Policy
from tests.service.core.month import CPU
from tests.service.core.support import (
    ADS,
    FIRST_DAY,
    SEARCH,
    Feed,
    day,
    make_engine,
    make_event,
    make_fact,
    prepare_trailing,
    said,
    standing,
)

QUIET = [100.0] * 10


def test_flat_series_stays_quiet() -> None:
    feed = Feed(make_engine())
    feed.days([100.0] * 60)
    assert feed.alerts == []


@pytest.mark.parametrize("grain", ["1d", "1h"])
def test_flat_series_stays_quiet_with_the_default_policy(grain: str) -> None:
    feed = Feed(Engine(policies=PolicyBook((Policy(),))))
    series = SEARCH.replace("/1d/", f"/{grain}/")
    for number in range(60):
        start = day(number) if grain == "1d" else day(number // 24, hour=number % 24)
        feed.send(make_fact(number, 100.0, series=series, charge_period_start=start))
    assert feed.alerts == []
    assert feed.engine.stats.closed == 59


def test_running_total_fires_before_the_day_ends() -> None:
    feed = Feed(make_engine())
    feed.days(QUIET)
    assert feed.send(make_fact(10, 140.0)) == []
    (alert,) = feed.send(make_fact(10, 200.0, revision=1, charge_period_start=day(10, hour=9)))
    assert alert.status is AlertStatus.FIRING
    assert alert.kind is AlertKind.SPIKE
    assert (alert.actual, alert.expected, alert.upper, alert.impact) == (200.0, 100.0, 150.0, 100.0)
    assert alert.ends_at is None
    assert alert.judged_at.hour == 9
    assert alert.reason == (
        "team=search cost 200.00 USD so far on 2024-09-12, 2.0 times the 100.00 USD expected (50.00 to 150.00)"
    )
    assert alert.labels == {"team": "search", "metric": "effective_cost", "grain": "1d"}


def test_growing_bucket_is_told_again_by_tenths_only() -> None:
    feed = Feed(make_engine())
    feed.days(QUIET)
    feed.send(make_event(10, 200.0, "first"))
    raised = feed.send(*(make_event(10, 1.0, f"event-{number}") for number in range(50)))
    assert [alert.actual for alert in raised] == [211.0, 223.0, 236.0, 250.0]
    assert [alert.version for alert in raised] == [2, 3, 4, 5]
    assert len({alert.id for alert in feed.alerts}) == 1


def test_partial_day_is_not_a_drop() -> None:
    feed = Feed(make_engine())
    feed.days(QUIET)
    assert feed.send(make_fact(10, 4.0)) == []
    assert feed.send(make_fact(10, 101.0, revision=1)) == []
    assert feed.complete(11) == []


def test_fall_is_told_when_the_day_is_complete() -> None:
    feed = Feed(make_engine())
    feed.days(QUIET)
    assert feed.send(make_fact(10, 4.0)) == []
    (alert,) = feed.complete(11)
    assert (alert.kind, alert.status, alert.impact) == (AlertKind.DROP, AlertStatus.FIRING, -96.0)
    assert "96% below the 100.00 USD expected" in alert.reason


def test_one_low_day_is_told_only_when_the_next_one_is_low_too() -> None:
    feed = Feed(make_engine(Policy(detector="trailing")))
    feed.days([*QUIET, 20.0, 100.0, 20.0])
    assert feed.complete(13) == []
    assert feed.send(make_fact(13, 25.0)) == []
    (alert,) = feed.complete(14)
    assert (alert.kind, (alert.starts_at - FIRST_DAY).days, alert.buckets) == (AlertKind.DROP, 12, 2)
    assert (alert.judged_at - FIRST_DAY).days == 14


def test_a_credit_that_comes_once_a_month_is_never_told() -> None:
    feed = Feed(make_engine(Policy(detector="trailing")))
    feed.days([-30.0 if number % 30 == 20 else 100.0 for number in range(100)])
    assert feed.alerts == []


def test_a_day_without_any_spend_is_told_at_once() -> None:
    feed = Feed(make_engine(Policy(detector="trailing")))
    feed.days([*QUIET, 0.0])
    (alert,) = feed.complete(11)
    assert alert.kind is AlertKind.DROP


def test_falls_are_not_told_where_the_policy_says_so() -> None:
    feed = Feed(make_engine(Policy(detector="trailing", drops=False)))
    feed.days([*QUIET, 0.0, 100.0])
    assert feed.alerts == []


def test_lateness_keeps_a_day_open() -> None:
    feed = Feed(make_engine(Policy(detector="trailing", lateness_seconds=6 * 3600, drop_after=1)))
    feed.days([*QUIET, 4.0])
    assert feed.send(make_fact(11, 50.0, charge_period_start=day(11, hour=5))) == []
    (alert,) = feed.send(make_fact(11, 60.0, revision=1, charge_period_start=day(11, hour=6)))
    assert alert.kind is AlertKind.DROP


def test_resolved_when_a_normal_day_is_complete() -> None:
    feed = Feed(make_engine())
    feed.days([*QUIET, 400.0, 100.0])
    assert [alert.status for alert in standing(feed.alerts).values()] == [AlertStatus.FIRING]
    feed.complete(12)
    (alert,) = standing(feed.alerts).values()
    assert alert.status is AlertStatus.RESOLVED
    assert alert.ends_at is not None
    assert (alert.ends_at - FIRST_DAY).days == 11
    assert [point.abnormal for point in alert.history][-2:] == [True, False]


def test_consecutive_abnormal_days_are_one_alert() -> None:
    feed = Feed(make_engine())
    feed.days([*QUIET, 400.0, 500.0, 300.0, 100.0, 100.0])
    (alert,) = standing(feed.alerts).values()
    assert (alert.buckets, alert.impact, alert.actual) == (3, 900.0, 500.0)
    assert alert.reason.endswith("; the worst of 3 days, +900.00 USD in all")


def test_a_normal_day_between_makes_two_alerts() -> None:
    feed = Feed(make_engine())
    feed.days([*QUIET, 400.0, 100.0, 400.0, 100.0, 100.0])
    assert len(standing(feed.alerts)) == 2


def test_the_judged_day_is_not_in_its_own_baseline_nor_in_the_next() -> None:
    feed = Feed(make_engine())
    feed.days([*QUIET, 400.0, 400.0, 400.0])
    assert {alert.expected for alert in feed.alerts} == {100.0}


def test_new_level_is_accepted_after_some_days() -> None:
    feed = Feed(make_engine(Policy(detector="trailing", accept_after=3)))
    feed.days([*QUIET, *[400.0] * 8])
    (alert,) = standing(feed.alerts).values()
    assert (alert.status, alert.buckets) == (AlertStatus.RESOLVED, 3)
    assert alert.reason.endswith("taken as the new normal")


def test_below_the_floor_is_normal() -> None:
    feed = Feed(make_engine(Policy(detector="trailing", floor=500.0)))
    feed.days([*QUIET, 400.0, 100.0])
    assert feed.alerts == []


def test_a_missing_day_is_neither_zero_nor_learned() -> None:
    feed = Feed(make_engine())
    feed.days(QUIET)
    feed.complete(14)
    assert feed.alerts == []
    (alert,) = feed.send(make_fact(14, 160.0))
    assert alert.expected == 100.0


def test_a_real_zero_is_a_fall() -> None:
    feed = Feed(make_engine())
    feed.days([*QUIET, 0.0])
    (alert,) = feed.complete(11)
    assert (alert.kind, alert.actual) == (AlertKind.DROP, 0.0)


def test_episode_ends_when_the_series_falls_silent() -> None:
    feed = Feed(make_engine())
    feed.days([*QUIET, 400.0])
    # A missing day or two may be a pause (`keep_firing_for`).
    assert [alert.status for alert in feed.complete(13)] == [AlertStatus.FIRING]
    (alert,) = feed.complete(14)
    assert alert.status is AlertStatus.RESOLVED
    assert (alert.buckets, alert.impact) == (1, 300.0)


def test_withdrawn_line_withdraws_its_alert() -> None:
    feed = Feed(make_engine())
    feed.days([*QUIET, 400.0, 100.0, 100.0])
    (before,) = standing(feed.alerts).values()
    (alert,) = feed.send(make_fact(10, 105.0, revision=1))
    assert (alert.id, alert.status) == (before.id, AlertStatus.WITHDRAWN)
    assert alert.version == before.version + 1
    assert alert.actual == 105.0
    assert alert.reason.startswith("Withdrawn: after a correction, team=search cost 105.00 USD on 2024-09-12")


def test_withdrawn_alert_comes_back_under_its_id() -> None:
    feed = Feed(make_engine())
    feed.days([*QUIET, 400.0, 100.0, 100.0])
    feed.send(make_fact(10, 105.0, revision=1))
    withdrawn = feed.alerts[-1]
    (alert,) = feed.send(make_fact(10, 390.0, revision=2))
    assert (alert.id, alert.status, alert.version) == (withdrawn.id, AlertStatus.RESOLVED, withdrawn.version + 1)


def test_open_bucket_that_fired_is_withdrawn_when_it_falls_again() -> None:
    feed = Feed(make_engine())
    feed.days(QUIET)
    feed.send(make_event(10, 400.0, "mistake"))
    (alert,) = feed.send(make_event(10, -300.0, "reversal"))
    assert alert.status is AlertStatus.WITHDRAWN


def test_restated_history_adjusts_the_alert() -> None:
    feed = Feed(make_engine())
    feed.days([*QUIET, 400.0, 100.0, 100.0])
    (alert,) = feed.send(*(make_fact(5, 128.0, revision=1),))
    assert alert.status is AlertStatus.RESOLVED
    assert alert.expected == 104.0


def test_late_bill_replaces_the_estimate() -> None:
    feed = Feed(make_engine())
    for number in range(10):
        feed.send(make_event(number, 100.0, f"event-{number}"))
    (estimated,) = feed.send(make_event(10, 400.0, "event-10"))
    assert estimated.basis is Basis.ESTIMATED
    raised = feed.send(make_fact(10, 380.0))
    assert [(alert.basis, alert.actual) for alert in raised] == [(Basis.BILLED, 380.0)]
    (withdrawn,) = feed.send(make_fact(10, 120.0, revision=1))
    assert withdrawn.status is AlertStatus.WITHDRAWN


def test_bill_confirms_the_alert_of_a_closed_day() -> None:
    feed = Feed(make_engine())
    for number in range(11):
        feed.send(make_event(number, 400.0 if number == 10 else 100.0, f"event-{number}"))
    feed.send(Watermark(source="meter", complete_until=day(12)))
    before = standing(feed.alerts)
    (confirmed,) = feed.send(make_fact(10, 400.0))
    assert confirmed.basis is Basis.BILLED
    assert set(standing(feed.alerts)) == set(before)


def test_an_estimate_after_the_bill_changes_nothing() -> None:
    feed = Feed(make_engine())
    feed.days(QUIET)
    assert feed.send(make_event(5, 900.0, "late")) == []


def test_delivery_is_folded_once_it_is_complete() -> None:
    """A source that sends watermarks is half-way through a whole until its next one: no alarm about halves."""
    feed = Feed(make_engine())
    feed.days(QUIET)
    feed.complete(10)
    assert feed.send(*(make_fact(number, 20.0, origin="cur:correction") for number in range(6))) == []
    refolds = feed.engine.stats.refolds
    feed.complete(10)
    assert feed.engine.stats.refolds == refolds + 1


def test_restated_facts_of_a_source_without_watermarks_count_at_once() -> None:
    feed = Feed(make_engine())
    feed.days([*QUIET, 100.0])
    assert [alert.kind for alert in feed.send(make_fact(9, 400.0, revision=1))] == [AlertKind.SPIKE]


def test_origins_add_up() -> None:
    feed = Feed(make_engine())
    feed.days(QUIET)
    assert feed.send(make_fact(10, 100.0, origin="cur:a")) == []
    (alert,) = feed.send(make_fact(10, 100.0, origin="cur:b"))
    assert alert.actual == 200.0


def test_an_earlier_revision_changes_nothing() -> None:
    feed = Feed(make_engine())
    feed.days(QUIET)
    feed.send(make_fact(10, 100.0, revision=5))
    assert feed.send(make_fact(10, 900.0, revision=4)) == []
    assert feed.engine.stats.repeated == 1


def test_an_event_counts_once() -> None:
    feed = Feed(make_engine())
    feed.days(QUIET)
    assert feed.send(*[make_event(10, 60.0, "the same")] * 5) == []
    assert feed.engine.stats.repeated == 4


def test_events_of_two_meters_may_bear_the_same_id() -> None:
    feed = Feed(make_engine())
    feed.send(make_event(0, 60.0, "1"), make_event(0, 60.0, "1", origin="meter:us"))
    assert feed.engine.month_to_date(SEARCH) == ("2024-09", 120.0)


def test_gauge_is_judged_by_its_mean_when_complete() -> None:
    feed = Feed(make_engine())
    feed.days(QUIET)
    samples = [
        make_fact(10, value, fold=Fold.GAUGE, event_id=str(value), charge_period_start=day(10, hour=int(value) % 24))
        for value in (90.0, 400.0, 350.0)
    ]
    assert feed.send(*samples) == []
    (alert,) = feed.complete(11)
    assert alert.actual == 280.0


def test_too_late_facts_move_the_month_only() -> None:
    feed = Feed(make_engine(Policy(detector="trailing", ring_buckets=8)))
    feed.days([100.0] * 20)
    assert feed.engine.month_to_date(SEARCH) == ("2024-09", 2000.0)
    assert feed.send(make_event(2, 900.0, "late"), make_fact(3, 5000.0, revision=9)) == []
    assert feed.engine.stats.too_late == 2
    assert feed.engine.month_to_date(SEARCH) == ("2024-09", 2900.0)


def test_a_long_gap_is_not_filled() -> None:
    feed = Feed(make_engine(Policy(detector="trailing", ring_buckets=8)))
    feed.days(QUIET)
    (alert,) = feed.send(make_fact(300, 400.0))
    assert alert.expected == 100.0
    feed.complete(301)
    assert feed.send(make_fact(295, 1.0)) == []
    assert feed.engine.take_rejects() == []


def test_series_are_judged_apart() -> None:
    feed = Feed(make_engine())
    for number in range(10):
        feed.send(make_fact(number, 100.0), make_fact(number, 900.0, series=ADS))
    (alert,) = feed.send(make_fact(10, 900.0), make_fact(10, 900.0, series=ADS))
    assert alert.series == SEARCH


def test_all_series_close_at_one_watermark_in_bounded_steps() -> None:
    engine = make_engine(close_limit=10)
    feed = Feed(engine)
    names = [SEARCH.replace("search", f"team-{number}") for number in range(35)]
    feed.send(*(make_fact(0, 1.0, series=name) for name in names))
    feed.complete(1)
    assert engine.stats.closed == 10
    assert engine.advance(15) == 10
    assert engine.advance(100) == 0
    assert engine.stats.closed == 35


def test_a_series_that_was_put_off_is_closed_before_its_next_fact() -> None:
    feed = Feed(make_engine(close_limit=1))
    names = [SEARCH.replace("search", f"team-{number}") for number in range(5)]
    feed.send(*(make_fact(0, 1.0, series=name) for name in names))
    feed.complete(1)
    feed.send(make_fact(0, 2.0, series=names[4], revision=1))
    assert feed.engine.stats.restated == 1


def test_a_silent_source_is_not_waited_for_for_ever() -> None:
    feed = Feed(make_engine())
    feed.days(QUIET)
    feed.send(make_fact(10, 3.0), make_fact(10, 1.0, origin="other:x"))
    assert feed.complete(12) == []
    (alert,) = feed.complete(19)
    assert alert.kind is AlertKind.DROP


def test_stale_word_of_a_source_is_overtaken_by_its_facts() -> None:
    feed = Feed(make_engine())
    feed.complete(1)
    feed.days([*QUIET, 3.0])
    assert feed.alerts == []
    raised = [alert for number in range(11, 20) for alert in feed.send(make_fact(number, 100.0))]
    assert raised[0].kind is AlertKind.DROP


def test_first_matching_policy_judges() -> None:
    patient = Policy(match=Match(dimension="tag:team", value="search"), detector="trailing", floor=1000.0)
    feed = Feed(make_engine(patient, Policy(detector="trailing")))
    for number in range(10):
        feed.send(make_fact(number, 100.0), make_fact(number, 100.0, series=ADS))
    raised = feed.send(make_fact(10, 400.0), make_fact(10, 400.0, series=ADS))
    assert [alert.series for alert in raised] == [ADS]


def test_new_values_beyond_the_cap_share_one_series() -> None:
    engine = Engine(
        policies=PolicyBook((Policy(detector="trailing"),), prepare_trailing), partition=3, max_new_series=2
    )
    feed = Feed(engine)
    names = [SEARCH.replace("search", f"flood-{number}") for number in range(50)]
    feed.send(*(make_fact(0, 1.0, series=name) for name in names))
    feed.send(*(make_fact(0, 1.0, series=name) for name in names))
    assert len(engine) == 3
    assert engine.stats.capped == 96
    assert engine.month_to_date(SEARCH.replace("search", "__other__.3")) == ("2024-09", 48.0)


def test_a_capped_value_that_is_stated_again_is_not_added_again() -> None:
    feed = Feed(make_engine(max_new_series=1))
    feed.send(make_fact(0, 1.0))
    feed.send(*(make_fact(0, value, series=ADS, revision=number) for number, value in enumerate((40.0, 75.0, 100.0))))
    assert feed.engine.month_to_date(SEARCH.replace("search", "__other__.0")) == ("2024-09", 40.0)


def test_new_values_are_admitted_again_in_the_next_hour() -> None:
    feed = Feed(make_engine(max_new_series=1))
    feed.send(make_fact(0, 1.0), make_fact(0, 1.0, series=ADS))
    feed.send(make_fact(1, 1.0))
    feed.send(make_fact(1, 1.0, series=ADS))
    assert feed.engine.month_to_date(ADS) == ("2024-09", 1.0)


def test_other_dimensions_do_not_share_the_cap() -> None:
    feed = Feed(make_engine(max_new_series=1))
    total = "default/effective_cost/USD/1d/total="
    untagged = f"default/effective_cost/USD/1d/tag:project={UNTAGGED}"
    feed.send(make_fact(0, 1.0), make_fact(0, 1.0, series=total), make_fact(0, 1.0, series=untagged))
    assert feed.engine.stats.capped == 0


def test_a_flood_of_tag_keys_is_refused_and_lifts_no_cap() -> None:
    feed = Feed(make_engine(max_new_series=1))
    flooded = PartitionSnapshot(
        offset=0,
        sources=[],
        hour=int(FIRST_DAY.timestamp()) // 3600,
        newcomers=[("default", f"tag:{number}", 1) for number in range(MAX_DIMENSIONS - 1)],
        last_start=0,
    )
    feed.engine.restore(PARTITION_KEY, encode_partition(flooded))
    feed.send(make_fact(0, 1.0), make_fact(0, 1.0, series=ADS), make_fact(0, 1.0, series=CPU))
    (refused,) = feed.engine.take_rejects()
    assert (refused.reason, refused.field) == (RejectReason.TOO_MANY_DIMENSIONS, "series")
    assert feed.engine.stats.capped == 1
    feed.send(make_fact(1, 1.0, series=CPU))
    assert feed.engine.take_rejects() == []


def test_negative_and_zero_costs_are_amounts_like_others() -> None:
    feed = Feed(make_engine())
    feed.days([-5.0, 0.0, -5.0, 0.0, 4.0, 0.0])
    assert feed.engine.take_rejects() == []
    assert feed.engine.month_to_date(SEARCH) == ("2024-09", -6.0)


def test_largest_amounts_are_exact() -> None:
    feed = Feed(make_engine())
    for number in range(12):
        feed.send(make_fact(number, 1e12, origin="cur:a"), make_fact(number, 1e12, origin="cur:b"))
    feed.complete(12)
    assert feed.engine.month_to_date(SEARCH) == ("2024-09", 24e12)
    assert feed.alerts == []


def test_money_and_how_unusual_make_the_severity() -> None:
    by_value = {}
    for value in (160.0, 5_000.0, 2_000_000.0):
        feed = Feed(make_engine(Policy(detector="trailing", floor=20.0)))
        feed.days(QUIET)
        by_value[value] = feed.send(make_fact(10, value))[0].severity
    assert list(by_value.values()) == [Severity.LOW, Severity.CRITICAL, Severity.CRITICAL]


def test_alerts_say_the_same_on_the_wire() -> None:
    feed = Feed(make_engine())
    feed.days([*QUIET, 400.0])
    (alert,) = feed.alerts
    assert msgspec.json.decode(msgspec.json.encode(alert), type=type(alert)) == alert


def test_said_again_only_when_something_changed() -> None:
    feed = Feed(make_engine())
    feed.days([*QUIET, 400.0, 100.0, 100.0])
    feed.complete(12)
    count = len(feed.alerts)
    feed.send(make_fact(10, 400.0))
    feed.complete(12)
    assert len(feed.alerts) == count
    assert len(said(feed.alerts)) == 1

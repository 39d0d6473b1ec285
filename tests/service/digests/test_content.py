"""What a digest says of made-up spend and alerts, to the cent."""

import doctest
from datetime import datetime, timedelta
from types import ModuleType

import pytest
from msgspec.structs import replace

from service.core.alerts import AlertRecord, AlertState
from service.digests import schedule, words
from service.digests.content import Digest, of_value, overview
from service.digests.page import lines_of
from service.digests.sums import DaySpend, DaySum, SpendBasis, spends_of, together
from service.digests.words import page_of
from tests.builders import make_alert
from tests.service.digests.builders import DAY, MOMENT, MONDAY, WEEK, make_settings, make_sum, november

BILLED = SpendBasis.BILLED
RECORD_FIELDS = ("resolved_at", "held_back", "inhibited_by", "pending_since")


def record(
    alert_id: str, *, created: datetime, state: AlertState = AlertState.FIRING, **changes: object
) -> AlertRecord:
    """changes: of the record where it has such a field, else of the alert."""
    own = {name: changes.pop(name) for name in RECORD_FIELDS if name in changes}
    alert = make_alert(alert_id, **changes)  # type: ignore[arg-type]  # any field of an alert
    return AlertRecord(alert=alert, state=state, seq=1, created_at=created, updated_at=created, **own)  # type: ignore[arg-type]  # see own


def made(*rows: DaySum, alerts: tuple[AlertRecord, ...] = (), value: str | None = None, **settings: object) -> Digest:
    if value is not None:
        return of_value(make_settings(**settings), MOMENT, value, rows, alerts)
    return overview(make_settings(**settings), MOMENT, rows, alerts)


def two_weeks(value: str = "search", *, before: float = 10.0, now: float = 12.0) -> list[DaySum]:
    return [make_sum(day, before if day < 16 else now, value) for day in range(9, 23)]


def test_a_week_is_compared_with_the_week_before() -> None:
    [spend] = spends_of(two_weeks(), WEEK)
    assert (spend.amount, spend.before, spend.change, spend.share) == (84.0, 70.0, 14.0, 0.2)
    assert (spend.complete, spend.basis, spend.known_until) == (True, BILLED, november(23))
    assert spend.days[0] == DaySpend(day=november(16), amount=12.0, basis=BILLED)
    assert len(spend.days) == 7


def test_a_week_that_is_not_complete_has_no_change() -> None:
    """What is missing would be told as a fall."""
    [spend] = spends_of(two_weeks()[:-2], WEEK)
    assert (spend.amount, spend.before, spend.change) == (60.0, 70.0, None)
    assert (spend.complete, spend.known_until) == (False, november(21))
    assert [day.amount for day in spend.days] == [12.0] * 5 + [None] * 2
    assert spend.forecast is None


def test_a_day_that_has_only_some_of_its_hours_is_not_complete() -> None:
    half = make_sum(22, 6.0, grain_seconds=3600, until=november(22, hour=12))
    rows = [make_sum(day, 12.0, grain_seconds=3600) for day in range(9, 22)]
    [spend] = spends_of([*rows, half], WEEK)
    assert (spend.complete, spend.change, spend.known_until) == (False, None, november(22, hour=12))


def test_an_estimate_is_told_from_a_bill() -> None:
    estimated = [make_sum(day, 12.0, basis=SpendBasis.ESTIMATED) for day in (21, 22)]
    [spend] = spends_of([*two_weeks()[:-2], *estimated], WEEK)
    assert (spend.basis, spend.days[0].basis, spend.days[6].basis) == (SpendBasis.MIXED, BILLED, SpendBasis.ESTIMATED)
    [spend] = spends_of(
        [*two_weeks()[:7], *(replace(row, basis=SpendBasis.ESTIMATED) for row in two_weeks()[7:])], WEEK
    )
    assert spend.basis is SpendBasis.ESTIMATED


def test_currencies_are_never_added_up() -> None:
    euros = [replace(row, unit="EUR") for row in two_weeks(now=3.0)]
    digest = made(*two_weeks(), *two_weeks("ads"), *euros)
    assert [(total.unit, total.amount) for total in digest.totals] == [("EUR", 21.0), ("USD", 168.0)]
    assert "21.00 EUR, -70.0 % and 168.00 USD, +20.0 %" in page_of(digest, None).title


def test_hours_and_days_of_the_same_money_are_not_added_up() -> None:
    hours = [replace(row, grain_seconds=3600, amount=11.9) for row in two_weeks()]
    for rows in ([*hours, *two_weeks()], [*two_weeks(), *hours]):
        [spend] = spends_of(rows, WEEK)
        assert spend.amount == 84.0


def test_the_forecast_takes_each_day_that_is_left_at_the_mean_of_its_weekday() -> None:
    """Four weeks of 10 a day and 3 at weekends: from 23 to 30 November are six working days and a weekend."""
    rows = [make_sum(day, 3.0 if november(day).weekday() > 4 else 10.0) for day in range(-5, 23)]
    [spend] = spends_of(rows, WEEK)
    assert spend.month == 15 * 10.0 + 7 * 3.0
    assert spend.forecast == spend.month + 6 * 10.0 + 2 * 3.0
    [young] = spends_of(rows[1:], WEEK)
    assert young.forecast is None, "less than four weeks are known"


def test_what_hardly_counts_does_not_make_the_whole_incomplete() -> None:
    stopped = two_weeks("tiny", before=0.05)[:8]
    [total] = together(spends_of([*two_weeks(), *stopped], WEEK), WEEK)
    assert total.complete
    assert total.change == pytest.approx(14.0 + 12.0 - 0.35)
    [total] = together(spends_of([*two_weeks(), *two_weeks("ads")[:-1]], WEEK), WEEK)
    assert (total.complete, total.change) == (False, None)


def test_the_largest_changes_lead_whichever_way_they_go() -> None:
    digest = made(
        *two_weeks("a"), *two_weeks("b", now=2.0), *two_weeks("c", now=10.0), *two_weeks("d", now=30.0), top=2
    )
    assert [(one.value, one.change) for one in digest.changes] == [("d", 140.0), ("b", -56.0)]
    assert [one.value for one in digest.spends] == ["d", "a", "c", "b"]
    assert digest.values == 4


def test_only_the_values_that_are_asked_for_are_told() -> None:
    alerts = (record("a1", created=MONDAY - DAY), record("a2", created=MONDAY - DAY, team="ads"))
    digest = made(*two_weeks(), *two_weeks("ads"), alerts=alerts, only=["ads"])
    assert [one.value for one in digest.spends] == ["ads"]
    assert digest.totals[0].amount == 84.0
    assert [line.id for line in digest.open.named] == ["a2"]


def test_the_letter_of_a_value_is_about_it_alone() -> None:
    alerts = (record("a1", created=MONDAY - DAY), record("a2", created=MONDAY - DAY, team="ads"))
    digest = made(*two_weeks(), *two_weeks("ads", now=1.0), alerts=alerts, value="ads")
    assert [(total.value, total.amount) for total in digest.totals] == [("ads", 7.0)]
    assert [line.id for line in digest.open.named] == ["a2"]
    assert (digest.spends, digest.changes, digest.other_open) == ((), (), 0)


def test_alerts_are_told_by_what_happened_since_the_digest_before() -> None:
    week_ago = MOMENT.since
    over = AlertState.RESOLVED
    alerts = (
        record("old", created=week_ago - DAY, impact=50.0),
        record("new", created=week_ago + timedelta(minutes=1), impact=200.0),
        record("ended", created=week_ago - DAY, state=over, resolved_at=week_ago + DAY),
        record("long over", created=week_ago - 9 * DAY, state=over, resolved_at=week_ago - DAY),
        record("withdrawn", created=week_ago + DAY, state=AlertState.WITHDRAWN),
        record("fall", created=week_ago + DAY, impact=-70.0, state=AlertState.ACKNOWLEDGED),
        record("later", created=MONDAY + timedelta(hours=1)),
        record("elsewhere", created=week_ago + DAY, labels={"service_name": "EC2"}),
    )
    digest = made(alerts=alerts)
    assert [line.id for line in digest.open.named] == ["new", "fall", "old"], "by money at stake, either way"
    assert digest.open.count == 3
    assert digest.open.at_stake == {"USD": 250.0}, "a fall does not make up for a rise"
    assert (digest.opened, digest.ended, digest.other_open) == (3, 2, 1)


def test_what_nobody_is_to_look_at_is_not_listed() -> None:
    """Silenced, not told yet, or the same money as another of the list."""
    day = MONDAY - DAY
    alerts = (
        record("head", created=day, impact=100.0),
        record("same money", created=day, impact=90.0, inhibited_by="head"),
        record("of another label", created=day, impact=80.0, inhibited_by="project"),
        record("silenced", created=day, state=AlertState.SILENCED),
        record("pending", created=day, state=AlertState.PENDING, pending_since=MONDAY),
        record("expected", created=MOMENT.since - DAY, state=AlertState.EXPECTED, resolved_at=day),
    )
    digest = made(alerts=alerts)
    assert [line.id for line in digest.open.named] == ["head", "of another label"]
    assert (digest.silenced, digest.opened, digest.ended) == (1, 3, 1)
    assert "1 more are silenced." in lines_of(page_of(digest, None))


def test_what_the_budget_held_back_stands_apart_with_its_money() -> None:
    alerts = (
        record("told", created=MONDAY - DAY),
        record("held", created=MONDAY - DAY, impact=80.0, held_back=True),
        record("held before", created=MONDAY - 20 * DAY, impact=20.0, held_back=True),
        record(
            "over", created=MONDAY - 20 * DAY, held_back=True, state=AlertState.RESOLVED, resolved_at=MONDAY - 9 * DAY
        ),
    )
    digest = made(alerts=alerts)
    assert [line.id for line in digest.open.named] == ["told"]
    assert [line.id for line in digest.held_back.named] == ["held", "held before"]
    assert digest.held_back.at_stake == {"USD": 100.0}
    assert "Held back by the alert budget: 2, +100.00 USD at stake" in lines_of(page_of(digest, None))


def test_no_more_is_named_than_asked_for_and_the_rest_is_counted() -> None:
    alerts = tuple(record(f"a{n}", created=MONDAY - DAY, impact=float(n)) for n in range(1, 9))
    digest = made(alerts=alerts, top=3)
    assert [line.id for line in digest.open.named] == ["a8", "a7", "a6"]
    assert digest.open.at_stake == {"USD": 36.0}
    assert "5 more are open." in lines_of(page_of(digest, None))


def test_a_digest_of_nothing_says_so() -> None:
    page = page_of(made(), None)
    assert page.title == "Weekly spend: nothing known (2026-11-16 to 2026-11-22)"
    assert page.lead[0].startswith("Nothing is known of 2026-11-16 to 2026-11-22")
    assert "No open alerts" in lines_of(page)


def test_the_whole_letter_as_text() -> None:
    """What people read, to be read here."""
    alerts = (
        record("a1", created=MONDAY - 2 * DAY, impact=292.5),
        record("a2", created=MONDAY - DAY, team="ads", impact=31.0, held_back=True),
    )
    rows = [*two_weeks(), *two_weeks("ads", now=40.0), *two_weeks("mobile")[:-1], *two_weeks("__untagged__", now=10.0)]
    page = page_of(made(*rows, alerts=alerts), "https://spendwatch.example.com")
    assert [page.title, *lines_of(page)] == [
        "Weekly spend: 506.00 USD so far (2026-11-16 to 2026-11-22)",
        "506.00 USD (billed). November so far: 786.00 USD.",
        "Not complete yet, so no change is told: mobile. What is missing comes with their bill.",
        "Alerts since 2026-11-16 07:00Z: 2 opened, 0 ended; 1 open now, +292.50 USD at stake.",
        "",
        "Spend by team",
        "  Team                Spend  Week before              Change",
        "  ads            280.00 USD        70.00  +210.00 (+300.0 %)",
        "  search          84.00 USD        70.00    +14.00 (+20.0 %)",
        "  mobile          72.00 USD        70.00                   -  known until 2026-11-22",
        "  without a tag   70.00 USD        70.00        0.00 (0.0 %)",
        "",
        "Largest changes",
        "  Team         Change",
        "  ads     +210.00 USD  +300.0 %",
        "  search   +14.00 USD  +20.0 %",
        "",
        "Open alerts: 1, +292.50 USD at stake",
        "  - Team search cost 412.50 USD on 2024-09-18, 3.4 times what was expected.",
        "    +292.50 USD; medium; 2 days",
        "",
        "Held back by the alert budget: 1, +31.00 USD at stake",
        "  - Team ads cost 412.50 USD on 2024-09-18, 3.4 times what was expected.",
        "    +31.00 USD; medium; 1 day",
        "",
        "weekly, made 2026-11-23 07:00Z. Days are UTC days, as those of bills.",
        "https://spendwatch.example.com",
    ]


@pytest.mark.parametrize("module", [words, schedule])
def test_examples_are_right(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0

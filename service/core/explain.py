"""How an alert speaks: how bad it is, one sentence why, and what to do next."""

from datetime import datetime

from connectors.series import Grain, SeriesKey
from detectors.verdict import Band
from service.core.alerts import AlertKind, DriverChange, DriverType, Severity
from service.core.amounts import to_units
from service.core.borrowing import Newcomer
from service.core.episodes import Episode
from service.core.instants import to_datetime
from service.core.wording import amount, driver_name, is_rest, number, who

_RISES = (AlertKind.SPIKE, AlertKind.NEW_SPEND)
_COST_METRICS = frozenset({"billed_cost", "effective_cost", "list_cost", "contracted_cost"})


def severity_of(episode: Episode, floor: int) -> Severity:
    """From the money at stake in units of the policy's floor, and from how unusual the worst bucket is.

    floor: in nano-units; 0 counts as one unit. What is not a rise is never critical: it loses no money by itself.
    """
    stake = abs(episode.impact) / (floor or 1_000_000_000)
    unusual = episode.worst.score
    if stake >= 100 and unusual >= 0.8:
        return Severity.CRITICAL if episode.kind in _RISES else Severity.HIGH
    if stake >= 25 and unusual >= 0.65:
        return Severity.HIGH
    if stake >= 5:
        return Severity.MEDIUM
    return Severity.LOW


def reason_of(
    series: SeriesKey,
    episode: Episode,
    *,
    grain_seconds: int,
    running: bool,
    newcomer: Newcomer | None = None,
    is_expected: bool = False,
    reach: float | None = None,
) -> str:
    """Such as "team=search cost 412.10 USD on 2024-09-18, 3.1 times the 133.20 USD expected (110.04 to 156.90)".

    running: the worst bucket is still filling up. newcomer: what is known of a series without a past. reach: of an
    alert that would not be told any more, how far off it had to be when it was.
    """
    meant = "; said to be expected" if is_expected else ""
    if episode.kind is AlertKind.MISSING:
        return _missing_reason(series, episode, grain_seconds) + meant
    if episode.kind is AlertKind.NEW_SPEND:
        sentence = _new_spend_reason(series, episode, grain_seconds, running=running, newcomer=newcomer)
        return sentence + _over_all(series, episode) + meant
    worst = episode.worst
    actual, band = to_units(worst.actual), worst.band
    so_far = " so far" if running else ""
    sentence = (
        f"{_subject(series, actual)}{so_far} {_when(series.grain, worst.index * grain_seconds)}, "
        f"{_compared(actual, band.expected, series.unit)} "
        f"({number(band.lower, series.unit)} to {number(band.upper, series.unit)})"
    )
    if reach:
        part = abs(to_units(worst.deviation)) / reach
        sentence += f"; after a correction it would not be told, though {part:.0%} of what it took is left"
    return sentence + _over_all(series, episode) + meant


def _over_all(series: SeriesKey, episode: Episode) -> str:
    sentence = ""
    buckets = len(episode.held)
    if buckets > 1:
        impact = amount(to_units(episode.impact), series.unit, signed=True)
        sentence += f"; the worst of {buckets} {_periods(series.grain)}, {impact} in all"
    if episode.accepted:
        sentence += "; taken as the new normal"
    return sentence


def _new_spend_reason(
    series: SeriesKey, episode: Episode, grain_seconds: int, *, running: bool, newcomer: Newcomer | None
) -> str:
    """Such as "team=lab is new (first seen 2024-10-02 09:30 UTC) and cost 43.67 USD so far on 2024-10-02, on the way to
    6,085.16 USD a day at least; all of 200 peers of tag:team stay below 500.00 USD a day"."""
    worst, unit, per = episode.worst, series.unit, f" {_per(series.grain)}"
    began_at = None if newcomer is None else newcomer.began_at
    prior = None if newcomer is None else newcomer.prior
    seen = "" if began_at is None else f" (first seen {to_datetime(began_at):%Y-%m-%d %H:%M} UTC)"
    sentence = (
        f"{who(series)} is new{seen} and cost {amount(to_units(worst.actual), unit)}{' so far' if running else ''} "
        f"{_when(series.grain, worst.index * grain_seconds)}"
    )
    if prior is None or worst.band.upper <= 0:
        return sentence
    limit = to_units(prior.limit)
    pace = limit * to_units(worst.actual) / worst.band.upper
    if pace > 1.01 * to_units(worst.actual):
        sentence += f", on the way to {amount(pace, unit)}{per} at least"
    share = "all" if prior.below == prior.peers else f"{100 * prior.below / prior.peers:.4g} %"
    return f"{sentence}; {share} of {prior.peers:,} peers of {series.dimension} stay below {amount(limit, unit)}{per}"


def _missing_reason(series: SeriesKey, episode: Episode, grain_seconds: int) -> str:
    """Such as "No facts about team=search since 2024-09-12, though its source is complete; usually 99.00 USD a day"."""
    at = to_datetime(episode.first * grain_seconds)
    since = f"{at:%Y-%m-%d}" if series.grain is Grain.DAY else f"{at:%Y-%m-%d %H:%M} UTC"
    sentence = f"No facts about {who(series)} since {since}"
    if episode.over:
        sentence = f"No facts about {who(series)} for {len(episode.held)} {_periods(series.grain)} from {since} on"
    usual = f"{amount(episode.worst.band.expected, series.unit)} {_per(series.grain)}"
    sentence += f", though its source is complete; usually {usual}"
    return sentence + ("; taken for its end" if episode.accepted else "")


def withdrawn_reason(
    series: SeriesKey,
    index: int,
    actual: float | None,
    *,
    grain_seconds: int,
    band: Band | None = None,
    kind: AlertKind = AlertKind.SPIKE,
    is_false: bool = False,
    by_policy: bool = False,
    is_part: bool = False,
) -> str:
    """Why an alert that was sent is no more. band: what is expected now. is_false: a person said that it was a false
    alarm. by_policy: the policy that judges the series is another. is_part: another alert tells of it."""
    when = _when(series.grain, index * grain_seconds)
    if is_false:
        return f"Withdrawn: said to be a false alarm, {who(series)} {when}"
    if by_policy:
        return f"Withdrawn: by the policy of now {who(series)} is not unusual {when}"
    if kind is AlertKind.MISSING:
        return f"Withdrawn: what was missing of {who(series)} {when} has come, or is late with its whole source"
    if kind is AlertKind.NEW_SPEND and actual is not None:
        return f"Withdrawn: {_subject(series, actual)} {when}, no longer far above what its peers cost"
    if actual is None:
        return f"Withdrawn: nothing is known any more of {who(series)} {when}"
    now = f"Withdrawn: after a correction, {_subject(series, actual)} {when}"
    if is_part:
        return f"{now}, which is part of another alert"
    if band is None:
        return f"{now}, and no episode begins there"
    usual = f"({number(band.lower, series.unit)} to {number(band.upper, series.unit)})"
    return f"{now}, {_compared(actual, band.expected, series.unit)} {usual}"


def action_of(series: SeriesKey, kind: AlertKind, drivers: tuple[DriverChange, ...]) -> str:
    """A concrete next step, from the driver that moved furthest in the direction of the episode."""
    if kind is AlertKind.MISSING:
        return f"Check that {who(series)} still runs and is still tagged; if it was retired, there is nothing to do"
    sign = 1 if kind in _RISES else -1
    named = [driver for driver in drivers if not is_rest(driver.labels) and driver.change * sign > 0]
    if named:
        driver = max(named, key=lambda candidate: candidate.change * sign)
        what = f"{driver_name(driver.labels)}: {amount(driver.change, series.unit, signed=True)}{_why(driver, series)}"
        return f"Look at {what}" if kind in _RISES else f"Check whether this was meant: {what}"
    if kind is AlertKind.NEW_SPEND:
        return f"Find out who started {who(series)}, and whether it is meant to cost this much"
    if drivers and all(is_rest(driver.labels) for driver in drivers):
        return (
            f"Its source names no services or resources: ask the owner of {who(series)} what "
            f"{'was added' if kind is AlertKind.SPIKE else 'has ended'}, or add the columns to the export"
        )
    if kind is AlertKind.SPIKE:
        return f"Break down what {who(series)} used in this period by service and resource, and ask its owner"
    return f"Check that {who(series)} still runs and that its bill or meter is complete"


def _why(driver: DriverChange, series: SeriesKey) -> str:
    """What is said of the driver that an action names, in the words of its type."""
    match driver.type:
        case DriverType.NEW:
            return ", not seen in the days before"
        case DriverType.GONE:
            return ", gone"
        case DriverType.QUANTITY:
            return f": {_quantity(driver.quantity)} {driver.unit}, usually {_quantity(driver.quantity_before)}"
        case DriverType.PRICE:
            return f", {_change_of_price(driver)} for the same {driver.unit}"
        case DriverType.RETAGGED:
            name, _ = series.label
            return f", {'from' if driver.change > 0 else 'to'} {name}={driver.counterpart} with its tag"
        case DriverType.OTHER | None:
            return f" (usually {number(driver.before, series.unit)})"


def _quantity(value: float | None) -> str:
    return number(value or 0.0, "")


def _change_of_price(driver: DriverChange) -> str:
    if driver.before > 0:
        return f"{driver.change / driver.before:+.0%} on its price"
    return "another price"


def _subject(series: SeriesKey, actual: float) -> str:
    if series.metric in _COST_METRICS:
        return f"{who(series)} cost {amount(actual, series.unit)}"
    return f"{series.metric} of {who(series)} was {amount(actual, series.unit)}"


def _compared(actual: float, expected: float, unit: str) -> str:
    usual = f"{amount(expected, unit)} expected"
    if expected > 0 and actual >= 1.5 * expected:
        times = actual / expected
        return f"{times:,.1f} times the {usual}" if times < 1000 else f"over 1,000 times the {usual}"
    if expected > 0 and actual >= 0:
        return f"{abs(actual - expected) / expected:.0%} {'above' if actual > expected else 'below'} the {usual}"
    return f"{amount(actual - expected, unit, signed=True)} from the {usual}"


def _when(grain: Grain, start: int) -> str:
    at: datetime = to_datetime(start)
    if grain is Grain.DAY:
        return f"on {at:%Y-%m-%d}"
    if grain is Grain.HOUR:
        return f"in the hour from {at:%Y-%m-%d %H:%M} UTC"
    return f"at {at:%Y-%m-%d %H:%M} UTC"


def _per(grain: Grain) -> str:
    return {Grain.DAY: "a day", Grain.HOUR: "an hour"}.get(grain, "a period")


def _periods(grain: Grain) -> str:
    return {Grain.DAY: "days", Grain.HOUR: "hours"}.get(grain, "periods")

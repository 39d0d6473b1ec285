"""How an alert speaks: how bad it is, one sentence why, and what to do next."""

from datetime import datetime

from connectors.series import Grain, SeriesKey
from service.core.alerts import AlertKind, DriverChange, DriverType, Severity
from service.core.amounts import to_units
from service.core.episodes import Episode
from service.core.instants import to_datetime
from service.core.wording import amount, driver_name, is_rest, number, who

_COST_METRICS = frozenset({"billed_cost", "effective_cost", "list_cost", "contracted_cost"})


def severity_of(episode: Episode, floor: int) -> Severity:
    """From the money at stake in units of the policy's floor, and from how unusual the worst bucket is.

    floor: in nano-units; 0 counts as one unit. A drop is never critical: it loses no money by itself.
    """
    stake = abs(episode.impact) / (floor or 1_000_000_000)
    unusual = episode.worst.score
    if stake >= 100 and unusual >= 0.8:
        return Severity.CRITICAL if episode.kind is AlertKind.SPIKE else Severity.HIGH
    if stake >= 25 and unusual >= 0.65:
        return Severity.HIGH
    if stake >= 5:
        return Severity.MEDIUM
    return Severity.LOW


def reason_of(
    series: SeriesKey, episode: Episode, *, grain_seconds: int, running: bool, is_expected: bool = False
) -> str:
    """Such as "team=search cost 412.10 USD on 2024-09-18, 3.1 times the 133.20 USD expected (110.04 to 156.90)".

    running: the worst bucket is still filling up.
    """
    worst = episode.worst
    actual, band = to_units(worst.actual), worst.band
    so_far = " so far" if running else ""
    sentence = (
        f"{_subject(series, actual)}{so_far} {_when(series.grain, worst.index * grain_seconds)}, "
        f"{_compared(actual, band.expected, series.unit)} "
        f"({number(band.lower, series.unit)} to {number(band.upper, series.unit)})"
    )
    buckets = len(episode.held)
    if buckets > 1:
        impact = amount(to_units(episode.impact), series.unit, signed=True)
        sentence += f"; the worst of {buckets} {_periods(series.grain)}, {impact} in all"
    if episode.accepted:
        sentence += "; taken as the new normal"
    if is_expected:
        sentence += "; said to be expected"
    return sentence


def withdrawn_reason(
    series: SeriesKey, index: int, actual: float | None, *, grain_seconds: int, is_false: bool = False
) -> str:
    """Why an alert that was sent is no more. is_false: a person said that it was a false alarm."""
    when = _when(series.grain, index * grain_seconds)
    if is_false:
        return f"Withdrawn: said to be a false alarm, {who(series)} {when}"
    if actual is None:
        return f"Withdrawn: nothing is known any more of {who(series)} {when}"
    return f"Withdrawn: after a correction, {_subject(series, actual)} {when}, and no episode begins there"


def action_of(series: SeriesKey, kind: AlertKind, drivers: tuple[DriverChange, ...]) -> str:
    """A concrete next step, from the driver that moved furthest in the direction of the episode."""
    sign = 1 if kind is AlertKind.SPIKE else -1
    named = [driver for driver in drivers if not is_rest(driver.labels) and driver.change * sign > 0]
    if named:
        driver = max(named, key=lambda candidate: candidate.change * sign)
        what = f"{driver_name(driver.labels)}: {amount(driver.change, series.unit, signed=True)}{_why(driver, series)}"
        return f"Look at {what}" if kind is AlertKind.SPIKE else f"Check whether this was meant: {what}"
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


def _periods(grain: Grain) -> str:
    return {Grain.DAY: "days", Grain.HOUR: "hours"}.get(grain, "periods")

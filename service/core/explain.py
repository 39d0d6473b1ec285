"""How an alert speaks: how bad it is, one sentence why, and what to do next."""

import math
from datetime import datetime

from connectors.series import Grain, SeriesKey
from service.core.alerts import AlertKind, DriverChange, Severity
from service.core.amounts import to_units
from service.core.episodes import Episode
from service.core.instants import to_datetime

_COST_METRICS = frozenset({"billed_cost", "effective_cost", "list_cost", "contracted_cost"})
_NAMES = ("resource_id", "resource_name", "sub_account_id", "region_id", "usage_type", "sku_id")
_MAX_NAME = 120


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


def reason_of(series: SeriesKey, episode: Episode, *, grain_seconds: int, running: bool) -> str:
    """Such as "team=search cost 412.10 USD on 2024-09-18, 3.1 times the 133.20 USD expected (110.04 to 156.90)".

    running: the worst bucket is still filling up.
    """
    worst = episode.worst
    actual, band = to_units(worst.actual), worst.band
    so_far = " so far" if running else ""
    sentence = (
        f"{_subject(series, actual)}{so_far} {_when(series.grain, worst.index * grain_seconds)}, "
        f"{_compared(actual, band.expected, series.unit)} ({amount(band.lower)} to {amount(band.upper)})"
    )
    buckets = len(episode.held)
    if buckets > 1:
        impact = f"{signed(to_units(episode.impact))} {series.unit}"
        sentence += f"; the worst of {buckets} {_periods(series.grain)}, {impact} in all"
    if episode.accepted:
        sentence += "; taken as the new normal"
    return sentence


def withdrawn_reason(series: SeriesKey, index: int, actual: float | None, *, grain_seconds: int) -> str:
    """Why an alert that was sent is no more."""
    when = _when(series.grain, index * grain_seconds)
    if actual is None:
        return f"Withdrawn: nothing is known any more of {_who(series)} {when}"
    return f"Withdrawn: after a correction, {_subject(series, actual)} {when}, and no episode begins there"


def action_of(series: SeriesKey, kind: AlertKind, drivers: tuple[DriverChange, ...]) -> str:
    """A concrete next step, from the driver that moved furthest in the direction of the episode."""
    sign = 1 if kind is AlertKind.SPIKE else -1
    named = [driver for driver in drivers if "other" not in driver.labels and driver.change * sign > 0]
    if named:
        driver = max(named, key=lambda candidate: candidate.change * sign)
        what = f"{_driver_name(driver.labels)}: {signed(driver.change)} {series.unit}"
        if kind is AlertKind.SPIKE:
            new = ", not seen in the days before" if driver.before == 0 else f" (usually {amount(driver.before)})"
            return f"Look at {what}{new}"
        gone = ", gone" if driver.now == 0 else f" (usually {amount(driver.before)})"
        return f"Check whether this was meant: {what}{gone}"
    if kind is AlertKind.SPIKE:
        return f"Break down what {_who(series)} used in this period by service and resource, and ask its owner"
    return f"Check that {_who(series)} still runs and that its bill or meter is complete"


def amount(value: float) -> str:
    """Two decimals; two digits that say something for what is below a tenth: 1,234.56 and 0.0042."""
    if value and abs(value) < 0.1:
        digits = min(9, 1 - math.floor(math.log10(abs(value))))
        text = f"{value:.{digits}f}"
        return "0.00" if float(text) == 0 else text
    return f"{value:,.2f}"


def signed(value: float) -> str:
    return amount(value) if value < 0 else f"+{amount(value)}"


def _who(series: SeriesKey) -> str:
    name, value = series.label
    return f"{name}={_short(value)}" if value else f"the {name} of {series.tenant}"


def _subject(series: SeriesKey, actual: float) -> str:
    if series.metric in _COST_METRICS:
        return f"{_who(series)} cost {amount(actual)} {series.unit}"
    return f"{series.metric} of {_who(series)} was {amount(actual)} {series.unit}"


def _compared(actual: float, expected: float, unit: str) -> str:
    usual = f"{amount(expected)} {unit} expected"
    if expected > 0 and actual >= 1.5 * expected:
        times = actual / expected
        return f"{times:,.1f} times the {usual}" if times < 1000 else f"over 1,000 times the {usual}"
    if expected > 0 and actual >= 0:
        return f"{abs(actual - expected) / expected:.0%} {'above' if actual > expected else 'below'} the {usual}"
    return f"{signed(actual - expected)} {unit} from the {usual}"


def _when(grain: Grain, start: int) -> str:
    at: datetime = to_datetime(start)
    if grain is Grain.DAY:
        return f"on {at:%Y-%m-%d}"
    if grain is Grain.HOUR:
        return f"in the hour from {at:%Y-%m-%d %H:%M} UTC"
    return f"at {at:%Y-%m-%d %H:%M} UTC"


def _periods(grain: Grain) -> str:
    return {Grain.DAY: "days", Grain.HOUR: "hours"}.get(grain, "periods")


def _driver_name(labels: dict[str, str]) -> str:
    """`Amazon EC2 i-0abc`: the service first, then what identifies the thing."""
    first = [labels[name] for name in ("service_name",) if labels.get(name)]
    known = [labels[name] for name in _NAMES if labels.get(name)]
    rest = [value for name, value in sorted(labels.items()) if name not in ("service_name", *_NAMES) and value]
    return _short(" ".join((*first, *known, *rest)) or "an unnamed driver")


def _short(text: str) -> str:
    return text if len(text) <= _MAX_NAME else text[: _MAX_NAME - 1] + "…"

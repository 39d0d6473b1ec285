"""The lowest threshold that would have kept the last days quiet: every alert in them is taken for a false one."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from detectors import registry
from service.core.alerts import Alert, AlertStatus
from service.replay.errors import ReplayError
from service.settings import Policy, Settings

PARAMETER = "sigma"
LOWEST, HIGHEST, STEP = 1.0, 20.0, 0.1


class Answer(NamedTuple):
    """sigma: None when even HIGHEST is not quiet. below: alerts of the last days with the next lower step, where it was
    tried. runs: how often everything was judged."""

    sigma: float | None
    below: int
    runs: int


def with_sigma(settings: Settings, sigma: float) -> Settings:
    """The policies with another threshold. Raises ReplayError for a detector that has none."""
    return settings.model_copy(update={"policies": tuple(_with_sigma(one, sigma) for one in _policies(settings))})


def lowest_quiet(alarms: Callable[[float], int]) -> Answer:
    """By bisection: alerts as good as always become fewer as the threshold rises. What is answered was tried and is
    quiet, and the step below it was tried and is not, unless LOWEST is quiet already.

    alarms: threshold -> number of alerts of the last days.
    """
    last = round((HIGHEST - LOWEST) / STEP)
    tried: dict[int, int] = {}

    def count(step: int) -> int:
        if step not in tried:
            tried[step] = alarms(_sigma(step))
        return tried[step]

    if count(last):
        return Answer(None, count(last), len(tried))
    noisy, quiet = -1, last
    while quiet - noisy > 1:
        middle = (noisy + quiet) // 2
        if count(middle):
            noisy = middle
        else:
            quiet = middle
    return Answer(_sigma(quiet), tried.get(quiet - 1, 0), len(tried))


def alerts_since(alerts: Iterable[Alert], end: datetime, days: float) -> int:
    """Alerts that fired, or still went on, within *days* before *end*."""
    since = end - timedelta(days=days)
    return sum(
        alert.status is not AlertStatus.WITHDRAWN and (alert.ends_at is None or alert.ends_at > since)
        for alert in alerts
    )


def _sigma(step: int) -> float:
    return round(LOWEST + step * STEP, 6)


def _policies(settings: Settings) -> tuple[Policy, ...]:
    return settings.policies or (Policy(),)


def _with_sigma(policy: Policy, sigma: float) -> Policy:
    # Without a name the parameters are those of `seasonal`, which has it; `usage` then keeps its own.
    if policy.detector is not None and PARAMETER not in {
        one.name for one in registry.describe(policy.detector).parameters
    }:
        raise ReplayError(f"--quiet-days looks for a {PARAMETER}, which the detector {policy.detector!r} does not have")
    return policy.model_copy(update={"params": {**policy.params, PARAMETER: sigma}})

"""When a strange bucket is worth an alarm: once per incident, and the less readily the more often a series alarms.

An incident lasts until, for a while, nothing has been strange by itself or half as strange as its alarm; within it,
only what is clearly stranger than the alarm is shown. Each alarm makes the series more reluctant, quiet time makes it
less so: what is strange every day must become very strange to be shown, and a series that never alarmed is believed
sooner.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from detectors.detector import StateError

NUMBERS = 4
NEVER = 1e9
_MOST_RELUCTANCE = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRule:
    """Times are counted in buckets, so that it means the same for every grain.

    quiet: so many buckets without anything strange end an incident. strange: by itself, from this strength on.
    lasting: or from this part of the alarm's. escalation: within an incident, only what is so many times as strange
    as the last alarm is shown. counts_from: what is shown from this strength on makes reluctant. step: by how much, in
    logarithms; least and most: the bounds. recovery: buckets in which one step is forgotten. trust: after so many
    buckets learned a strength counts half.
    """

    quiet: int
    strange: float
    escalation: float
    counts_from: float
    step: float
    least: float
    most: float
    recovery: int
    trust: int
    lasting: float = 0.5


class AlarmControl:
    """Fed with the raw strength of every bucket; says what of it is shown.

    >>> rule = AlarmRule(
    ...     quiet=10, strange=2, escalation=1.5, counts_from=2, step=0.2, least=0, most=3, recovery=1000, trust=0
    ... )
    >>> control, shown = AlarmControl(rule), []
    >>> for strength in (0.0, 4.0, 4.0, 9.0, 3.0):
    ...     shown.append(round(control.shown(strength), 2))
    ...     control.learn_one(strength)
    >>> shown
    [0.0, 4.0, 0.0, 7.37, 0.0]
    """

    __slots__ = ("_last", "_learned", "_reluctance", "_rule", "_since")

    def __init__(self, rule: AlarmRule) -> None:
        self._rule = rule
        self._learned = 0
        self._reluctance = 0.0
        self._last = 0.0
        self._since = NEVER

    def shown(self, strength: float) -> float:
        """The strength of the next bucket as it is shown; 0 when it is not. Changes nothing."""
        weighed = strength * self._weight()
        return weighed if weighed > self._needed() else 0.0

    def raw(self, shown: float) -> float:
        """What the raw strength of the next bucket must be to be shown with at least this strength."""
        return max(shown, self._needed()) / self._weight()

    def learn_one(self, strength: float) -> None:
        """strength: the raw one of the bucket that has ended."""
        rule = self._rule
        weighed = strength * self._weight()
        shown = weighed > self._needed()
        self._learned += 1
        self._since = min(self._since + 1.0, NEVER)
        self._reluctance = max(self._reluctance - rule.step / rule.recovery, rule.least)
        if shown:
            self._last, self._since = weighed, 0.0
            if weighed > rule.counts_from:
                self._reluctance = min(self._reluctance + rule.step, rule.most)
        elif weighed > min(rule.lasting * self._last, rule.strange):
            self._since = 0.0

    def forget_incident(self) -> None:
        """What comes next is judged by itself."""
        self._last, self._since = 0.0, NEVER

    def export(self) -> tuple[float, ...]:
        return (float(self._learned), self._reluctance, self._last, self._since)

    def restore(self, numbers: Sequence[float]) -> None:
        """numbers: NUMBERS as exported, and finite. Raises StateError; then use this object no more."""
        self._learned = int(numbers[0])
        self._reluctance, self._last, self._since = numbers[1:]
        if min(self._learned, self._last, self._since) < 0 or abs(self._reluctance) > _MOST_RELUCTANCE:
            raise StateError("expected counts and a last alarm of at least 0, and a reluctance within its bounds")

    def _weight(self) -> float:
        learned = self._learned + 1
        return math.exp(-self._reluctance) * learned / (learned + self._rule.trust)

    def _needed(self) -> float:
        rule = self._rule
        return rule.escalation * self._last if self._since < rule.quiet else 0.0

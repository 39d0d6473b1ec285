"""Whether anybody could see an incident: a label alone says that something was done, not that it shows.

The benchmark plants amplitudes from 15 % up into noise of up to 20 %, and 3, 5 or 8 standard deviations into noise of
2 % of a few dollars; a spike on a day on which an idle tag rests changes nothing. An incident is visible if

- it costs, or saves, the policy's floor in one of its periods, since below that the product tells of nothing, and
- an observer who knows the tag's true baseline and noise, and raises as many false alarms as the goal allows, would
  more often find it than not.

The second is the power of the matched filter, which no test exceeds (Neyman and Pearson, 1933): the length of what was
planted, once the noise is whitened. It depends on what was planted, never on what a detector says.
"""

import math

from benchmarks.spend.calendars import DAY, HOUR
from benchmarks.spend.incidents import Incident, Kind
from benchmarks.spend.tags import PERSISTENCE, Tag

LIMIT = {DAY: 3.6, HOUR: 4.1}
"""Power at which an incident is found half of the time; the oracle raises the allowed false alarms at this limit."""
FLOOR = {DAY: 1.0, HOUR: 0.04}
"""The default policy's, a period, in the unit of the series."""


def is_visible(tag: Tag, incident: Incident) -> bool:
    """Of an incident that the values of its tag show; a new tag and missing records have no power of this kind."""
    if incident.kind in (Kind.NEW_TAG, Kind.MISSING):
        return True
    return _largest(tag, incident) >= FLOOR[tag.grain_seconds] and power(tag, incident) >= LIMIT[tag.grain_seconds]


def power(tag: Tag, incident: Incident) -> float:
    """In standard deviations of the best statistic there is, over the periods in which the incident is to be found."""
    habit = tag.habit
    before = ratio_before(tag, incident)
    squares, planted = 0.0, 0.0
    for period in range(incident.first, incident.within + 1):
        ratio = _ratio(tag, period)
        if ratio is None:
            continue
        if ratio <= 0.0:
            # A fall to zero: as unlikely as the tag is to rest.
            squares += 2.0 * math.log(1.0 / habit.idle) if habit.idle else math.inf
            continue
        now = math.log(ratio / before)
        new = now - PERSISTENCE * planted
        planted = now
        squares += new * new / (habit.noise * habit.noise * (1.0 - PERSISTENCE * PERSISTENCE))
    return math.sqrt(squares)


def _ratio(tag: Tag, period: int) -> float | None:
    """What the incidents have made of a period; None where there is nothing to be seen."""
    value, normal = tag.values[period], tag.normal[period]
    return None if value is None or not normal else value / normal


def ratio_before(tag: Tag, incident: Incident) -> float:
    """What earlier incidents have made of the tag for good."""
    for period in range(incident.first - 1, -1, -1):
        ratio = _ratio(tag, period)
        if ratio:
            return ratio
    return 1.0


def _largest(tag: Tag, incident: Incident) -> float:
    before = ratio_before(tag, incident)
    return max(
        abs((tag.values[period] or 0.0) - before * tag.normal[period])
        for period in range(incident.first, incident.within + 1)
    )

"""The numbers that a seasonal detector consists of: where each stands, and what each may be."""

import sys

LEARNED = 0
"""How many buckets were learned."""
ACTIVE = 1
"""How many of them were not idle."""
LAST = 2
"""Start of the latest of them."""
LEVEL = 3
TREND = 4
"""Per bucket; like the level on the scale of the anchor."""
DOUBT = 5
"""Variance of the level, in units of the noise variance; as the two after it."""
NOISE = 6
"""The noise variance."""
ANCHOR = 7
FACTORS = 8
"""1 for a multiplicative anchor, else 0."""
IDLE_SHARE = 9
"""How often buckets are idle in slots that are also active; above 0 if any ever was."""
DORMANT = 10
"""1 if the normal of the series is to be idle, else 0."""
REST = 11
"""How far the latest active bucket lay off, on the scale: the next is likely to lie off alike. While buckets are
held back, their mean."""
RISEN = 12
FALLEN = 13
"""Evidence of a level that has risen, or fallen; see `detectors.evidence`."""
HELD = 14
"""How many buckets were held back since the latest one learned."""
SWAY = 15
"""Covariance of level and trend."""
TREND_DOUBT = 16
"""Variance of the trend."""
RESTED = 17
"""Start of the first bucket of the latest day that looked like a holiday; NEVER_RESTED before there was one."""
NUMBERS_OF_ALL = 18
"""The numbers from here on are of hours only."""
CLOCK = 18
"""By how many hours the clock of its people has been set on since the first hours were learned."""
AHEAD_UP = 19
AHEAD_DOWN = 20
BEHIND_UP = 21
BEHIND_DOWN = 22
"""Evidence that it is an hour ahead of that, or behind, from hours where that is dearer, and where it is cheaper; see
`detectors.seasonal_clock`."""
MIXED = 23
"""Variance of what an hour of the week has that its hour and its weekday have not."""
BEGINS = 24
"""The hour, by the clock of its people, at which the days of the series begin."""
QUIET = 25
"""Evidence that the present day is a quiet one; see `detectors.seasonal_days`."""
NUMBERS = 26

MOST_AT = 2**53
"""Times beyond this, in seconds, are not exact as a float; they count as this."""
NEVER_RESTED = -float(MOST_AT)
MOST_PLACE = 1500.0
"""No float lies further out on the scale."""
MOST_TREND = 0.01
"""What moves faster than this, 1 % a bucket, is no trend."""

ALLOWED = (
    ("the number of buckets learned", 1.0, 2.0**53),
    ("the number of active buckets", 0.0, 2.0**53),
    ("the latest time", -float(MOST_AT), float(MOST_AT)),
    ("the level", -MOST_PLACE, MOST_PLACE),
    ("the trend", -MOST_TREND, MOST_TREND),
    ("the level's variance", 0.0, 1e6),
    ("the noise variance", 1e-12, 1e9),
    ("the anchor", 1e-12, sys.float_info.max),
    ("the mark of factors", 0.0, 1.0),
    ("the share of idle buckets", 0.0, 1.0),
    ("the mark of dormancy", 0.0, 1.0),
    ("the latest deviation", -2.0 * MOST_PLACE, 2.0 * MOST_PLACE),
    ("the evidence of a rise", 0.0, 1e6),
    ("the evidence of a fall", 0.0, 1e6),
    ("the number of buckets held back", 0.0, 2.0**53),
    ("the covariance of level and trend", -1e9, 1e9),
    ("the trend's variance", 0.0, 1e9),
    ("the latest holiday", -float(MOST_AT), float(MOST_AT)),
    ("the hours that a clock was set", -2.0, 2.0),
    *(("the evidence of a clock that was set", 0.0, 1e6),) * 4,
    ("the variance of hours of the week", 0.0, 1e6),
    ("the hour at which days begin", 0.0, 23.0),
    ("the evidence of a quiet day", -1e6, 1e6),
)


def bounded(at: int) -> float:
    return float(min(max(at, -MOST_AT), MOST_AT))


def limited(value: float, most: float) -> float:
    return min(max(value, -most), most)

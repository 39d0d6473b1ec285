"""What a weekday has in common with others: working days resemble each other, and so do the days of a weekend.

Each weekday has a mean of its own. As far as the weekdays of a series have not shown to differ within their group by
more than the noise in their means explains, the mean of the group is believed instead (empirical Bayes: Efron, B.,
Morris, C., 1973, Stein's estimation rule and its competitors). One that stands out is taken at its word. So where a
weekend is not Saturday and Sunday, its days stand for themselves.
"""

from array import array

from detectors.slots import Layout

_DAYS = 7
_WORKING, _WEEKEND = range(5), range(5, _DAYS)
_KNOWN = 0.5
"""A weekday that counts less says nothing of the others."""
_STANDS_OUT = 3.0**2

# Plain tuples, since making named ones takes as long as what is worked out for them.
Week = tuple[list[float], list[float]]
"""Of each weekday, Monday first: the effect that counts, and its variance; empty without slots of weekdays."""
_Group = tuple[list[int], float, float, float, float]
"""The days that do not stand out; their mean, and all that they count; how far they differ beyond noise, of a variance
between them that is weighed by the last (method of moments)."""
_NO_WEEK: Week = ([], [])
_NO_GROUP: _Group = ([], 0.0, 0.0, 0.0, 0.0)


def week_of(table: "array[float]", layout: Layout, noise: float) -> Week:
    """What each weekday has beside the level.

    table: the slots, as in `detectors.seasonal_state`. noise: variance of one observation.

    >>> from detectors.slots import layout_of
    >>> layout = layout_of(86400)
    >>> table = array("f", [0.0] * layout.numbers)
    >>> table[:7] = array("f", [0.1, -0.1, 0.0, 0.1, -0.1, -0.8, -0.6])
    >>> table[layout.size : layout.size + 7] = array("f", [4.0] * 7)
    >>> effects, doubts = week_of(table, layout, 0.04)  # so a mean of four is 0.1 off
    >>> [round(effect, 2) for effect in effects], [round(doubt, 3) for doubt in doubts[4:]]
    ([0.02, -0.02, 0.0, 0.02, -0.02, -0.72, -0.68], [0.003, 0.005, 0.005])
    >>> table[0] = 2.0  # a job of Mondays
    >>> [round(effect, 2) for effect in week_of(table, layout, 0.04)[0]]
    [2.0, -0.04, -0.02, -0.01, -0.04, -0.72, -0.68]
    """
    start = layout.weekday_start
    if start is None:
        return _NO_WEEK
    own = table[start : start + _DAYS].tolist()
    counts = table[layout.size + start : layout.size + start + _DAYS].tolist()
    working, weekend = _alike(_WORKING, own, counts, noise), _alike(_WEEKEND, own, counts, noise)
    spare = working[4] + weekend[4]
    between = max(working[3] + weekend[3], 0.0) / spare if spare else 0.0
    effects, doubts = [], []
    for days, (alike, mean, total, _, _) in ((_WORKING, working), (_WEEKEND, weekend)):
        for day in days:
            count = counts[day]
            if day in alike:
                part = between / (between + noise / count)
                effects.append(mean + part * (own[day] - mean))
                doubts.append(part * noise / count + (1.0 - part) * (1.0 - part) * noise / total)
            else:
                # One that was never seen is like the others; one that is not known any more may be.
                effects.append(own[day] if own[day] or not alike else mean)
                doubt = noise / (count + noise / layout.prior_variance[start + day])
                doubts.append(max(doubt, 0.25 * (own[day] - mean) ** 2) if alike and not count else doubt)
    return effects, doubts


def _alike(days: range, own: list[float], counts: list[float], noise: float) -> _Group:
    """The known ones of *days* that do not lie too far from their median."""
    known = [day for day in days if counts[day] > _KNOWN]
    if not known:
        return _NO_GROUP
    in_order = sorted([own[day] for day in known])
    middle = 0.5 * (in_order[len(known) // 2] + in_order[(len(known) - 1) // 2])
    most, limit = 1.0 / sum([counts[day] for day in known]), _STANDS_OUT * noise
    alike, total, first, second, counted = [], 0.0, 0.0, 0.0, 0.0
    for day in known:
        count, off = counts[day], own[day] - middle
        if off * off <= limit * (1.0 / count + most):
            alike.append(day)
            total += count
            first += count * off
            second += count * off * off
            counted += count * count
    if not alike:
        return _NO_GROUP
    mean = first / total
    if len(alike) == 1:  # exactly none, whatever rounding says
        return alike, middle + mean, total, 0.0, 0.0
    squares = second - total * mean * mean - (len(alike) - 1) * noise
    return alike, middle + mean, total, squares, total - counted / total

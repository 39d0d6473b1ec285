"""What comes on the same day of each month, and is no turn of it: a licence on the 15th, a credit on the 20th.

Two days can be remembered, by how far they lay off. One that was an exception in two months may be as far off again in
the third, and may as well not be. A month in which it is not makes it less likely to come.
"""

from array import array

from detectors.slots import Layout

NUMBERS = 3
"""Of each day: the day of the month, how far off it lay, and in how many months, each month without it taken away."""
_EXPECTED_FROM = 2.0
_MOST = 3.0


def remembers(table: "array[float]") -> bool:
    """Whether there is any day, in a table that has room for two."""
    return bool(table[-1] or table[-1 - NUMBERS])


def recalled(table: "array[float]", layout: Layout, day: int) -> float | None:
    """How far off the *day* of a month may be, on the scale; None if that is not known."""
    for place in _places(layout):
        if table[place] == day and table[place + 2] >= _EXPECTED_FROM:
            return table[place + 1]
    return None


def remember(table: "array[float]", layout: Layout, day: int, off: float) -> None:
    """The *day* of a month was an exception, and lay *off* on the scale.

    >>> from detectors.slots import layout_of
    >>> layout = layout_of(86400)
    >>> table = array("f", [0.0] * layout.numbers)
    >>> remember(table, layout, 15, 0.9)
    >>> print(recalled(table, layout, 15))
    None
    >>> remember(table, layout, 15, 1.1)
    >>> round(recalled(table, layout, 15), 3)
    1.0
    """
    weakest = -1
    for place in _places(layout):
        if table[place] == day and table[place + 2]:
            alike = table[place + 1] * off > 0.0
            table[place + 1] = 0.5 * (table[place + 1] + off) if alike else off
            table[place + 2] = min(table[place + 2] + 1.0, _MOST) if alike else 1.0
            return
        if weakest < 0 or table[place + 2] < table[weakest + 2]:
            weakest = place
    if weakest >= 0:
        table[weakest], table[weakest + 1], table[weakest + 2] = day, off, 1.0


def fade(table: "array[float]", layout: Layout, day: int) -> None:
    """The *day* of a month was like others."""
    for place in _places(layout):
        if table[place] == day:
            table[place + 2] -= 1.0
            if table[place + 2] <= 0.0:
                table[place] = table[place + 1] = table[place + 2] = 0.0


def _places(layout: Layout) -> range:
    return range(layout.numbers - layout.remembered_size, layout.numbers, NUMBERS)

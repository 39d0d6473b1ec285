"""Where a bucket stands in the day, the week and the month: plain arithmetic on UTC seconds, for any whole number.

No datetime: it is ten times slower and ends with the year 9999, and a source may claim any time.
"""

DAY = 86400
HOUR = 3600
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0
_DAYS_IN_400_YEARS = 146097


def weekday(at: int) -> int:
    """Monday is 0.

    >>> weekday(0), weekday(4 * DAY)
    (3, 0)
    """
    return (at // DAY + _EPOCH_WEEKDAY) % 7


def hour_of_day(at: int) -> int:
    return at % DAY // HOUR


def hour_of_week(at: int) -> int:
    """0 is Monday 00:00 to 01:00."""
    return weekday(at) * 24 + hour_of_day(at)


def day_of_month(at: int) -> tuple[int, int]:
    """The day of the month from 1, and how many days of the month follow it.

    >>> day_of_month(0), day_of_month(58 * DAY), day_of_month(-DAY)
    ((1, 30), (28, 0), (31, 0))
    """
    year_of_era, day_of_year = _day_of_year(at)
    month_from_march = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month_from_march + 2) // 5 + 1
    if month_from_march == 11:  # February, the last month of a year that begins in March
        year = year_of_era + 1
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        length = 29 if leap else 28
    else:
        length = (31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31)[month_from_march]
    return day, length - day


_SPRING, _AUTUMN = range(7, 38), range(207, 252)
"""From 8 March to 7 April, and from 24 September to 7 November, in days from 1 March."""
_DAYS_AFTER = 4
_AFTER_A_FEAST = (337, 92)
"""The first of February, and of June, in days from 1 March."""


def follows_a_feast(at: int) -> bool:
    """Whether it is the first of February or June, and so the first after New Year's Day or Labour Day.

    Those are holidays in most countries.

    >>> follows_a_feast(31 * DAY), follows_a_feast(32 * DAY), follows_a_feast(151 * DAY), follows_a_feast(59 * DAY)
    (True, False, True, False)
    """
    return _day_of_year(at)[1] in _AFTER_A_FEAST


def clocks_may_have_changed(at: int) -> bool:
    """Whether people may have set their clocks, an hour on or back, within the four days before.

    From Saturday noon, since UTC is behind the east, to Wednesday noon, around the Sundays on which the European Union,
    North America, Australia and New Zealand do. Source: the IANA time zone database, rules since 2007.

    >>> clocks_may_have_changed(19_812 * DAY), clocks_may_have_changed(19_790 * DAY)  # 2024-03-30 and 2024-03-08
    (False, False)
    >>> clocks_may_have_changed(19_813 * DAY + HOUR), clocks_may_have_changed(20_023 * DAY)  # 2024-03-31, 2024-10-27
    (True, True)
    """
    noon = at + DAY // 2
    since = (weekday(noon) + 1) % 7
    if since >= _DAYS_AFTER:
        return False
    _, day_of_year = _day_of_year(noon - since * DAY)
    return day_of_year in _SPRING or day_of_year in _AUTUMN


def _day_of_year(at: int) -> tuple[int, int]:
    """The year of 400, and its day, both from 1 March on.

    Source: Howard Hinnant, chrono-compatible low-level date algorithms, civil_from_days.
    """
    day_of_era = (at // DAY + 719468) % _DAYS_IN_400_YEARS
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    return year_of_era, day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)

"""What a user can set of who hears of an alert: the routing tree, time intervals and inhibition, as in Alertmanager.

docs/routing.md has worked examples. What is wrong beyond the shape (unknown receivers, intervals nobody names) is
looked for in service/route_mistakes.py.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from service.core.durations import parse_duration
from service.core.matchers import matchers_in
from service.core.time_intervals import (
    NamedIntervals,
    Range,
    TimeInterval,
    parse_days_of_month,
    parse_months,
    parse_times,
    parse_weekdays,
    parse_years,
    zone_of,
)
from service.section import Section


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _duration(value: object) -> object:
    """A text is Alertmanager's duration; YAML gives bare numbers, which are seconds."""
    return parse_duration(value) if isinstance(value, str) else value


def _readable_matcher(text: str) -> str:
    matchers_in(text)
    return text


def _readable_by(read: Callable[[str], Range]) -> BeforeValidator:
    """YAML reads 2026 and 1 as numbers; ranges are texts."""

    def checked(value: object) -> object:
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if isinstance(text, str):
            read(text)
        return text

    return BeforeValidator(checked)


Names = Annotated[tuple[str, ...], BeforeValidator(_one_or_many)]
"""One name, or a list of names."""
MatcherText = Annotated[str, AfterValidator(_readable_matcher)]
Duration = Annotated[timedelta, BeforeValidator(_duration), Field(ge=timedelta(0), le=timedelta(days=7))]


class Route(Section):
    """A node of the routing tree; an alert goes to the deepest nodes that match it, from the first child on.

    receiver: a name or a list of names. matchers: all have to hold (service/core/matchers.py); none: every alert.
    continue: look at the siblings that come after, too. group_by: labels; alerts that agree in them and become due
    together are one message, none: each is its own. group_wait: how long a first alert waits for others.
    group_interval: how long until those that come later are told. renotify_factor: an alert is told again when its
    impact has grown by this factor. These are inherited by children that do not set them.
    active_time_intervals, mute_time_intervals: names; alerts are told while one of the first (if any) and none of the
    second is open, and wait otherwise. Not inherited, as in Alertmanager.
    """

    model_config = ConfigDict(populate_by_name=True)

    receiver: Names | None = None
    matchers: tuple[MatcherText, ...] = ()
    continue_: bool = Field(default=False, alias="continue")
    group_by: Names | None = None
    group_wait: Duration | None = None
    group_interval: Duration | None = None
    renotify_factor: float | None = Field(default=None, gt=1, le=1000)
    active_time_intervals: tuple[str, ...] = ()
    mute_time_intervals: tuple[str, ...] = ()
    routes: tuple["Route", ...] = ()


class TimeRange(Section):
    """start_time, end_time: `09:00`, at most `24:00`; quoted, since YAML reads 09:00 as a number."""

    start_time: str
    end_time: str

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> "TimeRange":
        parse_times(self.start_time, self.end_time)
        return self


class Times(Section):
    """One element of a time interval; what is left out is always. location: IANA time zone."""

    times: tuple[TimeRange, ...] = ()
    weekdays: tuple[Annotated[str, _readable_by(parse_weekdays)], ...] = ()
    days_of_month: tuple[Annotated[str, _readable_by(parse_days_of_month)], ...] = ()
    months: tuple[Annotated[str, _readable_by(parse_months)], ...] = ()
    years: tuple[Annotated[str, _readable_by(parse_years)], ...] = ()
    location: str = "UTC"

    @field_validator("location")
    @classmethod
    def _is_a_time_zone(cls, value: str) -> str:
        zone_of(value)
        return value

    def interval(self) -> TimeInterval:
        return TimeInterval(
            times=tuple(parse_times(one.start_time, one.end_time) for one in self.times),
            weekdays=tuple(map(parse_weekdays, self.weekdays)),
            days_of_month=tuple(map(parse_days_of_month, self.days_of_month)),
            months=tuple(map(parse_months, self.months)),
            years=tuple(map(parse_years, self.years)),
            location=self.location,
        )


class TimeIntervals(Section):
    """A name for routes, and the times it stands for: open while one of them is."""

    name: str = Field(min_length=1, max_length=100)
    time_intervals: tuple[Times, ...]

    def named(self) -> NamedIntervals:
        return NamedIntervals(name=self.name, intervals=tuple(one.interval() for one in self.time_intervals))


class Maintenance(Section):
    """A window that comes again and again, in which alerts that match are told to nobody: those whose first period
    begins in it. weekdays: none is every day. start_time, end_time: local; a night is two windows, up to 24:00 and
    from 00:00. location: IANA time zone.
    """

    name: str = Field(min_length=1, max_length=100)
    matchers: tuple[MatcherText, ...] = Field(min_length=1)
    comment: str = ""
    weekdays: tuple[Annotated[str, _readable_by(parse_weekdays)], ...] = ()
    start_time: str = "00:00"
    end_time: str = "24:00"
    location: str = "UTC"

    @model_validator(mode="after")
    def _is_a_window(self) -> "Maintenance":
        parse_times(self.start_time, self.end_time)
        zone_of(self.location)
        return self


class InhibitRule(Section):
    """While an alert that matches source_matchers is open, those that match target_matchers are not told, if both have
    the same values of all labels in `equal`; a label that both lack is the same."""

    source_matchers: tuple[MatcherText, ...]
    target_matchers: tuple[MatcherText, ...]
    equal: tuple[str, ...] = ()

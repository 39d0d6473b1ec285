"""Lengths of time as Prometheus and Alertmanager write them: `30s`, `5m`, `1h30m`, `2d`."""

import re
from datetime import timedelta

_UNITS = {"w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(r"(?:(\d{1,6})w)?(?:(\d{1,6})d)?(?:(\d{1,7})h)?(?:(\d{1,8})m)?(?:(\d{1,9})s)?(?:(\d{1,9})ms)?")


def parse_duration(text: str) -> timedelta:
    """`1h30m`, units from the largest to the smallest; a bare number is seconds. Raises ValueError."""
    if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text):
        return timedelta(seconds=float(text))
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        raise ValueError(f"expected a duration such as 30s, 5m or 1h30m, or a number of seconds, got {text!r}")
    return timedelta(seconds=sum(int(n) * unit for n, unit in zip(found.groups("0"), _UNITS.values(), strict=True)))


def format_duration(length: timedelta) -> str:
    """The shortest text that `parse_duration` reads as this length, to the millisecond."""
    rest, parts = round(length.total_seconds() * 1000), ""
    for name, unit in _UNITS.items():
        count, rest = divmod(rest, round(unit * 1000))
        parts += f"{count}{name}" if count else ""
    return parts or "0s"

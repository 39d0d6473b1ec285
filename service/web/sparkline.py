"""The small chart in a row of the list: a series' latest buckets as the points of an SVG, drawn by the server."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from service.core.alerts import Point

WIDTH = 120
HEIGHT = 28
_MARGIN = 2.0
_MAX_POINTS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparkline:
    """Coordinates as SVG wants them. band: the outline of what was expected, one polygon per unbroken stretch."""

    line: str
    bands: tuple[str, ...]
    marks: tuple[tuple[float, float], ...]


def sparkline(history: Sequence[Point]) -> Sparkline | None:
    """None when there are too few points for a line."""
    points = history[-_MAX_POINTS:]
    if len(points) < 2:
        return None
    values = [value for point in points for value in (point.actual, point.lower, point.upper) if value is not None]
    low, high = min(values), max(values)
    spread = (high - low) or 1.0
    step = (WIDTH - 2 * _MARGIN) / (len(points) - 1)

    def at(index: int, value: float) -> tuple[float, float]:
        y = HEIGHT - _MARGIN - (value - low) / spread * (HEIGHT - 2 * _MARGIN)
        return round(_MARGIN + index * step, 1), round(y, 1)

    return Sparkline(
        line=_text(at(index, point.actual) for index, point in enumerate(points)),
        bands=tuple(
            _text([at(index, points[index].upper or 0.0) for index in run])
            + " "
            + _text([at(index, points[index].lower or 0.0) for index in reversed(run)])
            for run in _runs(points)
        ),
        marks=tuple(at(index, point.actual) for index, point in enumerate(points) if point.abnormal),
    )


def _runs(points: Sequence[Point]) -> list[list[int]]:
    """Stretches of two or more neighbours that have a band."""
    runs: list[list[int]] = [[]]
    for index, point in enumerate(points):
        if point.lower is not None and point.upper is not None:
            runs[-1].append(index)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if len(run) > 1]


def _text(coordinates: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in coordinates)

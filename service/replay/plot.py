"""Charts of alerts as one HTML page that needs nothing else: the series, its expected band, what was abnormal."""

from collections.abc import Sequence
from html import escape

from service.core.alerts import Alert, AlertStatus, Point
from service.core.wording import amount, driver_name, driver_reason, number, who

_WIDTH, _HEIGHT = 860, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 12, 12, 26
_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 900px; color: #1c2330; background: #fff }
h1 { font-size: 1.25rem } h2 { font-size: 1rem; margin: 0 0 .2rem } section { margin: 2.2rem 0 }
p { margin: .2rem 0 } table { border-collapse: collapse; margin-top: .4rem }
td { padding: .1rem .9rem .1rem 0 } td.n { text-align: right; font-variant-numeric: tabular-nums }
.dim { color: #667 }
.badge { border-radius: 3px; padding: 0 .4em; color: #fff; font-size: .85em }
.critical { background: #9b1c1c } .high { background: #c2410c }
.medium { background: #a16207 } .low { background: #0e7490 }
.withdrawn { opacity: .55 }
svg { width: 100%; height: auto; display: block } .band { fill: #3b82f6; fill-opacity: .16 }
.expected { stroke: #3b82f6; fill: none; stroke-dasharray: 4 3 }
.actual { stroke: #1c2330; fill: none; stroke-width: 1.6 }
.abnormal { fill: #dc2626 } .axis { stroke: #ccd } text { font: 11px system-ui, sans-serif; fill: #667 }
@media (prefers-color-scheme: dark) { body { background: #12161f; color: #dde3ee } .actual { stroke: #dde3ee }
  .axis { stroke: #39425a } text, .dim { color: #94a0b8; fill: #94a0b8 } }
"""


def page_of(alerts: Sequence[Alert]) -> str:
    """One section an alert, in the order given. Tag values are untrusted text, and are escaped."""
    sections = "\n".join(map(_section, alerts)) or "<p>No alert.</p>"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Spendwatch replay</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
        f"<body><h1>{len(alerts)} alert{'' if len(alerts) == 1 else 's'}</h1>\n{sections}\n</body></html>\n"
    )


def _section(alert: Alert) -> str:
    faded = ' class="withdrawn"' if alert.status is AlertStatus.WITHDRAWN else ""
    badge = f'<span class="badge {alert.severity.value}">{alert.severity.value}</span>'
    title = escape(f"{who(alert.series)}: {alert.kind.value} of {alert.metric} since {alert.starts_at:%Y-%m-%d %H:%M}Z")
    return (
        f'<section{faded} id="{escape(alert.id)}"><h2>{badge} {title}</h2>'
        f'<p>{escape(alert.reason)}.</p><p class="dim">{alert.status.value}; {escape(alert.action)}.</p>'
        f"{_chart(alert)}{_drivers(alert)}</section>"
    )


def _drivers(alert: Alert) -> str:
    rows = "".join(
        f'<tr><td class="n">{escape(number(driver.change, alert.unit, signed=True))}</td>'
        f'<td>{escape(driver_name(driver.labels))}</td><td class="dim">{escape(driver_reason(driver))}</td></tr>'
        for driver in alert.drivers
    )
    return f"<table>{rows}</table>" if rows else ""


class _Scale:
    """Points of a chart to places in its picture."""

    def __init__(self, points: Sequence[Point]) -> None:
        values = [value for point in points for value in (point.actual, point.lower, point.upper) if value is not None]
        actual = [point.actual for point in points]
        low, high = min(0.0, *values), max(values)
        # A band far wider than anything that happened would press the line flat.
        reach = 1.5 * max(abs(min(actual)), abs(max(actual)), 1e-9)
        self.low, self.high = max(low, -reach), min(high, reach)
        if self.high <= self.low:
            self.high = self.low + 1.0
        self._first = points[0].at.timestamp()
        self._span = max(points[-1].at.timestamp() - self._first, 1.0)

    def x(self, point: Point) -> float:
        share = (point.at.timestamp() - self._first) / self._span
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        held = min(max(value, self.low), self.high)
        share = (held - self.low) / (self.high - self.low)
        return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)


def _chart(alert: Alert) -> str:
    points = alert.history
    if not points:
        return ""
    scale = _Scale(points)
    known = [point for point in points if point.lower is not None and point.upper is not None]
    upper = [f"{scale.x(point)},{scale.y(point.upper or 0.0)}" for point in known]
    lower = [f"{scale.x(point)},{scale.y(point.lower or 0.0)}" for point in reversed(known)]
    expected = " ".join(f"{scale.x(point)},{scale.y(point.expected or 0.0)}" for point in known)
    actual = " ".join(f"{scale.x(point)},{scale.y(point.actual)}" for point in points)
    dots = "".join(
        f'<circle class="abnormal" r="4" cx="{scale.x(point)}" cy="{scale.y(point.actual)}">'
        f"<title>{point.at:%Y-%m-%d %H:%M}Z: {escape(amount(point.actual, alert.unit))}</title></circle>"
        for point in points
        if point.abnormal
    )
    base = _HEIGHT - _BOTTOM
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(alert.reason)}">'
        f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>'
        f'<text x="{_LEFT - 6}" y="{_TOP + 8}" text-anchor="end">{escape(number(scale.high, alert.unit))}</text>'
        f'<text x="{_LEFT - 6}" y="{base}" text-anchor="end">{escape(number(scale.low, alert.unit))}</text>'
        f'<text x="{_LEFT}" y="{_HEIGHT - 8}">{points[0].at:%Y-%m-%d}</text>'
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 8}" text-anchor="end">{points[-1].at:%Y-%m-%d}</text>'
        f'<polygon class="band" points="{" ".join(upper + lower)}"/>'
        f'<polyline class="expected" points="{expected}"/><polyline class="actual" points="{actual}"/>{dots}</svg>'
    )

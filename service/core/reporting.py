"""Episodes become alerts: what is said, when it is said again, and when it is taken back.

Of each episode what was last said is kept (Reported), with a digest of the content. Content is a function of the
folded state alone, so any order of the same facts ends in the same content; `version` and `judged_at` tell how it
came about. An alert is sent when its content has changed: at once when a bucket closes or is restated, and while a
bucket is still filling up whenever it has grown or shrunk by a tenth of what was too much.
"""

from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from connectors.facts import FeedbackVerdict
from connectors.series import SeriesKey
from detectors.verdict import Band
from service.core.alerts import Alert, AlertKind, AlertStatus, Point, Severity
from service.core.amounts import bound, to_units
from service.core.buckets import Parts
from service.core.drivers import BASELINE_BUCKETS, Change, explain, shown, with_rest
from service.core.episodes import Episode, alert_id
from service.core.explain import action_of, reason_of, severity_of, withdrawn_reason
from service.core.feedback import said_of
from service.core.holding import basis_of, reach_of
from service.core.instants import to_datetime
from service.core.judging import Traced
from service.core.ring import NORMAL, Ring
from service.core.state import Reported, SeriesState
from service.core.wording import is_money

HISTORY_POINTS = 64
_JUDGED_BY = {AlertKind.NEW_SPEND: "peers", AlertKind.MISSING: "silence"}
"""What no detector of the policy has said."""
_encoder = msgspec.msgpack.Encoder()


def say(
    state: SeriesState,
    episode: Episode,
    trace: Sequence[Traced],
    known: Reported,
    *,
    status: AlertStatus,
    running: bool = False,
) -> Alert | None:
    """The alert of an episode, if it differs from what was last said.

    trace: the buckets of the ring and the running ones, oldest first. known: what was last said of it, or a new one.
    running: the last bucket is still filling up.
    """
    known.begins, known.reach = episode.first, reach_of(state.judge, episode)
    return _say(state, episode, trace, known, status=status, running=running)


def say_left(state: SeriesState, left: Episode, trace: Sequence[Traced], known: Reported) -> Alert | None:
    """The same of what a correction has left of an alert: it is over."""
    return _say(state, left, trace, known, status=AlertStatus.RESOLVED, is_left=True)


def _say(
    state: SeriesState,
    episode: Episode,
    trace: Sequence[Traced],
    known: Reported,
    *,
    status: AlertStatus,
    running: bool = False,
    is_left: bool = False,
) -> Alert | None:
    changes = _changes(state, episode, known)
    alert = _alert(state, episode, trace, changes, known, status=status, running=running, is_left=is_left)
    return _if_changed(state, known, alert, episode.last, episode.impact, episode.worst.index, changes)


def withdraw(state: SeriesState, known: Reported, trace: Sequence[Traced], *, is_part: bool = False) -> Alert | None:
    """Take back what was said of an episode that is no more. is_part: it is told under another alert."""
    series = SeriesKey.parse(state.text)
    grain_seconds = state.judge.grain_seconds
    now = next((traced for traced in trace if traced.bucket == known.begins), None)
    actual = 0.0 if now is None else to_units(now.actual)
    band = Band(expected=actual, lower=actual, upper=actual) if now is None or now.band is None else now.band
    alert = Alert(
        id=alert_id(state.text, known.kind, known.first * grain_seconds),
        version=known.version,
        status=AlertStatus.WITHDRAWN,
        kind=known.kind,
        severity=Severity.LOW,
        tenant=series.tenant,
        series=state.text,
        labels=_labels(series),
        metric=series.metric,
        unit=series.unit,
        grain=series.grain.value,
        basis=basis_of(state, known.begins),
        detector=_JUDGED_BY.get(known.kind, state.judge.detector),
        starts_at=to_datetime(known.begins * grain_seconds),
        ends_at=to_datetime((known.last + 1) * grain_seconds),
        judged_at=to_datetime(known.judged_at),
        actual=actual,
        expected=band.expected,
        lower=band.lower,
        upper=band.upper,
        score=0.0,
        impact=actual - band.expected,
        buckets=known.last - known.begins + 1,
        drivers=(),
        reason=withdrawn_reason(
            series,
            known.begins,
            None if now is None else actual,
            band=None if now is None else now.band,
            grain_seconds=grain_seconds,
            kind=known.kind,
            is_false=_feedback(state, known) is FeedbackVerdict.FALSE_ALARM,
            by_policy=state.rare.is_judged_anew,
            is_part=is_part,
        ),
        action="Nothing to do",
        # Of a gap what came before it: when it was filled, and with what, differs from one reading to another.
        history=_history(trace, known.begins - 1 if known.kind is AlertKind.MISSING else known.last + 1, grain_seconds),
        feedback=_feedback(state, known),
    )
    return _if_changed(state, known, alert, known.last, 0, known.worst, ())


def _if_changed(
    state: SeriesState,
    known: Reported,
    alert: Alert,
    last: int,
    impact: int,
    worst: int,
    changes: tuple[Change, ...],
) -> Alert | None:
    known.last, known.impact, known.worst, known.changes = last, impact, worst, changes
    digest = content_digest(alert)
    if digest == known.digest:
        return None
    known.digest = digest
    known.status = alert.status
    known.version += 1
    rare = state.own_rare()
    if rare.reported is None:
        rare.reported = {}
    rare.reported[known.first, known.kind] = known
    return msgspec.structs.replace(alert, version=known.version)


def content_digest(alert: Alert) -> bytes:
    """Of everything but `version` and `judged_at`, which tell how an alert came about, not what it says."""
    content = msgspec.structs.replace(alert, version=0, judged_at=alert.starts_at)
    return blake2b(_encoder.encode(content), digest_size=8).digest()


def _alert(
    state: SeriesState,
    episode: Episode,
    trace: Sequence[Traced],
    changes: tuple[Change, ...],
    known: Reported,
    *,
    status: AlertStatus,
    running: bool,
    is_left: bool,
) -> Alert:
    series = SeriesKey.parse(state.text)
    judge = state.judge
    grain_seconds = judge.grain_seconds
    worst = episode.worst
    drivers = shown(changes)
    return Alert(
        id=alert_id(state.text, episode.kind, known.first * grain_seconds),
        version=known.version,
        status=status,
        kind=episode.kind,
        severity=severity_of(episode, judge.floor),
        tenant=series.tenant,
        series=state.text,
        labels=_labels(series),
        metric=series.metric,
        unit=series.unit,
        grain=series.grain.value,
        basis=worst.basis,
        detector=_JUDGED_BY.get(episode.kind, judge.detector),
        starts_at=to_datetime(episode.first * grain_seconds),
        ends_at=None if status is AlertStatus.FIRING else to_datetime((episode.last + 1) * grain_seconds),
        judged_at=to_datetime(known.judged_at),
        actual=to_units(worst.actual),
        expected=worst.band.expected,
        lower=worst.band.lower,
        upper=worst.band.upper,
        score=worst.score,
        impact=to_units(episode.impact),
        buckets=len(episode.held),
        drivers=drivers,
        reason=reason_of(
            series,
            episode,
            grain_seconds=grain_seconds,
            running=running and worst.index == episode.last,
            newcomer=state.rare.newcomer,
            is_expected=_feedback(state, known) is FeedbackVerdict.EXPECTED,
            reach=to_units(known.reach) if is_left else None,
        ),
        action=action_of(series, episode.kind, drivers),
        history=_history(trace, episode.last + (1 if episode.over else 0), grain_seconds),
        feedback=_feedback(state, known),
    )


def _feedback(state: SeriesState, known: Reported) -> FeedbackVerdict | None:
    given = said_of(state.given, known.kind, known.begins, known.last)
    return None if given is None else given.verdict


def _labels(series: SeriesKey) -> dict[str, str]:
    name, value = series.label
    return {name: value, "metric": series.metric, "grain": series.grain.value}


def _history(trace: Sequence[Traced], until: int, grain_seconds: int) -> tuple[Point, ...]:
    """The latest HISTORY_POINTS buckets up to *until*: an episode that is over shows what ended it, and no more."""
    points = [traced for traced in trace if traced.bucket <= until][-HISTORY_POINTS:]
    return tuple(
        Point(
            at=to_datetime(index * grain_seconds),
            actual=to_units(actual),
            expected=None if band is None else band.expected,
            lower=None if band is None else band.lower,
            upper=None if band is None else band.upper,
            abnormal=abnormal,
        )
        for index, actual, band, abnormal in points
    )


def _changes(state: SeriesState, episode: Episode, known: Reported) -> tuple[Change, ...]:
    """The drivers of the worst bucket against those of the normal buckets before it, as far as they are still kept;
    else what was said of that bucket before, with the rest made to fit."""
    worst = episode.worst
    if episode.kind is AlertKind.MISSING:
        return ()
    actual, expected = worst.actual, bound(worst.band.expected)
    bucket = state.open_bucket(worst.index)
    ring = state.ring
    if bucket is None and ring is not None and ring.whole is not None:
        bucket = ring.whole.get(worst.index)
    parts = None if bucket is None else bucket.parts
    baseline, totals = _baseline(ring, worst.index)
    if parts is None and actual == 0 and baseline:
        parts = {}  # what costs nothing has no drivers left: all that it had are gone
    if parts is None:
        kept = known.changes if known.worst == worst.index else ()
        if not kept and not is_money(SeriesKey.parse(state.text).unit):
            return ()  # a level of usage has no parts
        return with_rest(kept, actual=actual, expected=expected)
    if known.worst == worst.index and len(baseline) < known.baseline:
        return with_rest(known.changes, actual=actual, expected=expected)
    known.baseline = len(baseline)
    is_new = episode.kind is AlertKind.NEW_SPEND
    return explain(parts, baseline, actual=actual, expected=expected, totals=totals, is_new=is_new)


def _baseline(ring: Ring | None, until: int) -> tuple[list[Parts], list[int]]:
    """Drivers and totals of the normal buckets before *until* whose drivers are kept, latest first."""
    baseline: list[Parts] = []
    totals: list[int] = []
    if ring is None or ring.whole is None:
        return baseline, totals
    for index in sorted(ring.whole, reverse=True):
        parts = ring.whole[index].parts
        if parts is not None and index < until and ring.judgement(index) == NORMAL:
            baseline.append(parts)
            totals.append(ring.value(index))
        if len(baseline) == BASELINE_BUCKETS:
            break
    return baseline, totals

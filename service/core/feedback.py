"""What people said of a series' alerts, and what follows from it whenever the series is folded.

It is kept with the series, by the first bucket and kind of the episode it is about. Of several about one episode the
highest revision counts, so that order and repetition do not matter.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

import msgspec

from connectors.facts import MAX_ABS_VALUE, Feedback, FeedbackVerdict, format_instant
from connectors.series import Grain, SeriesKey, SeriesKeyError
from service.core.alerts import Alert, AlertKind
from service.core.amounts import to_nano
from service.core.instants import InstantError
from service.core.policies import Judge, PolicyBook
from service.core.rejects import RejectError, RejectReason
from service.core.validation import Record, bad_time, bad_value, key_mismatch

_MAX_KEPT = 64
_MAX_DEVIATION = 4 * MAX_ABS_VALUE
EpisodeKey = tuple[int, AlertKind]


class Given(NamedTuple):
    """through: last bucket that the person has seen. deviation: in nano-units, of a false alarm's worst bucket."""

    verdict: FeedbackVerdict
    through: int
    deviation: int
    revision: int


GivenByEpisode = Mapping[EpisodeKey, Given]
NOTHING_GIVEN: GivenByEpisode = {}

_decode = msgspec.json.Decoder(Feedback).decode


def heard_of(record: Record, policies: PolicyBook) -> tuple[EpisodeKey, Given]:
    """Decode feedback. Raises RejectError, and what decoding raises."""
    said = _decode(record.value or b"")
    if said.series.encode(errors="replace") != record.key:
        raise key_mismatch(said.series, record.key or b"")
    try:
        judge = policies.judge_of(SeriesKey.parse(said.series))
    except SeriesKeyError as error:
        raise RejectError(RejectReason.BAD_SERIES, "series", str(error)) from None
    try:
        kind = AlertKind(said.kind)
    except ValueError:
        kinds = ", ".join(AlertKind)
        raise RejectError(
            RejectReason.UNDECODABLE, "kind", f"expected one of {kinds}, got {said.kind[:40]!r}"
        ) from None
    if not 0 <= said.deviation <= _MAX_DEVIATION:
        raise bad_value("deviation", said.deviation)
    first = _bucket_of(judge, "starts_at", said.starts_at)
    through = _bucket_of(judge, "through", said.through)
    return (first, kind), Given(said.verdict, through, to_nano(said.deviation), said.revision)


def _bucket_of(judge: Judge, field: str, text: str) -> int:
    try:
        return judge.instants[text].bucket
    except InstantError as error:
        raise bad_time(field, error) from None


def feedback_of(alert: Alert, verdict: FeedbackVerdict, *, revision: int) -> Feedback:
    """What goes to the engine when a person has seen *alert* and says what it was."""
    grain = Grain(alert.grain)
    through = alert.starts_at + timedelta(seconds=grain.seconds * max(alert.buckets - 1, 0))
    return Feedback(
        series=alert.series,
        kind=alert.kind.value,
        starts_at=format_instant(alert.starts_at),
        through=format_instant(through),
        verdict=verdict,
        deviation=abs(alert.actual - alert.expected),
        revision=revision,
    )


def floor_for(given: GivenByEpisode, kind: AlertKind, index: int, floor: int) -> int:
    """The smallest deviation of bucket *index* worth an alert: what was once a false alarm is none any more."""
    for (first, its_kind), one in given.items():
        if one.verdict is FeedbackVerdict.FALSE_ALARM and its_kind is kind and index >= first:
            floor = max(floor, one.deviation + one.deviation // 1000 + 1)  # what came as a float is not exact
    return floor


def said_of(given: GivenByEpisode, kind: AlertKind, first: int, last: int) -> Given | None:
    """What was said of the episode of these buckets, or of one that shared some: the first may have come late."""
    if not given:
        return None
    one = given.get((first, kind))
    if one is not None:
        return one
    shared = [key for key, one in given.items() if key[1] is kind and key[0] <= last and first <= one.through]
    return given[min(shared)] if shared else None


def accepts(given: GivenByEpisode, kind: AlertKind, first: int, last: int) -> bool:
    """Whether the episode is the new normal with its bucket *last*."""
    one = said_of(given, kind, first, last)
    return one is not None and one.verdict is FeedbackVerdict.NEW_NORMAL and last >= one.through


def is_settled(given: GivenByEpisode, kind: AlertKind, first: int, last: int) -> bool:
    """Whether a person has said that the episode needs nobody any more."""
    one = said_of(given, kind, first, last)
    return one is not None and one.verdict in (FeedbackVerdict.EXPECTED, FeedbackVerdict.NEW_NORMAL)


def is_false_alarm(given: GivenByEpisode, kind: AlertKind, first: int, last: int) -> bool:
    one = said_of(given, kind, first, last)
    return one is not None and _is_false(one)


def kept_after(given: GivenByEpisode, start: int) -> dict[EpisodeKey, Given]:
    """What still says something when the buckets before *start* are final: of false alarms before it the largest."""
    kept: dict[EpisodeKey, Given] = {}
    for (first, kind), one in sorted(given.items()):
        if first >= start or one.through >= start:
            kept[first, kind] = one
        elif one.verdict is FeedbackVerdict.FALSE_ALARM:
            largest = max(
                (key for key, known in kept.items() if key[1] is kind and key[0] < start and _is_false(known)),
                key=lambda key: kept[key].deviation,
                default=None,
            )
            if largest is None:
                kept[first, kind] = one
            elif kept[largest].deviation < one.deviation:
                kept.pop(largest)
                kept[first, kind] = one
    while len(kept) > _MAX_KEPT:
        kept.pop(min(kept))
    return kept


def _is_false(one: Given) -> bool:
    return one.verdict is FeedbackVerdict.FALSE_ALARM

"""A detector over a series as the service drives it: judged first, the abnormal held back, a lasting level accepted."""

from collections.abc import Sequence
from typing import NamedTuple

from detectors.calendar import DAY
from detectors.detector import Attentive, Detector
from detectors.verdict import Status

_ABNORMAL = (Status.HIGH, Status.LOW)


class Driven(NamedTuple):
    """Numbers of the abnormal buckets, and how many were judged at all."""

    abnormal: list[int]
    judged: int


def drive(detector: Detector, series: Sequence[tuple[float, int]], *, grain_seconds: int) -> Driven:
    accept_after = 7 if grain_seconds >= DAY else 72
    learns_abnormal = getattr(detector, "learns_abnormal", False)
    held: list[tuple[float, int]] = []
    abnormal: list[int] = []
    judged, side = 0, Status.NORMAL
    for number, (value, at) in enumerate(series):
        status = detector.score_one(value, at).status
        judged += status is not Status.WARMING_UP
        if status not in _ABNORMAL or status is not side:
            held.clear()
        side = status
        if status in _ABNORMAL:
            abnormal.append(number)
            held.append((value, at))
        if status not in _ABNORMAL or learns_abnormal:
            detector.learn_one(value, at)
        elif isinstance(detector, Attentive):
            detector.hold_one(value, at)
        if len(held) >= accept_after:
            detector.accept_level(held)
            held.clear()
    return Driven(abnormal, judged)


def episodes(abnormal: Sequence[int], *, grain_seconds: int) -> int:
    """Abnormal buckets that lie within three days, or twelve hours, are one alarm."""
    within = 3 if grain_seconds >= DAY else 12
    return sum(place == 0 or number - abnormal[place - 1] > within for place, number in enumerate(abnormal))

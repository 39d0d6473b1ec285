"""Whether what was told holds after a correction.

What makes an alert is a line, and each late record moves it a little. So one is taken back only when its facts were
restated so far that nothing like it is left; else it is over, with the amounts of now.
"""

from collections.abc import Sequence

from connectors.facts import Basis
from detectors.guards import score_of
from service.core.alerts import AlertKind
from service.core.amounts import bound
from service.core.episodes import Episode, Judged
from service.core.judging import Traced
from service.core.policies import Judge
from service.core.state import Reported, SeriesState


def reach_of(judge: Judge, episode: Episode) -> int:
    """How far from what was expected the worst bucket had to lie to be told, in nano-units."""
    band = episode.worst.band
    side = band.lower if episode.kind is AlertKind.DROP else band.upper
    return max(abs(bound(side) - bound(band.expected)), judge.floor)


def left_of(state: SeriesState, known: Reported, trace: Sequence[Traced]) -> Episode | None:
    """What corrections have left of an alert that would not be told now; None where that is next to nothing.

    It holds while one of its buckets deviates by `keep_firing_above` of what was too much when it was told.
    """
    judge = state.judge
    if known.kind is AlertKind.DROP and not judge.drops:
        return None
    found = [
        Judged(
            index=traced.bucket, actual=traced.actual, basis=basis_of(state, traced.bucket), band=traced.band, score=0.0
        )
        for traced in trace
        if known.begins <= traced.bucket <= known.last and traced.band is not None
    ]
    if not found or not known.reach:
        return None
    sign = -1 if known.kind is AlertKind.DROP else 1
    worst = max(found, key=lambda judged: (sign * judged.deviation, -judged.index))
    off = sign * worst.deviation
    if off < max(judge.keep_firing_above * known.reach, 1):
        return None
    amounts = {judged.index: judged.actual for judged in found}
    return Episode(
        kind=known.kind,
        first=known.begins,
        worst=Judged(
            index=worst.index,
            actual=worst.actual,
            basis=worst.basis,
            band=worst.band,
            score=min(score_of(off / known.reach), 0.5),
        ),
        impact=sum(judged.deviation for judged in found),
        held=tuple(amounts.get(index) for index in range(known.begins, known.last + 1)),
        over=True,
    )


def basis_of(state: SeriesState, index: int) -> Basis:
    """What counts in a bucket, open or closed."""
    bucket = state.open_bucket(index)
    if bucket is not None:
        return bucket.effective_basis
    return state.ring.basis(index) if state.ring is not None and state.ring.is_present(index) else Basis.BILLED

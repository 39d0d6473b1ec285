"""Which alert an episode is told under: the one that has told of it before, wherever it began then.

Records come late. With the hour before its first, an episode begins an hour sooner; with one between two, two are one.
Had it another alert each time, each correction would take one back and open the next, about the same money.
"""

from collections.abc import Iterable, Mapping, Sequence

from service.core.alerts import AlertKind, AlertStatus
from service.core.episodes import Episode
from service.core.feedback import EpisodeKey
from service.core.state import Reported

RISES = frozenset({AlertKind.SPIKE, AlertKind.NEW_SPEND})
ReportedByKey = Mapping[EpisodeKey, Reported]


def recognised(reported: ReportedByKey, episodes: Sequence[Episode], *, pauses: int) -> list[Reported | None]:
    """For each episode, oldest first, what was last said of it; None of one that is new.

    One that bears its number is taken before one that only shares buckets with it, and that before one that was taken
    back. pauses: after its last, so many buckets may lie between an episode that goes on and the next of it.
    """
    standing = {key: known for key, known in reported.items() if known.status is not AlertStatus.WITHDRAWN}
    found: list[Reported | None] = [None] * len(episodes)
    for place, episode in enumerate(episodes):
        known = standing.get((episode.first, episode.kind))
        if known is not None and _share(known, episode, pauses):
            found[place] = standing.pop((episode.first, episode.kind))
    for place, episode in enumerate(episodes):
        if found[place] is None:
            shared = (known for known in standing.values() if _share(known, episode, pauses))
            known = min(shared, key=_by_begin, default=None)
            if known is not None:
                found[place] = standing.pop((known.first, known.kind))
    for place, episode in enumerate(episodes):
        if found[place] is None:
            known = reported.get((episode.first, episode.kind))
            found[place] = known if known is not None and known.status is AlertStatus.WITHDRAWN else None
    return found


def _free_number(reported: ReportedByKey, first: int, kind: AlertKind) -> int:
    """The number of an episode that is new: of its first bucket, unless an alert that went elsewhere bears that."""
    while (first, kind) in reported:
        first += 1
    return first


def begun(reported: ReportedByKey, episode: Episode, judged_at: int) -> Reported:
    """One that nothing was said of yet."""
    known = Reported(episode.kind, episode.first, judged_at)
    known.first = _free_number(reported, episode.first, episode.kind)
    return known


def told_missing(reported: ReportedByKey | None, gap: int) -> Reported | None:
    """What stands of a gap that begins with this bucket, if anything was said."""
    for known in (reported or {}).values():
        if known.kind is AlertKind.MISSING and known.begins == gap and known.status is not AlertStatus.WITHDRAWN:
            return known
    return None


def is_part(known: Reported, episodes: Iterable[Episode]) -> bool:
    """Whether what was told of is told under another alert by now: of new spend one may be a rise, too."""
    return any(
        known.begins <= episode.last
        and episode.first <= known.last
        and (known.kind in RISES) == (episode.kind in RISES)
        for episode in episodes
    )


def _share(known: Reported, episode: Episode, pauses: int) -> bool:
    after = pauses + 1 if known.status is AlertStatus.FIRING else 0
    return known.kind is episode.kind and known.begins <= episode.last and episode.first <= known.last + after


def _by_begin(known: Reported) -> tuple[int, int]:
    return known.begins, known.first

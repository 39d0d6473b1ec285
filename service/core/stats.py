"""Plain counters of one engine, which the stream turns into metrics."""

from collections import Counter
from dataclasses import dataclass, field

from detectors.verdict import Status
from service.core.alerts import AlertKind, AlertStatus
from service.core.rejects import RejectReason


@dataclass(slots=True)
class EngineStats:
    """facts: folded. skipped: at or below the offset a series had seen before.

    repeated: facts that said nothing new (an event counted before, an older or equal revision). restated: facts
    that changed a closed bucket. too_late: facts about buckets older than the ring. capped: facts of new values
    beyond the cap. forgotten_ids: event ids dropped to stay within memory; a repetition of one would count twice.
    closed: buckets judged for good. refolds: rings folded again. cold_starts: series begun anew because
    their snapshot belonged to another detector, or no topic would have held it. retagged: buckets that raised nothing
    because their cost only has another tag. judged_anew: series whose ring was folded again after a restart, since
    their policy is another. feedback: what people said of alerts; feedback_unknown: of series that are
    not known. last_start: newest charge period start seen, seconds since 1970, 0 when none. withheld: series that are
    missing together with many others of their source; late_seconds: how far in event time the source furthest behind
    is behind the newest; both as of the last freeze.
    """

    facts: int = 0
    skipped: int = 0
    repeated: int = 0
    restated: int = 0
    too_late: int = 0
    capped: int = 0
    forgotten_ids: int = 0
    watermarks: int = 0
    closed: int = 0
    refolds: int = 0
    cold_starts: int = 0
    retagged: int = 0
    judged_anew: int = 0
    feedback: int = 0
    feedback_unknown: int = 0
    last_start: int = 0
    withheld: int = 0
    late_seconds: int = 0
    rejected: Counter[RejectReason] = field(default_factory=Counter)
    judged: Counter[tuple[str, Status]] = field(default_factory=Counter)
    alerts: Counter[tuple[AlertKind, AlertStatus]] = field(default_factory=Counter)

"""Which of the planted incidents have been found, and which of those were delivered."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from connectors.synthetic_incidents import Incident, IncidentKind
from service.core.alerts import AlertEvent, AlertKind, EventType


@dataclass(slots=True)
class Scorecard:
    """Fed with the events of the live stream and with the alert ids that the desk has verified."""

    incidents: Sequence[Incident]
    _found: dict[int, str] = field(default_factory=dict)
    _heads: dict[str, str] = field(default_factory=dict)
    """Alert -> the one that is told in its place."""
    _delivered: set[str] = field(default_factory=set)

    def saw(self, event: AlertEvent) -> Incident | None:
        """Returns the incident that this event is the first to tell of."""
        alert = event.record.alert
        if event.record.inhibited_by is not None:
            self._heads[alert.id] = event.record.inhibited_by
        if event.type not in (EventType.OPENED, EventType.REOPENED, EventType.INHIBITED):
            return None
        for number, incident in enumerate(self.incidents):
            begin, end = datetime.fromisoformat(incident.start), datetime.fromisoformat(incident.end)
            same_time = alert.starts_at < end and begin <= (alert.ends_at or alert.judged_at)
            same_way = (alert.kind is AlertKind.DROP) == (incident.kind is IncidentKind.DROP)
            if number not in self._found and same_time and same_way and alert.series in incident.must:
                self._found[number] = alert.id
                return incident
        return None

    def was_delivered(self, alert_id: str) -> None:
        self._delivered.add(alert_id)

    @property
    def found(self) -> int:
        return len(self._found)

    @property
    def delivered(self) -> int:
        return sum(self._is_delivered(alert_id) for alert_id in self._found.values())

    @property
    def is_complete(self) -> bool:
        return self.delivered == len(self.incidents)

    def missing(self) -> list[tuple[Incident, str]]:
        """What is not there yet, and how far it came."""
        return [
            (incident, "found, not delivered" if number in self._found else "not found")
            for number, incident in enumerate(self.incidents)
            if not self._is_delivered(self._found.get(number))
        ]

    def _is_delivered(self, alert_id: str | None) -> bool:
        """By itself, or as the same money as another alert that was delivered."""
        return alert_id in self._delivered or self._heads.get(alert_id or "") in self._delivered

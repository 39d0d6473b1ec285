"""A letter to send."""

from datetime import timedelta

from msgspec.structs import replace

from connectors.facts import Basis
from service.core.alerts import AlertRecord, AlertState
from service.core.silences import SilenceKind, Weekly
from service.digests.content import Digest, EndingSilence, of_value, overview
from service.digests.expiry import ExpiryWarning
from service.digests.letter import Content
from service.digests.sums import DaySum, SpendBasis
from service.store.store import Letter, LetterDelivery
from tests.builders import make_alert
from tests.service.digests.builders import DAY, MOMENT, MONDAY, make_settings, make_sum


def make_digest(value: str | None = None, *, label: str = "search", texts: str = "") -> Digest:
    """Two teams, two currencies, a day that is not billed, alerts open and held back, a silence. texts: of all else."""
    rows: list[DaySum] = []
    for day in range(-5, 23):
        rows += [make_sum(day, 12.0 if day > 15 else 10.0, label), make_sum(day, 4.0, "ads", unit="EUR")]
    rows.append(make_sum(22, 30.0, label, basis=SpendBasis.ESTIMATED))
    alerts = (
        _record("a1", label, texts or "Team search cost 412.50 USD on 2026-11-21, 3.4 times what was expected."),
        _record("a2", label, texts or "Team search cost nothing on 2026-11-22.", impact=-40.0, held_back=True),
    )
    settings = make_settings()
    made = (
        overview(settings, MOMENT, rows, alerts) if value is None else of_value(settings, MOMENT, value, rows, alerts)
    )
    silence = EndingSilence(
        what=texts or "team=ads", owner=texts or "ada", comment=texts or "migration", until=MONDAY + 2 * DAY
    )
    return replace(made, silences=(silence,))


def _record(alert_id: str, label: str, reason: str, *, held_back: bool = False, impact: float = 292.5) -> AlertRecord:
    alert = make_alert(alert_id, labels={"team": label}, reason=reason, impact=impact, basis=Basis.BILLED)
    at = MONDAY - timedelta(days=2)
    return AlertRecord(alert=alert, state=AlertState.FIRING, seq=1, created_at=at, updated_at=at, held_back=held_back)


def make_warning(*, texts: str = "", **changes: object) -> ExpiryWarning:
    """Of a silence of ada's that ends in an hour. texts: of all that people wrote."""
    warning = ExpiryWarning(
        silence="5f2c9a0b1d3e4f60",
        kind=SilenceKind.SILENCE,
        matchers=(texts or 'team="search"', texts or "impact<500"),
        owner=texts or "ada",
        comment=texts or "load test, OPS-17",
        recurrence=(Weekly(weekdays=(texts or "saturday", "sunday"), location="Europe/Berlin"),),
        amount_per_day=None,
        unit=None,
        until=MONDAY + timedelta(hours=1),
        made_at=MONDAY,
        silenced=2,
    )
    return replace(warning, **changes)


def make_letter(content: Content | None = None, *, attempts: int = 1, id_: str = "msg_1") -> LetterDelivery:
    content = content or make_digest()
    name = "weekly" if isinstance(content, Digest) else None
    letter = Letter(id="letter_1", digest=name, value=None, due_at=MONDAY, content=content, receivers=("desk",))
    return LetterDelivery(
        id=id_,
        receiver="desk",
        letter=letter,
        seq=7,
        attempts=attempts,
        created_at=MONDAY,
        next_attempt_at=MONDAY,
        state="pending",
    )

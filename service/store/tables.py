"""The SQL schema: the same on SQLite and PostgreSQL. Changing it takes a migration (service/store/migrations)."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
    text,
)


class Instant(TypeDecorator[datetime]):
    """An aware datetime in UTC. SQLite keeps no time zone, so it gets and gives naive UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"an instant needs a time zone, got {value.isoformat()}")
        at = value.astimezone(UTC)
        return at.replace(tzinfo=None) if dialect.name == "sqlite" else at

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _present(column: str) -> dict[str, Any]:
    """Makes an index of the rows that have something in *column*."""
    where = text(f"{column} IS NOT NULL")
    return {"sqlite_where": where, "postgresql_where": where}


# INTEGER makes a primary key SQLite's row id, which saves an index; elsewhere it would be too narrow.
_Seq = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    }
)

# `store_id` tells this store from others. `silences` counts their changes. `event_seq` holds the number of the last
# event: whoever changes alerts locks this row first and keeps it until the commit, so that events become visible in the
# order of their numbers, and two recorders cannot deadlock.
counters = Table(
    "counters",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

# `document` is the AlertRecord as JSON and the only truth; the columns beside it are for filters, order and sums.
alerts = Table(
    "alerts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("tenant", Text, nullable=False),
    Column("series", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("impact", Float(53), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("document", Text, nullable=False),
    Column("assigned_to", Text),
    Column("inhibited_by", Text),
    Column("acknowledged_until", Instant),
    Index(None, "seq", unique=True),
    Index(None, "state", "seq"),
    # Few alerts have any of these, and none is asked for those that have not.
    Index("ix_alerts_assigned_to", "assigned_to", "seq", **_present("assigned_to")),
    Index("ix_alerts_inhibited_by", "inhibited_by", **_present("inhibited_by")),
    Index("ix_alerts_acknowledged_until", "acknowledged_until", **_present("acknowledged_until")),
)

# Values are cut to LABEL_LENGTH, since an index entry of PostgreSQL has a limit; whoever searches cuts as well.
alert_labels = Table(
    "alert_labels",
    metadata,
    Column("alert_id", Text, ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Index(None, "name", "value"),
)
LABEL_LENGTH = 256

# `document` is the AlertRecord as it was after the event, without its history.
events = Table(
    "events",
    metadata,
    Column("seq", _Seq, primary_key=True, autoincrement=False),
    Column("alert_id", Text, ForeignKey("alerts.id", ondelete="CASCADE"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("type", String(16), nullable=False),
    Column("actor", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("document", Text, nullable=False),
    Index(None, "alert_id", "seq"),
)

# What each receiver knows of an alert (service/core/notices.py). The receiver "" is the dashboard.
notices = Table(
    "notices",
    metadata,
    Column("alert_id", Text, ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True),
    Column("receiver", Text, primary_key=True),
    Column("severity", String(16), nullable=False),
    Column("impact", Float(53), nullable=False),
    Column("told_at", Instant),
    Column("lead", Text),
    Column("ended", Boolean, nullable=False, server_default=false()),
    Index(None, "lead"),
)

# Alerts that somebody is to be told of for the first time, or again: who that is is decided at due_at
# (service/core/dispatch.py), so that what belongs together comes together. since: when it began to wait.
waiting = Table(
    "waiting",
    metadata,
    Column("alert_id", Text, ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True),
    Column("since", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Index(None, "due_at"),
)

# `document` is the Silence as JSON (service/core/silences.py) and the only truth.
silences = Table(
    "silences",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("until", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("document", Text, nullable=False),
    Index(None, "until"),
)

# The book of the alert budgets (service/core/budget.py). at: event time.
pages = Table(
    "pages",
    metadata,
    Column("label", Text, primary_key=True),
    Column("group_value", Text, primary_key=True),
    Column("alert_id", Text, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("held", Boolean, nullable=False),
    Column("impact", Float(53), nullable=False),
    Column("unit", Text, nullable=False),
    Column("series", Text, nullable=False),
    Index(None, "at"),
)

# Where a ticket stands on the other side, as far as we have heard (service/core/inbound.py). Times are by its clock.
# also: a name that only later events use.
remotes = Table(
    "remotes",
    metadata,
    Column("receiver", Text, primary_key=True),
    Column("alert_id", Text, ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True),
    Column("at", Instant),
    Column("is_over", Boolean),
    Column("assigned_at", Instant),
    Column("also", Text),
    Index(None, "receiver", "also"),
)

# What was heard, so that it is heard once; kept for longer than anything is heard that is old.
inbound_events = Table(
    "inbound_events",
    metadata,
    Column("receiver", Text, primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("heard_at", Instant, nullable=False),
    Index(None, "heard_at"),
)

_KNOWN = text("remote_id IS NOT NULL")
# What series cost per bucket (service/core/spend.py). day: the UTC day that `start` is in. (born, log_offset): the age
# of what is kept, of which the larger counts.
spend = Table(
    "spend",
    metadata,
    Column("series", Text, primary_key=True),
    Column("start", Instant, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("grain_seconds", Integer, nullable=False),
    Column("day", Instant, nullable=False),
    Column("amount", Float(53), nullable=False),
    Column("basis", String(16), nullable=False),
    Column("born", BigInteger, nullable=False),
    Column("log_offset", BigInteger, nullable=False),
    Index(None, "label", "metric", "day"),
    Index(None, "day"),
)

# When each digest is due next. schedule: what that was reckoned by; another one is reckoned anew.
digests = Table(
    "digests",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("schedule", Text, nullable=False),
    Column("next_due", Instant, nullable=False),
    Column("last_due", Instant),
)

# What is sent and is no alert: `document` is what it says as JSON, as all attempts send it: a Digest
# (service/digests/content.py), or where it is about the end of a silence an ExpiryWarning (service/digests/expiry.py).
# digest: empty of those.
letters = Table(
    "letters",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("value", Text),
    Column("due_at", Instant, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("document", Text, nullable=False),
    Column("silence", String(32)),
    Index(None, "created_at"),
)

_PENDING = text("state = 'pending'")
_OF_LETTERS = text("state = 'pending' AND letter_id IS NOT NULL")
_WITH_LETTER = text("letter_id IS NOT NULL")

# A message about an event of an alert, or about a letter. seq: number of the event; of a letter, that of the last
# event when it was written, which is its place among the others.

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("receiver", Text, nullable=False),
    Column("alert_id", Text, ForeignKey("alerts.id", ondelete="CASCADE")),
    Column("letter_id", String(64), ForeignKey("letters.id", ondelete="CASCADE")),
    Column("seq", _Seq, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("next_attempt_at", Instant, nullable=False),
    Column("leased_by", Text),
    Column("lease_until", Instant),
    Column("last_error", Text),
    Column("delivered_at", Instant),
    Column("remote_id", Text),
    # What the message is to its receiver where the event is something else: the first it hears of an alert opens it.
    Column("told_as", String(16)),
    Column("members", Text),
    Index(None, "alert_id", "seq"),
    Index(None, "receiver", "state"),
    # What is due for a receiver, and whether an older message of the same alert is still to be sent.
    Index("ix_deliveries_due", "receiver", "next_attempt_at", "seq", sqlite_where=_PENDING, postgresql_where=_PENDING),
    Index(
        "ix_deliveries_letters", "receiver", "next_attempt_at", sqlite_where=_OF_LETTERS, postgresql_where=_OF_LETTERS
    ),
    Index("ix_deliveries_letter_id", "letter_id", sqlite_where=_WITH_LETTER, postgresql_where=_WITH_LETTER),
    Index("ix_deliveries_head", "receiver", "alert_id", "seq", sqlite_where=_PENDING, postgresql_where=_PENDING),
    # Which alert a ticket is of.
    Index("ix_deliveries_remote", "receiver", "remote_id", sqlite_where=_KNOWN, postgresql_where=_KNOWN),
)

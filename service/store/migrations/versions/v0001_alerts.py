"""Alerts, their labels and events, what receivers were told, the outbox.

Written out instead of taken from tables.py: a migration says what was, not what is.
"""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_SEQ = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_PENDING = sa.text("state = 'pending'")


def upgrade() -> None:
    counters = op.create_table(
        "counters",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )
    op.bulk_insert(
        counters,
        [
            {"name": "event_seq", "value": 0},
            # Tells this store from another one that a cache may still know.
            {"name": "store_id", "value": secrets.randbits(60)},
        ],
    )

    op.create_table(
        "alerts",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("series", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("impact", sa.Float(53), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("updated_at", _INSTANT, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
    )
    op.create_index("ix_alerts_seq", "alerts", ["seq"], unique=True)
    op.create_index("ix_alerts_state_seq", "alerts", ["state", "seq"])

    op.create_table(
        "alert_labels",
        sa.Column("alert_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("alert_id", "name", name="pk_alert_labels"),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["alerts.id"], name="fk_alert_labels_alert_id_alerts", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_alert_labels_name_value", "alert_labels", ["name", "value"])

    op.create_table(
        "events",
        sa.Column("seq", _SEQ, autoincrement=False, nullable=False),
        sa.Column("alert_id", sa.Text, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_events"),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name="fk_events_alert_id_alerts", ondelete="CASCADE"),
    )
    op.create_index("ix_events_alert_id_seq", "events", ["alert_id", "seq"])

    op.create_table(
        "notices",
        sa.Column("alert_id", sa.Text, nullable=False),
        sa.Column("receiver", sa.Text, nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("impact", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("alert_id", "receiver", name="pk_notices"),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name="fk_notices_alert_id_alerts", ondelete="CASCADE"),
    )

    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("receiver", sa.Text, nullable=False),
        sa.Column("alert_id", sa.Text, nullable=False),
        sa.Column("seq", _SEQ, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("next_attempt_at", _INSTANT, nullable=False),
        sa.Column("leased_by", sa.Text),
        sa.Column("lease_until", _INSTANT),
        sa.Column("last_error", sa.Text),
        sa.Column("delivered_at", _INSTANT),
        sa.Column("remote_id", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name="fk_deliveries_alert_id_alerts", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["seq"], ["events.seq"], name="fk_deliveries_seq_events", ondelete="CASCADE"),
    )
    op.create_index("ix_deliveries_alert_id_seq", "deliveries", ["alert_id", "seq"])
    op.create_index("ix_deliveries_receiver_state", "deliveries", ["receiver", "state"])
    for name, columns in (
        ("ix_deliveries_due", ["receiver", "next_attempt_at", "seq"]),
        ("ix_deliveries_head", ["receiver", "alert_id", "seq"]),
    ):
        op.create_index(name, "deliveries", columns, sqlite_where=_PENDING, postgresql_where=_PENDING)

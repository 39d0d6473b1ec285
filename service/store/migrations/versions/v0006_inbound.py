"""What comes back from receivers: what was heard, where their tickets stand, and which alert a ticket is of."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_KNOWN = sa.text("remote_id IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "remotes",
        sa.Column("receiver", sa.Text, nullable=False),
        sa.Column("alert_id", sa.Text, nullable=False),
        sa.Column("at", _INSTANT),
        sa.Column("is_over", sa.Boolean),
        sa.Column("assigned_at", _INSTANT),
        sa.Column("also", sa.Text),
        sa.PrimaryKeyConstraint("receiver", "alert_id", name="pk_remotes"),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name="fk_remotes_alert_id_alerts", ondelete="CASCADE"),
    )
    op.create_index("ix_remotes_receiver_also", "remotes", ["receiver", "also"])
    op.create_table(
        "inbound_events",
        sa.Column("receiver", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("heard_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("receiver", "event_id", name="pk_inbound_events"),
    )
    op.create_index("ix_inbound_events_heard_at", "inbound_events", ["heard_at"])
    op.create_index(
        "ix_deliveries_remote",
        "deliveries",
        ["receiver", "remote_id"],
        sqlite_where=_KNOWN,
        postgresql_where=_KNOWN,
    )

"""Who waits to be told of, what receivers know of an alert, and what a message is to its receiver."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("notices", sa.Column("told_at", sa.DateTime(timezone=True)))
    op.add_column("notices", sa.Column("lead", sa.Text))
    op.add_column("notices", sa.Column("ended", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index("ix_notices_lead", "notices", ["lead"])
    op.add_column("deliveries", sa.Column("told_as", sa.String(16)))
    op.add_column("deliveries", sa.Column("members", sa.Text))
    op.create_table(
        "waiting",
        sa.Column("alert_id", sa.Text, sa.ForeignKey("alerts.id", ondelete="CASCADE"), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("alert_id", name="pk_waiting"),
    )
    op.create_index("ix_waiting_due_at", "waiting", ["due_at"])
    # What is over already was told so.
    op.execute(
        "UPDATE notices SET ended = TRUE WHERE alert_id IN"
        " (SELECT id FROM alerts WHERE state IN ('resolved', 'withdrawn', 'expected'))"
    )

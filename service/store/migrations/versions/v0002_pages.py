"""The book of the alert budgets: who was told of what, and what was held back."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pages",
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("group_value", sa.Text, nullable=False),
        sa.Column("alert_id", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("held", sa.Boolean, nullable=False),
        sa.Column("impact", sa.Float(53), nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("series", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("label", "group_value", "alert_id", name="pk_pages"),
    )
    op.create_index("ix_pages_at", "pages", ["at"])

"""What series cost, letters that are no alerts, and messages that are about one."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_OF_LETTERS = sa.text("state = 'pending' AND letter_id IS NOT NULL")
_WITH_LETTER = sa.text("letter_id IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "spend",
        sa.Column("series", sa.Text, nullable=False),
        sa.Column("start", _INSTANT, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("metric", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("grain_seconds", sa.Integer, nullable=False),
        sa.Column("day", _INSTANT, nullable=False),
        sa.Column("amount", sa.Float(53), nullable=False),
        sa.Column("basis", sa.String(16), nullable=False),
        sa.Column("born", sa.BigInteger, nullable=False),
        sa.Column("log_offset", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("series", "start", name="pk_spend"),
    )
    op.create_index("ix_spend_label_metric_day", "spend", ["label", "metric", "day"])
    op.create_index("ix_spend_day", "spend", ["day"])
    op.create_table(
        "digests",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("schedule", sa.Text, nullable=False),
        sa.Column("next_due", _INSTANT, nullable=False),
        sa.Column("last_due", _INSTANT),
        sa.PrimaryKeyConstraint("name", name="pk_digests"),
    )
    op.create_table(
        "letters",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("value", sa.Text),
        sa.Column("due_at", _INSTANT, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_letters"),
    )
    op.create_index("ix_letters_created_at", "letters", ["created_at"])
    # SQLite changes a column by writing the table anew, its partial indexes included.
    with op.batch_alter_table("deliveries") as deliveries:
        deliveries.add_column(sa.Column("letter_id", sa.String(64)))
        deliveries.alter_column("alert_id", existing_type=sa.Text, nullable=True)
        deliveries.drop_constraint("fk_deliveries_seq_events", type_="foreignkey")
        deliveries.create_foreign_key(
            "fk_deliveries_letter_id_letters", "letters", ["letter_id"], ["id"], ondelete="CASCADE"
        )
    for name, columns, where in (
        ("ix_deliveries_letters", ["receiver", "next_attempt_at"], _OF_LETTERS),
        ("ix_deliveries_letter_id", ["letter_id"], _WITH_LETTER),
    ):
        op.create_index(name, "deliveries", columns, sqlite_where=where, postgresql_where=where)

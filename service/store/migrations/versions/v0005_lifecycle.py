"""What listings and the timekeeper ask of the lifecycle of an alert."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, type_ in (
        ("assigned_to", sa.Text),
        ("inhibited_by", sa.Text),
        ("acknowledged_until", sa.DateTime(timezone=True)),
    ):
        op.add_column("alerts", sa.Column(name, type_, nullable=True))
    for name, columns in (
        ("assigned_to", ["assigned_to", "seq"]),
        ("inhibited_by", ["inhibited_by"]),
        ("acknowledged_until", ["acknowledged_until"]),
    ):
        where = sa.text(f"{name} IS NOT NULL")
        op.create_index(f"ix_alerts_{name}", "alerts", columns, sqlite_where=where, postgresql_where=where)

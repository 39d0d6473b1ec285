"""Letters about silences that end soon."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("letters", sa.Column("silence", sa.String(32)))

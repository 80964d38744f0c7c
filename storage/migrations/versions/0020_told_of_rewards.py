"""What of rewards and gifts the stories of people tell"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version; of what there is the job tells, as of its own days."""
    for table in ("redemption", "gift"):
        op.add_column(table, sa.Column("told", sa.String(10), server_default=sa.text("''"), nullable=False))
        untold = sa.text("told <> state")
        op.create_index(f"ix_{table}_untold", table, ["id"], postgresql_where=untold, sqlite_where=untold)

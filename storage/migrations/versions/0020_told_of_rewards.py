"""What of rewards and gifts the stories of people tell; of those there are nothing is told late"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""
    for table in ("redemption", "gift"):
        op.add_column(table, sa.Column("told", sa.String(10), server_default=sa.text("''"), nullable=False))
        op.execute(sa.text(f"UPDATE {table} SET told = state"))  # noqa: S608  # nosec B608  # our own two names
        untold = sa.text("told <> state")
        op.create_index(f"ix_{table}_untold", table, ["id"], postgresql_where=untold, sqlite_where=untold)

"""The programme of points: approvals, rewards, levels"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""
    _days()


def _days() -> None:
    op.create_table(
        "points_day",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("channel", sa.String(length=64), nullable=False),
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.Column("bucket", sa.String(length=12), nullable=False),
        sa.Column("opening", sa.BigInteger(), nullable=False),
        sa.Column("moves", sa.JSON(), nullable=False),
        sa.Column("closing", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "channel", "store", "bucket", name=op.f("pk_points_day")),
    )

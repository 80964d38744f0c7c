"""Points once for more: a person's own, for one order until a day"""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table(
        "points_boost",
        sa.Column("id", KEY, nullable=False),
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("factor", sa.Integer(), nullable=False),
        sa.Column("cap", sa.Integer(), nullable=False),
        sa.Column("from_at", UtcTime(timezone=True), nullable=False),
        sa.Column("to_at", UtcTime(timezone=True), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("used_at", UtcTime(timezone=True), nullable=True),
        sa.Column("used_by", sa.String(length=200), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["points_account.id"], name=op.f("fk_points_boost_account_id_points_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_points_boost")),
        sa.UniqueConstraint("key", name=op.f("uq_points_boost_key")),
    )
    where = sa.text("used_at IS NULL")
    op.create_index(
        "ix_points_boost_open", "points_boost", ["account_id", "to_at"], postgresql_where=where, sqlite_where=where
    )

"""Reminders of points: what was told before points end"""

import sqlalchemy as sa
from alembic import op

from storage import guards
from storage.database import UtcTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

DAYS = 7
"""What the rules ask where the shop has said nothing else; what is there already has to be told of too."""


def upgrade() -> None:
    """Bring the schema to this version."""
    op.add_column("points_lot_now", sa.Column("notice_days", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("points_lot_now", sa.Column("not_before", UtcTime(timezone=True), nullable=True))
    now = sa.func.strftime("%Y-%m-%d %H:%M:%S", "now") if op.get_bind().dialect.name == "sqlite" else sa.func.now()
    kept = sa.table("points_lot_now", sa.column("notice_days"), sa.column("expires_at"))
    op.execute(kept.update().where(kept.c.expires_at > now).values(notice_days=DAYS))
    op.create_table(
        "points_notice",
        sa.Column("lot_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("told_at", UtcTime(timezone=True), nullable=False),
        sa.Column("way", sa.String(length=10), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("ends_at", UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["points_account.id"], name=op.f("fk_points_notice_account_id_points_account")
        ),
        sa.ForeignKeyConstraint(["lot_id"], ["points_lot.id"], name=op.f("fk_points_notice_lot_id_points_lot")),
        sa.PrimaryKeyConstraint("lot_id", name=op.f("pk_points_notice")),
    )
    op.create_index(op.f("ix_points_notice_account_id"), "points_notice", ["account_id"])
    guards.append_only(op.get_bind(), "points_notice")

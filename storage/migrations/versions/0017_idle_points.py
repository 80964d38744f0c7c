"""Points that die of inactivity."""

import sqlalchemy as sa
from alembic import op

from storage import guards
from storage.database import UtcTime

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
IDLES = sa.text("idle_months IS NOT NULL")


def upgrade() -> None:
    """Bring the schema to this version."""
    false = sa.text("false")
    op.add_column("points_account", sa.Column("idles", sa.Boolean(), server_default=false, nullable=False))
    for table in ("points_lot", "points_lot_now", "old_balance"):
        op.add_column(table, sa.Column("idle_months", sa.Integer(), nullable=True))
    _index("ix_points_lot_idles", "points_lot", ["account_id"])
    _index("ix_points_lot_now_idles", "points_lot_now", ["account_id", "idle_months"])
    op.create_table(
        "points_renewal",
        sa.Column("txn_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", KEY, autoincrement=False, nullable=False),
        sa.Column("idle_months", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ends_at", UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["points_account.id"], name=op.f("fk_points_renewal_account_id_points_account")
        ),
        sa.ForeignKeyConstraint(["txn_id"], ["points_txn.id"], name=op.f("fk_points_renewal_txn_id_points_txn")),
        sa.PrimaryKeyConstraint("txn_id", "account_id", "idle_months", name=op.f("pk_points_renewal")),
    )
    op.create_index("ix_points_renewal_account", "points_renewal", ["account_id", "idle_months", "ends_at"])
    guards.append_only(op.get_bind(), "points_renewal")
    _notices()


def _index(name: str, table: str, columns: list[str]) -> None:
    op.create_index(name, table, columns, postgresql_where=IDLES, sqlite_where=IDLES)


def _notices() -> None:
    """A notice is of one end of a lot, which may move: its key takes the end in. No end has moved so far."""
    op.execute("CREATE TABLE points_notice_before AS SELECT * FROM points_notice")
    op.drop_table("points_notice")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION points_notice_is_append_only()")
    op.create_table(
        "points_notice",
        sa.Column("lot_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("expires_at", UtcTime(timezone=True), nullable=False),
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("told_at", UtcTime(timezone=True), nullable=False),
        sa.Column("way", sa.String(length=10), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("ends_at", UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["points_account.id"], name=op.f("fk_points_notice_account_id_points_account")
        ),
        sa.ForeignKeyConstraint(["lot_id"], ["points_lot.id"], name=op.f("fk_points_notice_lot_id_points_lot")),
        sa.PrimaryKeyConstraint("lot_id", "expires_at", name=op.f("pk_points_notice")),
    )
    op.create_index(op.f("ix_points_notice_account_id"), "points_notice", ["account_id"])
    op.execute(
        "INSERT INTO points_notice (lot_id, expires_at, account_id, told_at, way, source, points, ends_at) "
        "SELECT b.lot_id, lot.expires_at, b.account_id, b.told_at, b.way, b.source, b.points, b.ends_at "
        "FROM points_notice_before b JOIN points_lot lot ON lot.id = b.lot_id"
    )
    op.drop_table("points_notice_before")
    guards.append_only(op.get_bind(), "points_notice")

"""The programme of points: approvals, rewards, levels"""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the schema to this version."""
    _approvals()
    op.create_table(
        "tier_change",
        sa.Column("id", KEY, nullable=False),
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("why", sa.String(length=10), nullable=False),
        sa.Column("before", sa.String(length=20), nullable=False),
        sa.Column("after", sa.String(length=20), nullable=False),
        sa.Column("until_before", sa.Date(), nullable=True),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.BigInteger(), nullable=True),
        sa.Column("at", UtcTime(timezone=True), nullable=False),
        sa.Column("recorded_at", UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["points_account.id"], name=op.f("fk_tier_change_account_id_points_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tier_change")),
    )
    op.create_index("ix_tier_change_account", "tier_change", ["account_id", "at", "id"], unique=False)
    _days()


def _approvals() -> None:
    op.create_table(
        "approval",
        sa.Column("id", KEY, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("grade", sa.Integer(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("payload_hash", sa.String(length=64), nullable=False),
        sa.Column("preview", sa.JSON(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("account_id", KEY, nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("made_by", sa.String(length=100), nullable=False),
        sa.Column("hand", sa.String(length=100), nullable=False),
        sa.Column("once", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("boss", sa.Boolean(), nullable=False),
        sa.Column("short", sa.Boolean(), nullable=False),
        sa.Column("made_at", UtcTime(timezone=True), nullable=False),
        sa.Column("expires_at", UtcTime(timezone=True), nullable=False),
        sa.Column("due_at", UtcTime(timezone=True), nullable=True),
        sa.Column("ended_at", UtcTime(timezone=True), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("told", sa.String(length=12), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval")),
        sa.UniqueConstraint("once", name=op.f("uq_approval_once")),
    )
    op.create_index("ix_approval_hand", "approval", ["hand", "made_at"], unique=False)
    goes_on = sa.text("state IN ('waiting', 'approved', 'running')")
    op.create_index(
        "ix_approval_open", "approval", ["state", "id"], unique=False, sqlite_where=goes_on, postgresql_where=goes_on
    )
    untold = sa.text("told <> state")
    op.create_index("ix_approval_untold", "approval", ["id"], sqlite_where=untold, postgresql_where=untold)
    op.create_table(
        "approval_word",
        sa.Column("id", KEY, nullable=False),
        sa.Column("approval_id", KEY, nullable=False),
        sa.Column("said_by", sa.String(length=100), nullable=False),
        sa.Column("hand", sa.String(length=100), nullable=False),
        sa.Column("boss", sa.Boolean(), nullable=False),
        sa.Column("yes", sa.Boolean(), nullable=False),
        sa.Column("payload_hash", sa.String(length=64), nullable=False),
        sa.Column("at", UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["approval_id"], ["approval.id"], name=op.f("fk_approval_word_approval_id_approval")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_word")),
        sa.UniqueConstraint("approval_id", "hand", name=op.f("uq_approval_word_approval_id_hand")),
    )
    op.create_table(
        "approval_line",
        sa.Column("approval_id", KEY, autoincrement=False, nullable=False),
        sa.Column("account_id", KEY, autoincrement=False, nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("txn_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["approval_id"], ["approval.id"], name=op.f("fk_approval_line_approval_id_approval")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["points_account.id"], name=op.f("fk_approval_line_account_id_points_account")
        ),
        sa.PrimaryKeyConstraint("approval_id", "account_id", name=op.f("pk_approval_line")),
    )
    op.create_index(
        "ix_approval_line_state", "approval_line", ["approval_id", "state", "account_id"], unique=False
    )


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

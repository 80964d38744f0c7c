"""Rewards: a catalogue, what was redeemed, gifts of points between people, points put together"""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table(
        "reward",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("stock", sa.Integer(), nullable=True),
        sa.Column("per_person", sa.Integer(), nullable=True),
        sa.Column("per_day", sa.Integer(), nullable=True),
        sa.Column("stores", sa.JSON(), nullable=False),
        sa.Column("from_at", UtcTime(timezone=True), nullable=True),
        sa.Column("to_at", UtcTime(timezone=True), nullable=True),
        sa.Column("level", sa.String(length=20), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("cause", sa.String(length=60), nullable=False),
        sa.Column("worth", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("made_by", sa.String(length=100), nullable=False),
        sa.Column("made_at", UtcTime(timezone=True), nullable=False),
        sa.CheckConstraint("stock >= 0", name="ck_reward_stock"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reward")),
    )
    op.create_table(
        "settlement",
        sa.Column("id", KEY, nullable=False),
        sa.Column("cause", sa.String(length=60), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.Column("certificate", sa.String(length=60), nullable=False),
        sa.Column("made_by", sa.String(length=100), nullable=False),
        sa.Column("made_at", UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settlement")),
    )
    op.create_table(
        "group_buy",
        sa.Column("id", KEY, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("reward_id", KEY, nullable=False),
        sa.Column("seats", sa.Integer(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("made_by", sa.String(length=100), nullable=False),
        sa.Column("made_at", UtcTime(timezone=True), nullable=False),
        sa.Column("deadline", UtcTime(timezone=True), nullable=False),
        sa.Column("ended_at", UtcTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["reward_id"], ["reward.id"], name=op.f("fk_group_buy_reward_id_reward")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_group_buy")),
        sa.UniqueConstraint("key", name=op.f("uq_group_buy_key")),
    )
    op.create_index(
        "ix_group_buy_due",
        "group_buy",
        ["deadline"],
        unique=False,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "gift",
        sa.Column("id", KEY, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("sender_id", KEY, nullable=False),
        sa.Column("receiver_id", KEY, nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("hold_id", sa.BigInteger(), nullable=True),
        sa.Column("txn_id", sa.BigInteger(), nullable=True),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("made_by", sa.String(length=100), nullable=False),
        sa.Column("made_at", UtcTime(timezone=True), nullable=False),
        sa.Column("until", UtcTime(timezone=True), nullable=False),
        sa.Column("ended_at", UtcTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["receiver_id"], ["points_account.id"], name=op.f("fk_gift_receiver_id_points_account")
        ),
        sa.ForeignKeyConstraint(["sender_id"], ["points_account.id"], name=op.f("fk_gift_sender_id_points_account")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gift")),
        sa.UniqueConstraint("key", name=op.f("uq_gift_key")),
    )
    op.create_index(
        "ix_gift_due",
        "gift",
        ["until"],
        unique=False,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_gift_receiver", "gift", ["receiver_id"], unique=False)
    op.create_index("ix_gift_sender", "gift", ["sender_id", "day"], unique=False)
    op.create_table(
        "redemption",
        sa.Column("id", KEY, nullable=False),
        sa.Column("reward_id", KEY, nullable=False),
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("code", sa.String(length=8), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("worth", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("hold_id", sa.BigInteger(), nullable=True),
        sa.Column("txn_id", sa.BigInteger(), nullable=True),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("made_by", sa.String(length=100), nullable=False),
        sa.Column("made_at", UtcTime(timezone=True), nullable=False),
        sa.Column("until", UtcTime(timezone=True), nullable=False),
        sa.Column("ended_at", UtcTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.String(length=100), nullable=False),
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.Column("confirmed", sa.String(length=64), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("settlement_id", KEY, nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["points_account.id"], name=op.f("fk_redemption_account_id_points_account")
        ),
        sa.ForeignKeyConstraint(["reward_id"], ["reward.id"], name=op.f("fk_redemption_reward_id_reward")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_redemption")),
        sa.UniqueConstraint("code", name=op.f("uq_redemption_code")),
        sa.UniqueConstraint("key", name=op.f("uq_redemption_key")),
    )
    op.create_index(op.f("ix_redemption_account_id"), "redemption", ["account_id"], unique=False)
    op.create_index(
        "ix_redemption_due",
        "redemption",
        ["until"],
        unique=False,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_redemption_reward", "redemption", ["reward_id", "day"], unique=False)
    op.create_index("ix_redemption_settlement", "redemption", ["settlement_id"], unique=False)
    op.create_table(
        "group_seat",
        sa.Column("id", KEY, nullable=False),
        sa.Column("group_id", KEY, nullable=False),
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("hold_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("redemption_id", KEY, nullable=True),
        sa.Column("made_at", UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["points_account.id"], name=op.f("fk_group_seat_account_id_points_account")
        ),
        sa.ForeignKeyConstraint(["group_id"], ["group_buy.id"], name=op.f("fk_group_seat_group_id_group_buy")),
        sa.ForeignKeyConstraint(
            ["redemption_id"], ["redemption.id"], name=op.f("fk_group_seat_redemption_id_redemption")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_group_seat")),
    )
    op.create_index(op.f("ix_group_seat_account_id"), "group_seat", ["account_id"], unique=False)
    op.create_index("ix_group_seat_group", "group_seat", ["group_id", "state"], unique=False)
    op.create_index(
        "uq_group_seat_account",
        "group_seat",
        ["group_id", "account_id"],
        unique=True,
        sqlite_where=sa.text("state <> 'released'"),
        postgresql_where=sa.text("state <> 'released'"),
    )
    op.create_table(
        "reward_code",
        sa.Column("id", KEY, nullable=False),
        sa.Column("reward_id", KEY, nullable=False),
        sa.Column("value", sa.String(length=60), nullable=False),
        sa.Column("redemption_id", KEY, nullable=True),
        sa.Column("added_at", UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["redemption_id"], ["redemption.id"], name=op.f("fk_reward_code_redemption_id_redemption")
        ),
        sa.ForeignKeyConstraint(["reward_id"], ["reward.id"], name=op.f("fk_reward_code_reward_id_reward")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reward_code")),
        sa.UniqueConstraint("redemption_id", name=op.f("uq_reward_code_redemption_id")),
        sa.UniqueConstraint("reward_id", "value", name=op.f("uq_reward_code_reward_id_value")),
    )
    op.create_index(
        "ix_reward_code_free",
        "reward_code",
        ["reward_id", "id"],
        unique=False,
        sqlite_where=sa.text("redemption_id IS NULL"),
        postgresql_where=sa.text("redemption_id IS NULL"),
    )

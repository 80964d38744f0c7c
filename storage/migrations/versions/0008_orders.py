"""Orders: what people bought and what came back, and what was earned by it"""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table(
        "order_source",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("first_at", UtcTime(timezone=True), nullable=False),
        sa.Column("last_at", UtcTime(timezone=True), nullable=False),
        sa.Column("last_paid_at", UtcTime(timezone=True), nullable=True),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.Column("quiet_since", UtcTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_order_source")),
    )
    op.create_table(
        "points_campaign",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("from_at", UtcTime(timezone=True), nullable=False),
        sa.Column("to_at", UtcTime(timezone=True), nullable=False),
        sa.Column("audience", sa.JSON(), nullable=False),
        sa.Column("multiplier", sa.Integer(), nullable=False),
        sa.Column("stacks", sa.Boolean(), nullable=False),
        sa.Column("cap", sa.Integer(), nullable=True),
        sa.Column("budget", sa.Integer(), nullable=True),
        sa.Column("gives_back", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("paused_at", UtcTime(timezone=True), nullable=True),
        sa.Column("made_by", sa.String(length=100), nullable=False),
        sa.Column("made_at", UtcTime(timezone=True), nullable=False),
        sa.Column("approval_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_points_campaign")),
    )
    op.create_index("ix_points_campaign_state", "points_campaign", ["state", "from_at"], unique=False)
    op.create_table(
        "points_counter",
        sa.Column("key", sa.String(length=100), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_points_counter")),
    )
    op.create_table(
        "points_rules",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("valid_from", UtcTime(timezone=True), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("made_by", sa.String(length=100), nullable=False),
        sa.Column("made_at", UtcTime(timezone=True), nullable=False),
        sa.Column("approval_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_points_rules")),
    )
    op.create_index("ix_points_rules_valid", "points_rules", ["valid_from", "version"], unique=False)
    op.create_table(
        "shop_order",
        sa.Column("id", KEY, nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("order_no", sa.String(length=100), nullable=False),
        sa.Column("person_id", KEY, nullable=True),
        sa.Column("anchor_id", sa.BigInteger(), nullable=True),
        sa.Column("identity_type", sa.String(length=40), nullable=True),
        sa.Column("identity_value", sa.String(length=200), nullable=True),
        sa.Column("paid_at", UtcTime(timezone=True), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("refunded", sa.Integer(), nullable=False),
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.Column("staff", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("received_at", UtcTime(timezone=True), nullable=False),
        sa.Column("claimed_by", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_shop_order_person_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shop_order")),
        sa.UniqueConstraint("source", "order_no", name=op.f("uq_shop_order_source_order_no")),
    )
    op.create_index("ix_shop_order_no", "shop_order", ["order_no"], unique=False)
    op.create_index("ix_shop_order_paid", "shop_order", ["paid_at", "id"], unique=False)
    op.create_index("ix_shop_order_person", "shop_order", ["person_id", "paid_at"], unique=False)
    op.create_index("ix_shop_order_store", "shop_order", ["store", "paid_at"], unique=False)
    op.create_table(
        "order_line",
        sa.Column("order_id", KEY, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sku", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("category", sa.String(length=64), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["shop_order.id"], name=op.f("fk_order_line_order_id_shop_order")),
        sa.PrimaryKeyConstraint("order_id", "number", name=op.f("pk_order_line")),
    )
    op.create_table(
        "refund",
        sa.Column("id", KEY, nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("refund_no", sa.String(length=100), nullable=False),
        sa.Column("order_no", sa.String(length=100), nullable=True),
        sa.Column("order_id", KEY, nullable=True),
        sa.Column("person_id", KEY, nullable=True),
        sa.Column("anchor_id", sa.BigInteger(), nullable=True),
        sa.Column("identity_type", sa.String(length=40), nullable=True),
        sa.Column("identity_value", sa.String(length=200), nullable=True),
        sa.Column("refunded_at", UtcTime(timezone=True), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("received_at", UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["shop_order.id"], name=op.f("fk_refund_order_id_shop_order")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_refund_person_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund")),
        sa.UniqueConstraint("source", "refund_no", name=op.f("uq_refund_source_refund_no")),
    )
    op.create_index(op.f("ix_refund_order_id"), "refund", ["order_id"], unique=False)
    op.create_index(op.f("ix_refund_person_id"), "refund", ["person_id"], unique=False)
    op.create_index(
        "ix_refund_undone",
        "refund",
        ["source", "order_no"],
        unique=False,
        sqlite_where=sa.text("state <> 'done'"),
        postgresql_where=sa.text("state <> 'done'"),
    )

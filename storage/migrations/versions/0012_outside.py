"""What leaves and what comes in: webhooks, inbound doors, points of an older system"""

import sqlalchemy as sa
from alembic import op

from storage import notices
from storage.database import UtcTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table(
        "inbound_door",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("secret_before", sa.LargeBinary(), nullable=True),
        sa.Column("before_until", UtcTime(timezone=True), nullable=True),
        sa.Column("template", sa.JSON(), nullable=False),
        sa.Column("shut_at", UtcTime(timezone=True), nullable=True),
        sa.Column("heard_at", UtcTime(timezone=True), nullable=True),
        sa.Column("trouble", sa.String(length=200), nullable=False),
        sa.Column("made_at", UtcTime(timezone=True), nullable=False),
        sa.Column("made_by", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound_door")),
        sa.UniqueConstraint("name", name=op.f("uq_inbound_door_name")),
    )
    op.create_table(
        "webhook",
        sa.Column("id", KEY, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("secret_before", sa.LargeBinary(), nullable=True),
        sa.Column("before_until", UtcTime(timezone=True), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("why", sa.String(length=200), nullable=False),
        sa.Column("fails", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcTime(timezone=True), nullable=True),
        sa.Column("taken_at", UtcTime(timezone=True), nullable=True),
        sa.Column("made_at", UtcTime(timezone=True), nullable=False),
        sa.Column("made_by", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook")),
    )
    op.create_table(
        "inbound_seen",
        sa.Column("door_id", KEY, autoincrement=False, nullable=False),
        sa.Column("message", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("at", UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["door_id"], ["inbound_door.id"], name=op.f("fk_inbound_seen_door_id_inbound_door")),
        sa.PrimaryKeyConstraint("door_id", "message", name=op.f("pk_inbound_seen")),
    )
    op.create_index("ix_inbound_seen_at", "inbound_seen", ["at"], unique=False)
    op.create_table(
        "webhook_message",
        sa.Column("id", KEY, nullable=False),
        sa.Column("webhook_id", KEY, nullable=False),
        sa.Column("event", sa.String(length=40), nullable=False),
        sa.Column("fact", sa.String(length=40), nullable=False),
        sa.Column("row_id", sa.BigInteger(), nullable=False),
        sa.Column("part", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcTime(timezone=True), nullable=True),
        sa.Column("tried_at", UtcTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_message")),
        sa.UniqueConstraint(
            "webhook_id", "fact", "row_id", "part", name=op.f("uq_webhook_message_webhook_id_fact_row_id_part")
        ),
    )
    op.create_index("ix_webhook_message_log", "webhook_message", ["webhook_id", "id"], unique=False)
    op.create_index("ix_webhook_message_tried", "webhook_message", ["tried_at"], unique=False)
    op.create_index(
        "ix_webhook_message_waiting",
        "webhook_message",
        ["webhook_id", "subject", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "webhook_wish",
        sa.Column("webhook_id", KEY, autoincrement=False, nullable=False),
        sa.Column("fact", sa.String(length=40), nullable=False),
        sa.Column("event", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["webhook_id"], ["webhook.id"], name=op.f("fk_webhook_wish_webhook_id_webhook")),
        sa.PrimaryKeyConstraint("webhook_id", "fact", name=op.f("pk_webhook_wish")),
    )
    op.create_index("ix_webhook_wish_fact", "webhook_wish", ["fact"], unique=False)
    op.create_table(
        "old_balance",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("account_id", KEY, autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("expires_at", UtcTime(timezone=True), nullable=True),
        sa.Column("origin", sa.String(length=12), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["points_account.id"], name=op.f("fk_old_balance_account_id_points_account")
        ),
        sa.PrimaryKeyConstraint("day", "account_id", "number", name=op.f("pk_old_balance")),
    )
    op.create_index("ix_old_balance_account", "old_balance", ["account_id", "day"], unique=False)
    notices.install(op.get_bind())

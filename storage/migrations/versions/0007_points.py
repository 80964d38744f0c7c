"""Points: the books, what they come to, and their seals"""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ADDED_TO = ("points_txn", "points_lot", "points_entry", "points_seal", "points_sealed")
"""Tables of which the database lets no row be changed or deleted."""


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table(
        "points_seal",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("made_at", UtcTime(timezone=True), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("hash_before", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_points_seal")),
    )
    op.create_table(
        "points_txn",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("effective_at", UtcTime(timezone=True), nullable=False),
        sa.Column("recorded_at", UtcTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("reverses", sa.BigInteger(), nullable=True),
        sa.Column("rule_version", sa.Integer(), nullable=True),
        sa.Column("approval_id", sa.BigInteger(), nullable=True),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_points_txn")),
        sa.UniqueConstraint("key", name=op.f("uq_points_txn_key")),
    )
    op.create_index("ix_points_txn_recorded", "points_txn", ["recorded_at"], unique=False)
    op.create_index("ix_points_txn_reverses", "points_txn", ["reverses"], unique=False)
    op.create_index("ix_points_txn_source", "points_txn", ["source", "kind"], unique=False)
    op.create_table(
        "points_account",
        sa.Column("id", KEY, nullable=False),
        sa.Column("person_id", KEY, nullable=True),
        sa.Column("name", sa.String(length=60), nullable=True),
        sa.Column("pending", sa.Integer(), nullable=False),
        sa.Column("available", sa.Integer(), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("debt", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("made_at", UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_points_account_person_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_points_account")),
        sa.UniqueConstraint("name", name=op.f("uq_points_account_name")),
        sa.UniqueConstraint("person_id", name=op.f("uq_points_account_person_id")),
    )
    op.create_table(
        "points_sealed",
        sa.Column("txn_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seal", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["seal"], ["points_seal.number"], name=op.f("fk_points_sealed_seal_points_seal")),
        sa.ForeignKeyConstraint(["txn_id"], ["points_txn.id"], name=op.f("fk_points_sealed_txn_id_points_txn")),
        sa.PrimaryKeyConstraint("txn_id", name=op.f("pk_points_sealed")),
    )
    op.create_index(op.f("ix_points_sealed_seal"), "points_sealed", ["seal"], unique=False)
    op.create_table(
        "points_hold",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(length=60), nullable=False),
        sa.Column("deadline", UtcTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("settled_by", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["points_account.id"], name=op.f("fk_points_hold_account_id_points_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_points_hold")),
    )
    op.create_index("ix_points_hold_account", "points_hold", ["account_id", "state"], unique=False)
    op.create_index(
        "ix_points_hold_due",
        "points_hold",
        ["deadline"],
        unique=False,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "points_lot",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("txn_id", sa.BigInteger(), nullable=False),
        sa.Column("issued", sa.Integer(), nullable=False),
        sa.Column("activates_at", UtcTime(timezone=True), nullable=False),
        sa.Column("expires_at", UtcTime(timezone=True), nullable=True),
        sa.Column("origin", sa.String(length=12), nullable=False),
        sa.Column("origin_lot", sa.BigInteger(), nullable=True),
        sa.Column("channel", sa.String(length=64), nullable=False),
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.Column("campaign", sa.String(length=64), nullable=False),
        sa.Column("jurisdiction", sa.String(length=10), nullable=False),
        sa.Column("uses", sa.JSON(), nullable=False),
        sa.Column("qualifies", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["points_account.id"], name=op.f("fk_points_lot_account_id_points_account")
        ),
        sa.ForeignKeyConstraint(["txn_id"], ["points_txn.id"], name=op.f("fk_points_lot_txn_id_points_txn")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_points_lot")),
    )
    op.create_index("ix_points_lot_account", "points_lot", ["account_id", "id"], unique=False)
    op.create_index("ix_points_lot_origin", "points_lot", ["origin_lot"], unique=False)
    op.create_index(op.f("ix_points_lot_txn_id"), "points_lot", ["txn_id"], unique=False)
    op.create_table(
        "points_entry",
        sa.Column("txn_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("lot_id", sa.BigInteger(), nullable=False),
        sa.Column("bucket", sa.String(length=12), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["points_account.id"], name=op.f("fk_points_entry_account_id_points_account")
        ),
        sa.ForeignKeyConstraint(["lot_id"], ["points_lot.id"], name=op.f("fk_points_entry_lot_id_points_lot")),
        sa.ForeignKeyConstraint(["txn_id"], ["points_txn.id"], name=op.f("fk_points_entry_txn_id_points_txn")),
        sa.PrimaryKeyConstraint("txn_id", "number", name=op.f("pk_points_entry")),
    )
    op.create_index("ix_points_entry_account", "points_entry", ["account_id", "txn_id"], unique=False)
    op.create_index(op.f("ix_points_entry_lot_id"), "points_entry", ["lot_id"], unique=False)
    op.create_table(
        "points_lot_now",
        sa.Column("lot_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("pending", sa.Integer(), nullable=False),
        sa.Column("available", sa.Integer(), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("activates_at", UtcTime(timezone=True), nullable=False),
        sa.Column("expires_at", UtcTime(timezone=True), nullable=True),
        sa.Column("uses", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["lot_id"], ["points_lot.id"], name=op.f("fk_points_lot_now_lot_id_points_lot")),
        sa.PrimaryKeyConstraint("lot_id", name=op.f("pk_points_lot_now")),
    )
    op.create_index(
        "ix_points_lot_now_account",
        "points_lot_now",
        ["account_id", "expires_at"],
        unique=False,
        sqlite_where=sa.text("pending + available > 0"),
        postgresql_where=sa.text("pending + available > 0"),
    )
    op.create_index(
        "ix_points_lot_now_activates",
        "points_lot_now",
        ["activates_at", "lot_id"],
        unique=False,
        sqlite_where=sa.text("pending > 0"),
        postgresql_where=sa.text("pending > 0"),
    )
    op.create_index(
        "ix_points_lot_now_expires",
        "points_lot_now",
        ["expires_at", "lot_id"],
        unique=False,
        sqlite_where=sa.text("pending + available > 0"),
        postgresql_where=sa.text("pending + available > 0"),
    )
    for table in ADDED_TO:
        _only_added_to(table)


def _only_added_to(table: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        for what in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{what.lower()} BEFORE {what} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is only added to'); END"
            )
        return
    op.execute(
        "CREATE OR REPLACE FUNCTION only_added_to() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN RAISE EXCEPTION '% is only added to', TG_TABLE_NAME; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_stays BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION only_added_to()"
    )
    op.execute(
        f"CREATE TRIGGER {table}_whole BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION only_added_to()"
    )

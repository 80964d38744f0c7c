"""Identities: who is one person, by what evidence, and what keeps two apart"""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LISTED = (
    ("ix_person_last_seen", ["last_seen_at", "id"]),
    ("ix_person_owner", ["owner"]),
    ("ix_person_name", ["name"]),
    ("ix_person_phone", ["phone"]),
    ("ix_person_birthday", ["birthday", "id"]),
    ("ix_person_life_cycle", ["life_cycle", "id"]),
    ("ix_person_region", ["province", "city"]),
)
"""The indexes by which people are listed: from now on without those for whom somebody else speaks."""
FOLLOWING = (
    "identity",
    "interaction",
    "tag_ground",
    "rule_hit",
    "segment_member",
    "journey_inside",
    "enrolment",
    "webhook_call",
    "touch",
    "rep_card",
    "tracked_link",
    "link_open",
    "task",
    "bulk_row",
)
"""Tables whose rows remember whose they were before a merge."""


def upgrade() -> None:
    """Bring the schema to this version."""
    for table in FOLLOWING:
        op.add_column(table, sa.Column("anchor_id", KEY, nullable=True))
    op.add_column("person", sa.Column("merged_into", KEY, nullable=True))
    op.add_column("person", sa.Column("own", sa.JSON(), nullable=True))
    _index("ix_person_merged_into", "person", ["merged_into"], "merged_into IS NOT NULL")
    for name, columns in LISTED:
        op.drop_index(name, "person")
        _index(name, "person", columns, "merged_into IS NULL")
    _evidence()
    _verdict()
    _block()
    _review()
    op.execute(
        "INSERT INTO evidence (anchor_id, type, value, source, verified, home, first_seen_at, seen_at) "
        "SELECT person_id, type, value, source, verified, type = 'external_userid', added_at, added_at FROM identity"
    )


def _index(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=unique, postgresql_where=condition, sqlite_where=condition)


def _evidence() -> None:
    op.create_table(
        "evidence",
        sa.Column("id", KEY, nullable=False),
        sa.Column("anchor_id", KEY, nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.Column("source", sa.String(length=80), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("home", sa.Boolean(), nullable=False),
        sa.Column("first_seen_at", UtcTime(timezone=True), nullable=False),
        sa.Column("seen_at", UtcTime(timezone=True), nullable=False),
        sa.Column("released_at", UtcTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["anchor_id"], ["person.id"], name=op.f("fk_evidence_anchor_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence")),
        sa.UniqueConstraint(
            "type", "value", "anchor_id", "source", name=op.f("uq_evidence_type_value_anchor_id_source")
        ),
    )
    op.create_index(op.f("ix_evidence_anchor_id"), "evidence", ["anchor_id"], unique=False)
    _index("uq_evidence_home", "evidence", ["type", "value", "verified"], "home AND released_at IS NULL", unique=True)


def _verdict() -> None:
    op.create_table(
        "identity_verdict",
        sa.Column("id", KEY, nullable=False),
        sa.Column("a", KEY, nullable=False),
        sa.Column("b", KEY, nullable=False),
        sa.Column("same", sa.Boolean(), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("why", sa.String(length=200), nullable=False),
        sa.Column("at", UtcTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", UtcTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["a"], ["person.id"], name=op.f("fk_identity_verdict_a_person")),
        sa.ForeignKeyConstraint(["b"], ["person.id"], name=op.f("fk_identity_verdict_b_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_verdict")),
    )
    op.create_index(op.f("ix_identity_verdict_a"), "identity_verdict", ["a"], unique=False)
    op.create_index(op.f("ix_identity_verdict_b"), "identity_verdict", ["b"], unique=False)


def _block() -> None:
    op.create_table(
        "identity_block",
        sa.Column("id", KEY, nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("why", sa.String(length=200), nullable=False),
        sa.Column("at", UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_block")),
        sa.UniqueConstraint("type", "value", name=op.f("uq_identity_block_type_value")),
    )


def _review() -> None:
    op.create_table(
        "identity_review",
        sa.Column("id", KEY, nullable=False),
        sa.Column("a", KEY, nullable=False),
        sa.Column("b", KEY, nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("why", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("made_by", sa.String(length=100), nullable=False),
        sa.Column("made_at", UtcTime(timezone=True), nullable=False),
        sa.Column("asked_by", sa.String(length=100), nullable=True),
        sa.Column("asked_at", UtcTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.String(length=100), nullable=True),
        sa.Column("decided_at", UtcTime(timezone=True), nullable=True),
        sa.Column("said", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["a"], ["person.id"], name=op.f("fk_identity_review_a_person")),
        sa.ForeignKeyConstraint(["b"], ["person.id"], name=op.f("fk_identity_review_b_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_review")),
    )
    op.create_index(op.f("ix_identity_review_a"), "identity_review", ["a"], unique=False)
    op.create_index(op.f("ix_identity_review_b"), "identity_review", ["b"], unique=False)
    op.create_index("ix_identity_review_state", "identity_review", ["state", "id"], unique=False)
    _index("uq_identity_review_waits", "identity_review", ["a", "b"], "state IN ('open', 'asked')", unique=True)

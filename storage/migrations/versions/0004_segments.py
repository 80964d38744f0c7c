"""Segments, the life cycle, and the indexes by which people are counted"""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
REGION_DUE = sa.text("coalesce(phone, '') <> coalesce(region_of, '')")


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table(
        "segment",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("filter", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=True),
        sa.Column("size_at", UtcTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.String(length=100), nullable=False),
        sa.Column("created_at", UtcTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.String(length=100), nullable=False),
        sa.Column("changed_at", UtcTime(timezone=True), nullable=False),
        sa.Column("deleted_at", UtcTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segment")),
    )
    op.create_table(
        "segment_member",
        sa.Column("segment_id", KEY, nullable=False),
        sa.Column("person_id", KEY, nullable=False),
        sa.ForeignKeyConstraint(
            ["segment_id"], ["segment.id"], name=op.f("fk_segment_member_segment_id_segment")
        ),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_segment_member_person_id_person")),
        sa.PrimaryKeyConstraint("segment_id", "person_id", name=op.f("pk_segment_member")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_segment_member_person_id"), "segment_member", ["person_id"])
    op.create_table(
        "lifecycle_change",
        sa.Column("id", KEY, nullable=False),
        sa.Column("person_id", KEY, nullable=False),
        sa.Column("before", sa.String(length=10), nullable=True),
        sa.Column("after", sa.String(length=10), nullable=False),
        sa.Column("at", UtcTime(timezone=True), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_lifecycle_change_person_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lifecycle_change")),
    )
    op.create_index("ix_lifecycle_change_person", "lifecycle_change", ["person_id", "id"])
    moved = sa.text("before IS NOT NULL")
    op.create_index(
        "ix_lifecycle_change_moved", "lifecycle_change", ["id"], postgresql_where=moved, sqlite_where=moved
    )
    op.create_table(
        "setting",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("changed_by", sa.String(length=100), nullable=False),
        sa.Column("changed_at", UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_setting")),
    )
    for column in (
        sa.Column("province", sa.String(length=30), nullable=True),
        sa.Column("city", sa.String(length=30), nullable=True),
        sa.Column("region_of", sa.String(length=40), nullable=True),
        sa.Column("life_cycle", sa.String(length=10), nullable=True),
    ):
        op.add_column("person", column)
    op.create_index("ix_person_life_cycle", "person", ["life_cycle", "id"])
    op.create_index("ix_person_region", "person", ["province", "city"])
    op.create_index("ix_person_region_due", "person", ["id"], postgresql_where=REGION_DUE, sqlite_where=REGION_DUE)
    op.create_index("ix_relation_state", "relation", ["state", "person_id"])
    op.create_index("ix_interaction_person_kind", "interaction", ["person_id", "kind", "at"])
    for name, table, columns in (
        ("ix_interval_began", "relation_interval", ["began_at", "person_id"]),
        ("ix_interaction_kind_at", "interaction", ["kind", "at", "person_id"]),
    ):
        op.drop_index(name, table)
        op.create_index(name, table, columns)
    op.drop_index("ix_person_tag_tag_id", "person_tag")
    op.create_index("ix_person_tag_tag", "person_tag", ["tag_id", "person_id"])

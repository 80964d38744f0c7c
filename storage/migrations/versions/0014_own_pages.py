"""Own pages: where customers see their points, and how they prove who they are"""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table(
        "own_page",
        sa.Column("id", KEY, nullable=False),
        sa.Column("person_id", KEY, nullable=False),
        sa.Column("token", sa.String(length=40), nullable=False),
        sa.Column("made_at", UtcTime(timezone=True), nullable=False),
        sa.Column("seen_at", UtcTime(timezone=True), nullable=True),
        sa.Column("revoked_at", UtcTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_own_page_person_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_own_page")),
        sa.UniqueConstraint("token", name=op.f("uq_own_page_token")),
    )
    living = sa.text("revoked_at IS NULL")
    op.create_index(
        "uq_own_page_living", "own_page", ["person_id"], unique=True, sqlite_where=living, postgresql_where=living
    )
    op.create_table(
        "own_visit",
        sa.Column("id", KEY, nullable=False),
        sa.Column("page_id", KEY, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("code", sa.String(length=6), nullable=True),
        sa.Column("code_until", UtcTime(timezone=True), nullable=True),
        sa.Column("wechat", sa.String(length=300), nullable=False),
        sa.Column("made_at", UtcTime(timezone=True), nullable=False),
        sa.Column("opened_at", UtcTime(timezone=True), nullable=True),
        sa.Column("opened_by", sa.String(length=100), nullable=False),
        sa.Column("expires_at", UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["page_id"], ["own_page.id"], name=op.f("fk_own_visit_page_id_own_page")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_own_visit")),
        sa.UniqueConstraint("digest", name=op.f("uq_own_visit_digest")),
        sa.UniqueConstraint("code", name=op.f("uq_own_visit_code")),
    )
    op.create_index(op.f("ix_own_visit_page_id"), "own_visit", ["page_id"])

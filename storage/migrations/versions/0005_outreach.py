"""Broadcasts, the tasks that reps confirm, and the contact budget"""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table(
        "mass_task",
        sa.Column("id", KEY, nullable=False),
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("source", sa.String(length=60), nullable=False),
        sa.Column("audience", sa.String(length=10), nullable=False),
        sa.Column("userid", sa.String(length=64), nullable=False),
        sa.Column("arm", sa.String(length=20), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("attachments", sa.JSON(), nullable=False),
        sa.Column("chat_ids", sa.JSON(), nullable=False),
        sa.Column("reached", sa.JSON(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("msgid", sa.String(length=120), nullable=True),
        sa.Column("due_at", UtcTime(timezone=True), nullable=False),
        sa.Column("asked_at", UtcTime(timezone=True), nullable=True),
        sa.Column("made_at", UtcTime(timezone=True), nullable=True),
        sa.Column("confirm_by", UtcTime(timezone=True), nullable=True),
        sa.Column("confirmed_at", UtcTime(timezone=True), nullable=True),
        sa.Column("look_at", UtcTime(timezone=True), nullable=True),
        sa.Column("reminded", sa.Integer(), nullable=False),
        sa.Column("reminded_at", UtcTime(timezone=True), nullable=True),
        sa.Column("ended_at", UtcTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mass_task")),
        sa.UniqueConstraint("key", name=op.f("uq_mass_task_key")),
        sa.UniqueConstraint("msgid", name=op.f("uq_mass_task_msgid")),
    )
    op.create_index(
        "ix_mass_task_open",
        "mass_task",
        ["state", "due_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('planned', 'asked', 'unclear', 'made', 'leaving')"),
        sqlite_where=sa.text("state IN ('planned', 'asked', 'unclear', 'made', 'leaving')"),
    )
    op.create_index("ix_mass_task_source", "mass_task", ["source", "state"], unique=False)
    op.create_index("ix_mass_task_userid", "mass_task", ["userid", "made_at"], unique=False)
    op.create_table(
        "broadcast",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("audience", sa.String(length=10), nullable=False),
        sa.Column("segment_id", KEY, nullable=True),
        sa.Column("filter", sa.JSON(), nullable=False),
        sa.Column("chat_ids", sa.JSON(), nullable=False),
        sa.Column("contents", sa.JSON(), nullable=False),
        sa.Column("control", sa.Integer(), nullable=False),
        sa.Column("send_at", UtcTime(timezone=True), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=True),
        sa.Column("made_by", sa.String(length=100), nullable=False),
        sa.Column("approved_by", sa.String(length=100), nullable=True),
        sa.Column("stopped_by", sa.String(length=100), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("made_at", UtcTime(timezone=True), nullable=False),
        sa.Column("changed_at", UtcTime(timezone=True), nullable=False),
        sa.Column("approved_at", UtcTime(timezone=True), nullable=True),
        sa.Column("planned_to", sa.Integer(), nullable=True),
        sa.Column("planned_at", UtcTime(timezone=True), nullable=True),
        sa.Column("ended_at", UtcTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name=op.f("fk_broadcast_segment_id_segment")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_broadcast")),
    )
    op.create_index("ix_broadcast_state", "broadcast", ["state", "send_at"], unique=False)
    op.create_table(
        "touch",
        sa.Column("id", KEY, nullable=False),
        sa.Column("source", sa.String(length=60), nullable=False),
        sa.Column("person_id", KEY, nullable=False),
        sa.Column("way", sa.String(length=10), nullable=False),
        sa.Column("userid", sa.String(length=64), nullable=True),
        sa.Column("external_userid", sa.String(length=64), nullable=True),
        sa.Column("arm", sa.String(length=20), nullable=False),
        sa.Column("task_id", KEY, nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("at", UtcTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_touch_person_id_person")),
        sa.ForeignKeyConstraint(["task_id"], ["mass_task.id"], name=op.f("fk_touch_task_id_mass_task")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_touch")),
        sa.UniqueConstraint("source", "person_id", name=op.f("uq_touch_source_person_id")),
    )
    op.create_index(
        "ix_touch_budget",
        "touch",
        ["person_id", "day"],
        unique=False,
        postgresql_where=sa.text("state IN ('held', 'asked', 'sent')"),
        sqlite_where=sa.text("state IN ('held', 'asked', 'sent')"),
    )
    op.create_index("ix_touch_person", "touch", ["person_id"], unique=False)
    op.create_index("ix_touch_source", "touch", ["source", "state"], unique=False)
    op.create_index("ix_touch_task", "touch", ["task_id", "state"], unique=False)

"""Journeys, the library with its tracked links, reps' cards, recurring broadcasts, birthdays"""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table(
        "journey",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("ready_made", sa.String(length=40), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("draft", sa.JSON(), nullable=False),
        sa.Column("draft_version", sa.Integer(), nullable=False),
        sa.Column("live_version", sa.Integer(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("read_to", sa.JSON(), nullable=False),
        sa.Column("made_by", sa.String(length=100), nullable=False),
        sa.Column("made_at", UtcTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.String(length=100), nullable=False),
        sa.Column("changed_at", UtcTime(timezone=True), nullable=False),
        sa.Column("published_at", UtcTime(timezone=True), nullable=True),
        sa.Column("stopped_at", UtcTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journey")),
        sa.UniqueConstraint("ready_made", name=op.f("uq_journey_ready_made")),
    )
    op.create_table(
        "material",
        sa.Column("id", KEY, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("folder", sa.String(length=60), nullable=False),
        sa.Column("contents", sa.JSON(), nullable=False),
        sa.Column("open_tags", sa.JSON(), nullable=False),
        sa.Column("tell_rep", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("made_by", sa.String(length=100), nullable=False),
        sa.Column("made_at", UtcTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.String(length=100), nullable=False),
        sa.Column("changed_at", UtcTime(timezone=True), nullable=False),
        sa.Column("deleted_at", UtcTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_material")),
    )
    op.create_index("ix_material_kind", "material", ["kind", "id"], unique=False)
    op.create_table(
        "enrolment",
        sa.Column("id", KEY, nullable=False),
        sa.Column("journey_id", KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("person_id", KEY, nullable=False),
        sa.Column("entry_key", sa.String(length=120), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("arm", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("because", sa.JSON(), nullable=False),
        sa.Column("left_because", sa.String(length=40), nullable=False),
        sa.Column("line", KEY, nullable=True),
        sa.Column("since", UtcTime(timezone=True), nullable=False),
        sa.Column("began_at", UtcTime(timezone=True), nullable=False),
        sa.Column("ended_at", UtcTime(timezone=True), nullable=True),
        sa.Column("goal_at", UtcTime(timezone=True), nullable=True),
        sa.Column("goal_until", UtcTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["journey_id"], ["journey.id"], name=op.f("fk_enrolment_journey_id_journey")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_enrolment_person_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrolment")),
        sa.UniqueConstraint(
            "journey_id",
            "person_id",
            "entry_key",
            "round",
            name=op.f("uq_enrolment_journey_id_person_id_entry_key_round"),
        ),
    )
    op.create_index("ix_enrolment_goal", "enrolment", ["journey_id", "goal_until"], unique=False)
    op.create_index("ix_enrolment_person", "enrolment", ["person_id", "id"], unique=False)
    op.create_index("ix_enrolment_version", "enrolment", ["journey_id", "version", "id"], unique=False)
    op.create_index("ix_enrolment_state", "enrolment", ["journey_id", "state", "id"], unique=False)
    op.create_index(
        "uq_enrolment_live",
        "enrolment",
        ["journey_id", "person_id", "entry_key"],
        unique=True,
        postgresql_where=sa.text("state = 'live'"),
        sqlite_where=sa.text("state = 'live'"),
    )
    op.create_table(
        "journey_inside",
        sa.Column("journey_id", KEY, nullable=False),
        sa.Column("person_id", KEY, nullable=False),
        sa.ForeignKeyConstraint(["journey_id"], ["journey.id"], name=op.f("fk_journey_inside_journey_id_journey")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_journey_inside_person_id_person")),
        sa.PrimaryKeyConstraint("journey_id", "person_id", name=op.f("pk_journey_inside")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_journey_inside_person_id"), "journey_inside", ["person_id"], unique=False)
    op.create_table(
        "journey_version",
        sa.Column("id", KEY, nullable=False),
        sa.Column("journey_id", KEY, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("by", sa.String(length=100), nullable=False),
        sa.Column("at", UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["journey_id"], ["journey.id"], name=op.f("fk_journey_version_journey_id_journey")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journey_version")),
        sa.UniqueConstraint("journey_id", "number", name=op.f("uq_journey_version_journey_id_number")),
    )
    op.create_table(
        "tracked_link",
        sa.Column("id", KEY, nullable=False),
        sa.Column("token", sa.String(length=40), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("material_id", KEY, nullable=True),
        sa.Column("source", sa.String(length=60), nullable=False),
        sa.Column("once", sa.String(length=160), nullable=False),
        sa.Column("person_id", KEY, nullable=True),
        sa.Column("external_userid", sa.String(length=64), nullable=True),
        sa.Column("task_id", KEY, nullable=True),
        sa.Column("userid", sa.String(length=64), nullable=True),
        sa.Column("opens", sa.Integer(), nullable=False),
        sa.Column("made_at", UtcTime(timezone=True), nullable=False),
        sa.Column("opened_at", UtcTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["material_id"], ["material.id"], name=op.f("fk_tracked_link_material_id_material")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_tracked_link_person_id_person")),
        sa.ForeignKeyConstraint(["task_id"], ["mass_task.id"], name=op.f("fk_tracked_link_task_id_mass_task")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tracked_link")),
        sa.UniqueConstraint("once", name=op.f("uq_tracked_link_once")),
        sa.UniqueConstraint("token", name=op.f("uq_tracked_link_token")),
    )
    op.create_index(op.f("ix_tracked_link_external_userid"), "tracked_link", ["external_userid"], unique=False)
    op.create_index(op.f("ix_tracked_link_material_id"), "tracked_link", ["material_id"], unique=False)
    op.create_index(op.f("ix_tracked_link_person_id"), "tracked_link", ["person_id"], unique=False)
    op.create_index("ix_tracked_link_source", "tracked_link", ["source", "opens"], unique=False)
    op.create_index(op.f("ix_tracked_link_task_id"), "tracked_link", ["task_id"], unique=False)
    op.create_table(
        "webhook_call",
        sa.Column("id", KEY, nullable=False),
        sa.Column("once", sa.String(length=120), nullable=False),
        sa.Column("person_id", KEY, nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(length=200), nullable=False),
        sa.Column("made_at", UtcTime(timezone=True), nullable=False),
        sa.Column("ended_at", UtcTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_webhook_call_person_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_call")),
        sa.UniqueConstraint("once", name=op.f("uq_webhook_call_once")),
    )
    op.create_index(
        "ix_webhook_call_due",
        "webhook_call",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
        sqlite_where=sa.text("state = 'waiting'"),
    )
    op.create_index(op.f("ix_webhook_call_person_id"), "webhook_call", ["person_id"], unique=False)
    op.create_table(
        "link_open",
        sa.Column("id", KEY, nullable=False),
        sa.Column("link_id", KEY, nullable=False),
        sa.Column("person_id", KEY, nullable=True),
        sa.Column("at", UtcTime(timezone=True), nullable=False),
        sa.Column("device", sa.String(length=20), nullable=False),
        sa.Column("once", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(["link_id"], ["tracked_link.id"], name=op.f("fk_link_open_link_id_tracked_link")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_link_open_person_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link_open")),
        sa.UniqueConstraint("once", name=op.f("uq_link_open_once")),
    )
    op.create_index("ix_link_open_link", "link_open", ["link_id", "at"], unique=False)
    op.create_index(op.f("ix_link_open_person_id"), "link_open", ["person_id"], unique=False)
    op.create_table(
        "rep_card",
        sa.Column("id", KEY, nullable=False),
        sa.Column("userid", sa.String(length=64), nullable=False),
        sa.Column("person_id", KEY, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("source", sa.String(length=60), nullable=False),
        sa.Column("once", sa.String(length=160), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("attachments", sa.JSON(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("due_at", UtcTime(timezone=True), nullable=False),
        sa.Column("until", UtcTime(timezone=True), nullable=True),
        sa.Column("touch_id", KEY, nullable=True),
        sa.Column("made_at", UtcTime(timezone=True), nullable=False),
        sa.Column("shown_at", UtcTime(timezone=True), nullable=True),
        sa.Column("ended_at", UtcTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.String(length=64), nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_rep_card_person_id_person")),
        sa.ForeignKeyConstraint(["touch_id"], ["touch.id"], name=op.f("fk_rep_card_touch_id_touch")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rep_card")),
        sa.UniqueConstraint("once", name=op.f("uq_rep_card_once")),
    )
    op.create_index(op.f("ix_rep_card_person_id"), "rep_card", ["person_id"], unique=False)
    op.create_index("ix_rep_card_source", "rep_card", ["source", "state"], unique=False)
    op.create_index(
        "ix_rep_card_alive",
        "rep_card",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('open', 'snoozed')"),
        sqlite_where=sa.text("state IN ('open', 'snoozed')"),
    )
    op.create_index(op.f("ix_rep_card_touch_id"), "rep_card", ["touch_id"], unique=False)
    op.create_index("ix_rep_card_userid", "rep_card", ["userid", "state", "due_at"], unique=False)
    op.create_table(
        "step_run",
        sa.Column("id", KEY, nullable=False),
        sa.Column("enrolment_id", KEY, nullable=False),
        sa.Column("step", sa.String(length=20), nullable=False),
        sa.Column("visit", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("due_at", UtcTime(timezone=True), nullable=False),
        sa.Column("since", UtcTime(timezone=True), nullable=False),
        sa.Column("began_at", UtcTime(timezone=True), nullable=True),
        sa.Column("ended_at", UtcTime(timezone=True), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.JSON(), nullable=False),
        sa.Column("touch_id", KEY, nullable=True),
        sa.ForeignKeyConstraint(["enrolment_id"], ["enrolment.id"], name=op.f("fk_step_run_enrolment_id_enrolment")),
        sa.ForeignKeyConstraint(["touch_id"], ["touch.id"], name=op.f("fk_step_run_touch_id_touch")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_step_run")),
        sa.UniqueConstraint("enrolment_id", "step", "visit", name=op.f("uq_step_run_enrolment_id_step_visit")),
    )
    op.create_index(
        "ix_step_run_due",
        "step_run",
        ["due_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
        sqlite_where=sa.text("state = 'waiting'"),
    )
    op.create_index(op.f("ix_step_run_touch_id"), "step_run", ["touch_id"], unique=False)
    op.add_column("broadcast", sa.Column("repeat", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("broadcast", sa.Column("parent_id", KEY, nullable=True))
    op.add_column("broadcast", sa.Column("service", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("broadcast", sa.Column("metric", sa.String(length=10), nullable=False, server_default="talked"))
    op.create_index(op.f("ix_broadcast_parent_id"), "broadcast", ["parent_id"], unique=False)
    op.add_column("person", sa.Column("birthday", sa.Integer(), nullable=True))
    op.add_column("person", sa.Column("birth_year", sa.Integer(), nullable=True))
    op.create_index("ix_person_birthday", "person", ["birthday", "id"], unique=False)
    op.create_index(
        "ix_touch_free",
        "touch",
        ["source", "userid", "arm", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'held' AND task_id IS NULL"),
        sqlite_where=sa.text("state = 'held' AND task_id IS NULL"),
    )
    op.create_index(
        "ix_touch_day",
        "touch",
        ["day", "source", "state", "userid"],
        unique=False,
        postgresql_where=sa.text("state IN ('held', 'asked', 'sent')"),
        sqlite_where=sa.text("state IN ('held', 'asked', 'sent')"),
    )
    op.drop_index("ix_touch_source", table_name="touch")
    op.create_index("ix_touch_source", "touch", ["source", "state", "person_id", "userid"], unique=False)
    op.create_index(
        "ix_mass_task_groups",
        "mass_task",
        ["confirmed_at"],
        unique=False,
        postgresql_where=sa.text("audience = 'groups'"),
        sqlite_where=sa.text("audience = 'groups'"),
    )

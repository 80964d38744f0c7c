"""First schema"""

import sqlalchemy as sa
from alembic import op

from storage import guards
from storage.database import UtcTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table(
        "alarm",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("raised_at", UtcTime(timezone=True), nullable=False),
        sa.Column("last_at", UtcTime(timezone=True), nullable=False),
        sa.Column("cleared_at", UtcTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm")),
    )
    with op.batch_alter_table("alarm", schema=None) as batch_op:
        batch_op.create_index(
            "uq_alarm_open",
            ["kind"],
            unique=True,
            postgresql_where=sa.text("cleared_at IS NULL"),
            sqlite_where=sa.text("cleared_at IS NULL"),
        )

    op.create_table(
        "api_key",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("hint", sa.String(length=12), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("expires_at", UtcTime(timezone=True), nullable=True),
        sa.Column("revoked_at", UtcTime(timezone=True), nullable=True),
        sa.Column("last_used_at", UtcTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_key_digest")),
    )
    op.create_table(
        "attempt",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("userid", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("at", UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempt")),
    )
    with op.batch_alter_table("attempt", schema=None) as batch_op:
        batch_op.create_index("ix_attempt_address_at", ["address", "at"], unique=False)
        batch_op.create_index("ix_attempt_userid_at", ["userid", "at"], unique=False)

    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", UtcTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("before_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sa.UniqueConstraint("hash", name=op.f("uq_audit_hash")),
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index("ix_audit_at", ["at"], unique=False)

    op.create_table(
        "calendar_day",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_calendar_day")),
    )
    op.create_table(
        "channel",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("config_id", sa.String(length=64), nullable=True),
        sa.Column("qr_code", sa.String(length=500), nullable=True),
        sa.Column("skip_verify", sa.Boolean(), nullable=False),
        sa.Column("welcome", sa.JSON(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("timetable", sa.JSON(), nullable=False),
        sa.Column("daily_cap", sa.Integer(), nullable=True),
        sa.Column("taken_over", sa.Boolean(), nullable=False),
        sa.Column("at_wecom", sa.JSON(), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("changed_at", UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel")),
        sa.UniqueConstraint("code", name=op.f("uq_channel_code")),
        sa.UniqueConstraint("config_id", name=op.f("uq_channel_config_id")),
    )
    op.create_table(
        "department",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("order", sa.BigInteger(), nullable=False),
        sa.Column("leaders", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_department")),
    )
    op.create_table(
        "gate",
        sa.Column("api", sa.String(length=80), nullable=False),
        sa.Column("blocked_until", UtcTime(timezone=True), nullable=True),
        sa.Column("minute", UtcTime(timezone=True), nullable=True),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("api", name=op.f("pk_gate")),
    )
    op.create_table(
        "inbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("lane", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("xml", sa.Text(), nullable=False),
        sa.Column("extra_codes", sa.JSON(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcTime(timezone=True), nullable=False),
        sa.Column("lease_until", UtcTime(timezone=True), nullable=True),
        sa.Column("event_at", UtcTime(timezone=True), nullable=False),
        sa.Column("received_at", UtcTime(timezone=True), nullable=False),
        sa.Column("done_at", UtcTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
        sa.UniqueConstraint("identity", name=op.f("uq_inbox_identity")),
    )
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_inbox_open",
            ["lane", "id"],
            unique=False,
            postgresql_where=sa.text("state IN ('waiting', 'taken')"),
            sqlite_where=sa.text("state IN ('waiting', 'taken')"),
        )
        batch_op.create_index(
            "ix_inbox_open_key",
            ["key", "id"],
            unique=False,
            postgresql_where=sa.text("state IN ('waiting', 'taken')"),
            sqlite_where=sa.text("state IN ('waiting', 'taken')"),
        )
        batch_op.create_index("ix_inbox_received", ["received_at"], unique=False)
        batch_op.create_index("ix_inbox_state_received", ["state", "received_at"], unique=False)

    op.create_table(
        "job_run",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job", sa.String(length=80), nullable=False),
        sa.Column("due_at", UtcTime(timezone=True), nullable=False),
        sa.Column("started_at", UtcTime(timezone=True), nullable=False),
        sa.Column("ended_at", UtcTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("ok", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_run")),
        sa.UniqueConstraint("job", "due_at", name=op.f("uq_job_run_job_due_at")),
    )
    with op.batch_alter_table("job_run", schema=None) as batch_op:
        batch_op.create_index("ix_job_run_started", ["started_at"], unique=False)

    op.create_table(
        "lease",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("owner", sa.String(length=100), nullable=False),
        sa.Column("until", UtcTime(timezone=True), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lease")),
    )
    op.create_table(
        "media",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=False),
        sa.Column("content_type", sa.String(length=80), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("media_id", sa.String(length=300), nullable=True),
        sa.Column("uploaded_at", UtcTime(timezone=True), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.Column("created_at", UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_media")),
        sa.UniqueConstraint("digest", name=op.f("uq_media_digest")),
    )
    op.create_table(
        "member",
        sa.Column("userid", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("departments", sa.JSON(), nullable=False),
        sa.Column("leads", sa.JSON(), nullable=False),
        sa.Column("superiors", sa.JSON(), nullable=False),
        sa.Column("position", sa.String(length=200), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("serves", sa.Boolean(), nullable=False),
        sa.Column("left_at", UtcTime(timezone=True), nullable=True),
        sa.Column("read_at", UtcTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("userid", name=op.f("pk_member")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("once", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("lane", sa.String(length=10), nullable=False),
        sa.Column("api", sa.String(length=80), nullable=False),
        sa.Column("harmless", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("asked_at", UtcTime(timezone=True), nullable=False),
        sa.Column("due_at", UtcTime(timezone=True), nullable=False),
        sa.Column("before", UtcTime(timezone=True), nullable=True),
        sa.Column("lease_until", UtcTime(timezone=True), nullable=True),
        sa.Column("settled_at", UtcTime(timezone=True), nullable=True),
        sa.Column("errcode", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("cause", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("once", name=op.f("uq_outbox_once")),
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_outbox_open",
            ["lane", "id"],
            unique=False,
            postgresql_where=sa.text("state IN ('waiting', 'sending')"),
            sqlite_where=sa.text("state IN ('waiting', 'sending')"),
        )
        batch_op.create_index(
            "ix_outbox_open_key",
            ["key", "id"],
            unique=False,
            postgresql_where=sa.text("state IN ('waiting', 'sending')"),
            sqlite_where=sa.text("state IN ('waiting', 'sending')"),
        )
        batch_op.create_index("ix_outbox_state_asked", ["state", "asked_at"], unique=False)

    op.create_table(
        "person",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("avatar", sa.String(length=500), nullable=True),
        sa.Column("gender", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("corp_name", sa.String(length=200), nullable=True),
        sa.Column("owner", sa.String(length=64), nullable=True),
        sa.Column("owner_by_hand", sa.Boolean(), nullable=False),
        sa.Column("phone", sa.String(length=40), nullable=True),
        sa.Column("opted_out", sa.Boolean(), nullable=False),
        sa.Column("first_seen_at", UtcTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", UtcTime(timezone=True), nullable=False),
        sa.Column("profile_at", UtcTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
    )
    with op.batch_alter_table("person", schema=None) as batch_op:
        batch_op.create_index("ix_person_last_seen", ["last_seen_at", "id"], unique=False)
        batch_op.create_index("ix_person_name", ["name"], unique=False)
        batch_op.create_index("ix_person_owner", ["owner"], unique=False)

    op.create_table(
        "progress",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("at", sa.JSON(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("started_at", UtcTime(timezone=True), nullable=False),
        sa.Column("changed_at", UtcTime(timezone=True), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_progress")),
    )
    op.create_table(
        "sealed",
        sa.Column("name", sa.String(length=150), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sealed")),
    )
    op.create_table(
        "tag",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("group_name", sa.String(length=60), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("wecom_id", sa.String(length=64), nullable=True),
        sa.Column("wecom_group_id", sa.String(length=64), nullable=True),
        sa.Column("deleted_at", UtcTime(timezone=True), nullable=True),
        sa.Column("created_at", UtcTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tag")),
        sa.UniqueConstraint("group_name", "name", name=op.f("uq_tag_group_name_name")),
        sa.UniqueConstraint("wecom_id", name=op.f("uq_tag_wecom_id")),
    )
    op.create_table(
        "user",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("userid", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=True),
        sa.Column("disabled_at", UtcTime(timezone=True), nullable=True),
        sa.Column("created_at", UtcTime(timezone=True), nullable=False),
        sa.Column("language", sa.String(length=5), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user")),
        sa.UniqueConstraint("userid", name=op.f("uq_user_userid")),
    )
    op.create_table(
        "channel_seat",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("channel_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("userid", sa.String(length=64), nullable=False),
        sa.Column("spare", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"], name=op.f("fk_channel_seat_channel_id_channel")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel_seat")),
        sa.UniqueConstraint("channel_id", "userid", "spare", name=op.f("uq_channel_seat_channel_id_userid_spare")),
    )
    with op.batch_alter_table("channel_seat", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_channel_seat_userid"), ["userid"], unique=False)

    op.create_table(
        "idempotent_answer",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("api_key_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("created_at", UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["api_key_id"], ["api_key.id"], name=op.f("fk_idempotent_answer_api_key_id_api_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotent_answer")),
        sa.UniqueConstraint("api_key_id", "key", name=op.f("uq_idempotent_answer_api_key_id_key")),
    )
    op.create_table(
        "identity",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("added_at", UtcTime(timezone=True), nullable=False),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_identity_person_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity")),
        sa.UniqueConstraint("type", "value", name=op.f("uq_identity_type_value")),
    )
    with op.batch_alter_table("identity", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_person_id"), ["person_id"], unique=False)

    op.create_table(
        "interaction",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("userid", sa.String(length=64), nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("at", UtcTime(timezone=True), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("once", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_interaction_person_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_interaction")),
        sa.UniqueConstraint("once", name=op.f("uq_interaction_once")),
    )
    with op.batch_alter_table("interaction", schema=None) as batch_op:
        batch_op.create_index("ix_interaction_person_at", ["person_id", "at", "id"], unique=False)

    op.create_table(
        "person_tag",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tag_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=True),
        sa.Column("inbox_id", sa.Integer(), nullable=True),
        sa.Column("at", UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_person_tag_person_id_person")),
        sa.ForeignKeyConstraint(["tag_id"], ["tag.id"], name=op.f("fk_person_tag_tag_id_tag")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person_tag")),
        sa.UniqueConstraint("person_id", "tag_id", name=op.f("uq_person_tag_person_id_tag_id")),
    )
    with op.batch_alter_table("person_tag", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_person_tag_tag_id"), ["tag_id"], unique=False)

    op.create_table(
        "relation",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("userid", sa.String(length=64), nullable=False),
        sa.Column("external_userid", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("added_at", UtcTime(timezone=True), nullable=True),
        sa.Column("ended_at", UtcTime(timezone=True), nullable=True),
        sa.Column("channel_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("source_state", sa.String(length=64), nullable=True),
        sa.Column("add_way", sa.Integer(), nullable=True),
        sa.Column("remark", sa.String(length=200), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("remark_phones", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"], name=op.f("fk_relation_channel_id_channel")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_relation_person_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_relation")),
        sa.UniqueConstraint("external_userid", "userid", name=op.f("uq_relation_external_userid_userid")),
    )
    with op.batch_alter_table("relation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_relation_channel_id"), ["channel_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_relation_person_id"), ["person_id"], unique=False)
        batch_op.create_index("ix_relation_userid_state", ["userid", "state"], unique=False)

    op.create_table(
        "sign_in",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", UtcTime(timezone=True), nullable=False),
        sa.Column("expires_at", UtcTime(timezone=True), nullable=False),
        sa.Column("ended_at", UtcTime(timezone=True), nullable=True),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_sign_in_user_id_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in")),
        sa.UniqueConstraint("digest", name=op.f("uq_sign_in_digest")),
    )
    with op.batch_alter_table("sign_in", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sign_in_user_id"), ["user_id"], unique=False)

    op.create_table(
        "sign_in_link",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("expires_at", UtcTime(timezone=True), nullable=False),
        sa.Column("used_at", UtcTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_sign_in_link_user_id_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_link")),
        sa.UniqueConstraint("digest", name=op.f("uq_sign_in_link_digest")),
    )
    op.create_table(
        "welcome",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("arrival", sa.String(length=200), nullable=False),
        sa.Column("userid", sa.String(length=64), nullable=False),
        sa.Column("external_userid", sa.String(length=64), nullable=False),
        sa.Column("channel_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("outcome", sa.String(length=12), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("half", sa.Boolean(), nullable=False),
        sa.Column("retried_41096", sa.Boolean(), nullable=False),
        sa.Column("event_at", UtcTime(timezone=True), nullable=False),
        sa.Column("received_at", UtcTime(timezone=True), nullable=False),
        sa.Column("settled_at", UtcTime(timezone=True), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"], name=op.f("fk_welcome_channel_id_channel")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_welcome")),
        sa.UniqueConstraint("arrival", name=op.f("uq_welcome_arrival")),
    )
    with op.batch_alter_table("welcome", schema=None) as batch_op:
        batch_op.create_index("ix_welcome_event_at", ["event_at"], unique=False)
        batch_op.create_index("ix_welcome_pair", ["external_userid", "userid", "event_at"], unique=False)

    op.create_table(
        "relation_fact",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("relation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("at", UtcTime(timezone=True), nullable=False),
        sa.Column("source_state", sa.String(length=64), nullable=True),
        sa.Column("had_code", sa.Boolean(), nullable=False),
        sa.Column("add_way", sa.Integer(), nullable=True),
        sa.Column("inbox_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["relation_id"], ["relation.id"], name=op.f("fk_relation_fact_relation_id_relation")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_relation_fact")),
        sa.UniqueConstraint("relation_id", "kind", "at", name=op.f("uq_relation_fact_relation_id_kind_at")),
    )
    with op.batch_alter_table("relation_fact", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_relation_fact_relation_id"), ["relation_id"], unique=False)

    op.create_table(
        "relation_interval",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("relation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("userid", sa.String(length=64), nullable=False),
        sa.Column("began_at", UtcTime(timezone=True), nullable=True),
        sa.Column("confirmed_at", UtcTime(timezone=True), nullable=True),
        sa.Column("ended_at", UtcTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.String(length=20), nullable=True),
        sa.Column("origin", sa.String(length=20), nullable=False),
        sa.Column("channel_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"], name=op.f("fk_relation_interval_channel_id_channel")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_relation_interval_person_id_person")),
        sa.ForeignKeyConstraint(
            ["relation_id"], ["relation.id"], name=op.f("fk_relation_interval_relation_id_relation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_relation_interval")),
        sa.UniqueConstraint("relation_id", "number", name=op.f("uq_relation_interval_relation_id_number")),
    )
    with op.batch_alter_table("relation_interval", schema=None) as batch_op:
        batch_op.create_index("ix_interval_began", ["began_at"], unique=False)
        batch_op.create_index("ix_interval_channel", ["channel_id", "began_at"], unique=False)
        batch_op.create_index("ix_interval_ended", ["ended_at"], unique=False)
        batch_op.create_index("ix_interval_person_began", ["person_id", "began_at"], unique=False)

    op.create_table(
        "relation_tag",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("relation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tag_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.Column("at_wecom", sa.String(length=10), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("changed_at", UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["relation_id"], ["relation.id"], name=op.f("fk_relation_tag_relation_id_relation")),
        sa.ForeignKeyConstraint(["tag_id"], ["tag.id"], name=op.f("fk_relation_tag_tag_id_tag")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_relation_tag")),
        sa.UniqueConstraint("relation_id", "tag_id", name=op.f("uq_relation_tag_relation_id_tag_id")),
    )
    with op.batch_alter_table("relation_tag", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_relation_tag_tag_id"), ["tag_id"], unique=False)
    guards.append_only(op.get_bind(), "audit")

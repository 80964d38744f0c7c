"""What customers say, and what follows from it: conversations, rules, grounds, tasks, groups, comparisons"""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table('answer',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('name', sa.String(length=60), nullable=False),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('definition', sa.JSON(), nullable=False),
    sa.Column('reply', sa.JSON(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('place', sa.Integer(), nullable=False),
    sa.Column('created_by', sa.String(length=100), nullable=False),
    sa.Column('created_at', UtcTime(timezone=True), nullable=False),
    sa.Column('changed_at', UtcTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_answer'))
    )
    op.create_table('bulk_job',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('what', sa.String(length=10), nullable=False),
    sa.Column('tags', sa.JSON(), nullable=False),
    sa.Column('source', sa.String(length=200), nullable=False),
    sa.Column('reason', sa.String(length=200), nullable=False),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('total', sa.Integer(), nullable=False),
    sa.Column('done', sa.Integer(), nullable=False),
    sa.Column('by', sa.String(length=100), nullable=False),
    sa.Column('confirmed_by', sa.String(length=100), nullable=True),
    sa.Column('created_at', UtcTime(timezone=True), nullable=False),
    sa.Column('changed_at', UtcTime(timezone=True), nullable=False),
    sa.Column('ended_at', UtcTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_bulk_job'))
    )
    op.create_table('erasure',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('person', sa.String(length=20), nullable=False),
    sa.Column('digests', sa.JSON(), nullable=False),
    sa.Column('counts', sa.JSON(), nullable=False),
    sa.Column('by', sa.String(length=100), nullable=False),
    sa.Column('at', UtcTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_erasure')),
    sa.UniqueConstraint('person', name=op.f('uq_erasure_person'))
    )
    op.create_table('group_chat',
    sa.Column('chat_id', sa.String(length=64), nullable=False),
    sa.Column('name', sa.String(length=200), nullable=False),
    sa.Column('owner', sa.String(length=64), nullable=False),
    sa.Column('created_at', UtcTime(timezone=True), nullable=True),
    sa.Column('version', sa.String(length=64), nullable=False),
    sa.Column('dismissed_at', UtcTime(timezone=True), nullable=True),
    sa.Column('read_at', UtcTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('chat_id', name=op.f('pk_group_chat'))
    )
    op.create_table('handover',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('giver', sa.String(length=64), nullable=False),
    sa.Column('taker', sa.String(length=64), nullable=False),
    sa.Column('resigned', sa.Boolean(), nullable=False),
    sa.Column('words', sa.String(length=200), nullable=False),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('moved', sa.JSON(), nullable=False),
    sa.Column('by', sa.String(length=100), nullable=False),
    sa.Column('created_at', UtcTime(timezone=True), nullable=False),
    sa.Column('ended_at', UtcTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_handover'))
    )
    op.create_table('kf_account',
    sa.Column('open_kfid', sa.String(length=64), nullable=False),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('manageable', sa.Boolean(), nullable=False),
    sa.Column('cursor', sa.String(length=200), nullable=False),
    sa.Column('welcome', sa.JSON(), nullable=False),
    sa.Column('asks_satisfaction', sa.Boolean(), nullable=False),
    sa.Column('pulled_at', UtcTime(timezone=True), nullable=True),
    sa.Column('gone_at', UtcTime(timezone=True), nullable=True),
    sa.Column('trouble', sa.Text(), nullable=True),
    sa.Column('servicers', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('open_kfid', name=op.f('pk_kf_account'))
    )
    op.create_table('rep_day',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('userid', sa.String(length=64), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('chats', sa.Integer(), nullable=False),
    sa.Column('messages', sa.Integer(), nullable=False),
    sa.Column('reply_percentage', sa.Double(), nullable=True),
    sa.Column('first_reply_minutes', sa.Double(), nullable=True),
    sa.Column('deletions', sa.Integer(), nullable=False),
    sa.Column('applications', sa.Integer(), nullable=False),
    sa.Column('new_contacts', sa.Integer(), nullable=False),
    sa.Column('read_at', UtcTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_rep_day')),
    sa.UniqueConstraint('userid', 'day', name=op.f('uq_rep_day_userid_day'))
    )
    op.create_table('sync_run',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('dry', sa.Boolean(), nullable=False),
    sa.Column('by', sa.String(length=100), nullable=False),
    sa.Column('at', sa.JSON(), nullable=False),
    sa.Column('report', sa.JSON(), nullable=False),
    sa.Column('started_at', UtcTime(timezone=True), nullable=False),
    sa.Column('changed_at', UtcTime(timezone=True), nullable=False),
    sa.Column('ended_at', UtcTime(timezone=True), nullable=True),
    sa.Column('trouble', sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sync_run'))
    )
    op.create_table('tag_rule',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('name', sa.String(length=60), nullable=False),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('definition', sa.JSON(), nullable=False),
    sa.Column('scope', sa.JSON(), nullable=False),
    sa.Column('tags', sa.JSON(), nullable=False),
    sa.Column('cap', sa.Integer(), nullable=True),
    sa.Column('created_by', sa.String(length=100), nullable=False),
    sa.Column('created_at', UtcTime(timezone=True), nullable=False),
    sa.Column('changed_by', sa.String(length=100), nullable=False),
    sa.Column('changed_at', UtcTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_tag_rule'))
    )
    op.create_table('bulk_row',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('job_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('asked', sa.String(length=200), nullable=False),
    sa.Column('person_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('outcome', sa.String(length=10), nullable=False),
    sa.Column('detail', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['job_id'], ['bulk_job.id'], name=op.f('fk_bulk_row_job_id_bulk_job')),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name=op.f('fk_bulk_row_person_id_person')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_bulk_row')),
    sa.UniqueConstraint('job_id', 'number', name=op.f('uq_bulk_row_job_id_number'))
    )
    with op.batch_alter_table('bulk_row', schema=None) as batch_op:
        batch_op.create_index('ix_bulk_row_outcome', ['job_id', 'outcome', 'number'], unique=False)
        batch_op.create_index(batch_op.f('ix_bulk_row_person_id'), ['person_id'], unique=False)

    op.create_table('conversation',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('open_kfid', sa.String(length=64), nullable=False),
    sa.Column('external_userid', sa.String(length=64), nullable=False),
    sa.Column('person_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('state', sa.Integer(), nullable=False),
    sa.Column('state_at', UtcTime(timezone=True), nullable=True),
    sa.Column('servicer', sa.String(length=64), nullable=True),
    sa.Column('last_customer_at', UtcTime(timezone=True), nullable=True),
    sa.Column('sent_since', sa.Integer(), nullable=False),
    sa.Column('answered_at', UtcTime(timezone=True), nullable=True),
    sa.Column('last_at', UtcTime(timezone=True), nullable=False),
    sa.Column('read_until', UtcTime(timezone=True), nullable=True),
    sa.Column('rating', sa.Integer(), nullable=True),
    sa.Column('rated_at', UtcTime(timezone=True), nullable=True),
    sa.Column('asked_rating_at', UtcTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['open_kfid'], ['kf_account.open_kfid'], name=op.f('fk_conversation_open_kfid_kf_account')),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name=op.f('fk_conversation_person_id_person')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_conversation')),
    sa.UniqueConstraint('open_kfid', 'external_userid', name=op.f('uq_conversation_open_kfid_external_userid'))
    )
    with op.batch_alter_table('conversation', schema=None) as batch_op:
        batch_op.create_index('ix_conversation_last', ['last_at', 'id'], unique=False)
        batch_op.create_index(batch_op.f('ix_conversation_person_id'), ['person_id'], unique=False)
        batch_op.create_index('ix_conversation_state', ['state', 'last_at'], unique=False)

    op.create_table('group_member',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('chat_id', sa.String(length=64), nullable=False),
    sa.Column('member', sa.String(length=64), nullable=False),
    sa.Column('type', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(length=200), nullable=False),
    sa.Column('joined_at', UtcTime(timezone=True), nullable=False),
    sa.Column('scene', sa.Integer(), nullable=True),
    sa.Column('left_at', UtcTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['chat_id'], ['group_chat.chat_id'], name=op.f('fk_group_member_chat_id_group_chat')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_group_member')),
    sa.UniqueConstraint('chat_id', 'member', 'joined_at', name=op.f('uq_group_member_chat_id_member_joined_at'))
    )
    with op.batch_alter_table('group_member', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_group_member_member'), ['member'], unique=False)

    op.create_table('handover_row',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('handover_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('person_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('external_userid', sa.String(length=64), nullable=False),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('errcode', sa.Integer(), nullable=True),
    sa.Column('detail', sa.Text(), nullable=True),
    sa.Column('changed_at', UtcTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['handover_id'], ['handover.id'], name=op.f('fk_handover_row_handover_id_handover')),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name=op.f('fk_handover_row_person_id_person')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_handover_row')),
    sa.UniqueConstraint('handover_id', 'external_userid', name=op.f('uq_handover_row_handover_id_external_userid'))
    )
    with op.batch_alter_table('handover_row', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_handover_row_external_userid'), ['external_userid'], unique=False)
        batch_op.create_index(batch_op.f('ix_handover_row_person_id'), ['person_id'], unique=False)

    op.create_table('unassigned',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('giver', sa.String(length=64), nullable=False),
    sa.Column('external_userid', sa.String(length=64), nullable=False),
    sa.Column('left_at', UtcTime(timezone=True), nullable=True),
    sa.Column('read_at', UtcTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_unassigned')),
    sa.UniqueConstraint('giver', 'external_userid', name=op.f('uq_unassigned_giver_external_userid'))
    )
    with op.batch_alter_table('unassigned', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_unassigned_external_userid'), ['external_userid'], unique=False)

    op.create_table('rule_hit',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('rule_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('person_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('once', sa.String(length=120), nullable=False),
    sa.Column('evidence', sa.JSON(), nullable=False),
    sa.Column('given', sa.JSON(), nullable=False),
    sa.Column('at', UtcTime(timezone=True), nullable=False),
    sa.Column('undone_at', UtcTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name=op.f('fk_rule_hit_person_id_person')),
    sa.ForeignKeyConstraint(['rule_id'], ['tag_rule.id'], name=op.f('fk_rule_hit_rule_id_tag_rule')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_rule_hit')),
    sa.UniqueConstraint('once', name=op.f('uq_rule_hit_once'))
    )
    with op.batch_alter_table('rule_hit', schema=None) as batch_op:
        batch_op.create_index('ix_rule_hit_person', ['person_id', 'rule_id'], unique=False)
        batch_op.create_index('ix_rule_hit_rule_at', ['rule_id', 'at'], unique=False)

    op.create_table('tag_ground',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('person_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('tag_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('source', sa.String(length=20), nullable=False),
    sa.Column('source_id', sa.String(length=80), nullable=False),
    sa.Column('rule_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('rule_version', sa.Integer(), nullable=True),
    sa.Column('because', sa.Text(), nullable=False),
    sa.Column('evidence', sa.JSON(), nullable=False),
    sa.Column('actor', sa.String(length=64), nullable=True),
    sa.Column('inbox_id', sa.Integer(), nullable=True),
    sa.Column('at', UtcTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name=op.f('fk_tag_ground_person_id_person')),
    sa.ForeignKeyConstraint(['rule_id'], ['tag_rule.id'], name=op.f('fk_tag_ground_rule_id_tag_rule')),
    sa.ForeignKeyConstraint(['tag_id'], ['tag.id'], name=op.f('fk_tag_ground_tag_id_tag')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_tag_ground')),
    sa.UniqueConstraint('person_id', 'tag_id', 'source', 'source_id', name=op.f('uq_tag_ground_person_id_tag_id_source_source_id'))
    )
    with op.batch_alter_table('tag_ground', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_tag_ground_rule_id'), ['rule_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_tag_ground_tag_id'), ['tag_id'], unique=False)

    op.create_table('tag_rule_version',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('rule_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('said', sa.JSON(), nullable=False),
    sa.Column('by', sa.String(length=100), nullable=False),
    sa.Column('at', UtcTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['rule_id'], ['tag_rule.id'], name=op.f('fk_tag_rule_version_rule_id_tag_rule')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_tag_rule_version')),
    sa.UniqueConstraint('rule_id', 'version', name=op.f('uq_tag_rule_version_rule_id_version'))
    )
    op.create_table('task',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('person_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('userid', sa.String(length=64), nullable=False),
    sa.Column('text', sa.String(length=500), nullable=False),
    sa.Column('due_at', UtcTime(timezone=True), nullable=True),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('once', sa.String(length=120), nullable=False),
    sa.Column('created_by', sa.String(length=64), nullable=False),
    sa.Column('created_at', UtcTime(timezone=True), nullable=False),
    sa.Column('reminded_at', UtcTime(timezone=True), nullable=True),
    sa.Column('ended_at', UtcTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name=op.f('fk_task_person_id_person')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_task')),
    sa.UniqueConstraint('once', name=op.f('uq_task_once')),
    sqlite_autoincrement=True,
    )
    with op.batch_alter_table('task', schema=None) as batch_op:
        batch_op.create_index('ix_task_due', ['state', 'due_at'], unique=False)
        batch_op.create_index(batch_op.f('ix_task_person_id'), ['person_id'], unique=False)
        batch_op.create_index('ix_task_userid_state', ['userid', 'state', 'due_at'], unique=False)

    op.create_table('kept_file',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('interaction_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('media_id', sa.String(length=300), nullable=False),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('tries', sa.Integer(), nullable=False),
    sa.Column('due_at', UtcTime(timezone=True), nullable=False),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('content_type', sa.String(length=80), nullable=False),
    sa.Column('size', sa.Integer(), nullable=False),
    sa.Column('content', sa.LargeBinary(), nullable=True),
    sa.Column('detail', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['interaction_id'], ['interaction.id'], name=op.f('fk_kept_file_interaction_id_interaction')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_kept_file'))
    )
    with op.batch_alter_table('kept_file', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_kept_file_interaction_id'), ['interaction_id'], unique=False)
        batch_op.create_index('ix_kept_file_state', ['state', 'due_at'], unique=False)

    op.create_table('pace',
    sa.Column('userid', sa.String(length=64), nullable=False),
    sa.Column('free_at', UtcTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('userid', name=op.f('pk_pace'))
    )
    op.create_table('personal_tag',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('relation_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('group_name', sa.String(length=60), nullable=False),
    sa.Column('name', sa.String(length=60), nullable=False),
    sa.ForeignKeyConstraint(['relation_id'], ['relation.id'], name=op.f('fk_personal_tag_relation_id_relation')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_personal_tag')),
    sa.UniqueConstraint('relation_id', 'group_name', 'name', name=op.f('uq_personal_tag_relation_id_group_name_name'))
    )
    with op.batch_alter_table('interaction', schema=None) as batch_op:
        batch_op.create_index('ix_interaction_kind_at', ['kind', 'at'], unique=False)

    # made anew on SQLite: the id of somebody who was erased must never be given to somebody else
    sqlite, numbered = op.get_bind().dialect.name == 'sqlite', {'sqlite_autoincrement': True}
    with op.batch_alter_table('person', recreate='always' if sqlite else 'auto', table_kwargs=numbered) as batch_op:
        batch_op.add_column(sa.Column('opted_out_at', UtcTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('opted_out_by', sa.String(length=100), nullable=True))
        batch_op.create_index('ix_person_phone', ['phone'], unique=False)

    with op.batch_alter_table('tag', schema=None) as batch_op:
        batch_op.add_column(sa.Column('order', sa.BigInteger(), nullable=False, server_default='0'))
        batch_op.add_column(sa.Column('group_order', sa.BigInteger(), nullable=False, server_default='0'))
        batch_op.add_column(sa.Column('made_here', sa.Boolean(), nullable=False, server_default=sa.false()))
    _search()
    op.execute(
        "INSERT INTO tag_ground (person_id, tag_id, source, source_id, because, evidence, actor, inbox_id, at) "
        "SELECT person_id, tag_id, source, '', because, '{}', actor, inbox_id, at FROM person_tag"
    )


def _search() -> None:
    """The words of the stories, cut by jieba: full text, in whichever way this database has it."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("CREATE VIRTUAL TABLE story_text USING fts5(tokens)")
        return
    op.create_table(
        "story_text",
        sa.Column("rowid", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("tokens", sa.dialects.postgresql.TSVECTOR(), nullable=False),
    )
    op.create_index("ix_story_text_tokens", "story_text", ["tokens"], postgresql_using="gin")

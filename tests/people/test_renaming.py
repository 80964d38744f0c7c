"""A member goes by another userid: everything that named them does so by the new one."""

from datetime import date, timedelta
from typing import Any

from sqlalchemy import JSON, String, Text
from sqlalchemy.orm import InstrumentedAttribute

from people import persons, renaming
from storage.tables import (
    Base,
    BulkJob,
    Conversation,
    GroupChat,
    GroupMember,
    Handover,
    InboxRow,
    Interaction,
    Interval,
    KfAccount,
    PersonalTag,
    Progress,
    Relation,
    RelationFact,
    RepDay,
    Segment,
    TagRule,
    Task,
    Unassigned,
)
from tagging import rules
from tests.scheduler.syncing import sync
from tests.shop import Shop

LONG_AGO = date(2025, 11, 20)
USERID_LONG = range(64, 129)
"""A text column of such a length may hold a userid (64) or whoever acted (100)."""
NAMES_NOBODY = frozenset(
    {
        *("answer.definition", "answer.reply", "api_key.digest", "api_key.name", "api_key.scopes", "attempt.address"),
        *("approval.payload", "approval.payload_hash", "approval.preview", "approval.reasons"),
        *("approval.result", "approval_word.payload_hash"),
        *("audit.address", "audit.before_hash", "audit.hash", "broadcast.chat_ids", "broadcast.contents"),
        *("broadcast.repeat", "enrolment.because", "enrolment.entry_key", "journey.read_to", "link_open.once"),
        *("material.contents", "material.open_tags", "rep_card.attachments", "step_run.outcome"),
        *("webhook_call.body", "webhook_call.once"),
        *("inbound_door.template", "inbound_seen.answer", "inbound_seen.digest", "webhook.events"),
        *("bulk_job.tags", "channel.code", "channel.config_id", "mass_task.attachments", "mass_task.chat_ids"),
        *("mass_task.msgid", "mass_task.reached", "setting.value", "touch.external_userid"),
        *("own_visit.digest", "tracked_link.external_userid"),
        *("channel.name", "channel.tags", "channel.welcome", "conversation.external_userid", "conversation.open_kfid"),
        *("erasure.counts", "erasure.digests", "gate.api", "group_chat.chat_id", "group_chat.version"),
        *("group_member.chat_id", "handover.moved", "handover_row.external_userid", "idempotent_answer.request_digest"),
        *("inbox.extra_codes", "inbox.identity", "inbox.name", "job_run.job", "kept_file.content_type"),
        *("kept_file.name", "kf_account.name", "kf_account.open_kfid", "kf_account.welcome", "lease.name"),
        *("lease.owner", "media.content_type", "media.digest", "member.departments", "member.leads", "outbox.api"),
        *("points_lot.campaign", "points_lot.channel", "points_lot.store", "points_lot.uses", "points_lot_now.uses"),
        *("points_day.channel", "points_day.moves", "points_day.store"),
        *("points_forecast.figures", "points_forecast.months", "points_forecast.parameters"),
        *("points_forecast.positions", "points_forecast_score.splits", "points_campaign.pauses"),
        *("points_seal.hash", "points_seal.hash_before", "points_txn.content_hash", "points_txn.request_hash"),
        *("order_line.category", "order_line.sku", "order_source.name", "points_counter.key", "points_txn.result"),
        "points_boost.source",
        *("refund.digest", "refund.order_no", "refund.refund_no", "refund.source", "shop_order.digest"),
        *("shop_order.order_no", "shop_order.source", "shop_order.store"),
        *("redemption.confirmed", "redemption.store", "reward.stores"),
        *("progress.name", "relation.external_userid", "relation.remark_phones", "relation.source_state"),
        *("relation_fact.source_state", "rule_hit.evidence", "rule_hit.given", "rule_hit.once", "sign_in.address"),
        *("sign_in.digest", "sign_in_link.digest", "sync_run.at", "tag.wecom_group_id", "tag.wecom_id"),
        *("tag_ground.evidence", "tag_ground.source_id", "tag_rule.definition", "tag_rule.tags", "task.once"),
        *("unassigned.external_userid", "welcome.attachments", "welcome.external_userid", "identity_review.why"),
    }
)


def rename(shop: Shop) -> None:
    with shop.work() as work:
        renaming.rename(work, "lisi", "li.si")


def named(column: InstrumentedAttribute[Any]) -> str:
    (only,) = column.property.columns
    return f"{only.table.name}.{only.name}"


def test_of_every_column_it_is_decided_whether_it_names_one_of_ours() -> None:
    """To do about a column that fails here: ``people.renaming`` if a userid can stand in it, this file if none can."""
    within = [column for column, _ in renaming.WITHIN]
    follows = [named(one) for one in (*renaming.NAMES, *within, *renaming.APART)]
    assert len(follows) == len(set(follows))
    decided = {*follows, *renaming.STAYS} | NAMES_NOBODY
    able = {
        f"{table.name}.{one.name}"
        for table in Base.metadata.sorted_tables
        for one in table.columns
        if isinstance(one.type, JSON)
        or (isinstance(one.type, String) and not isinstance(one.type, Text) and one.type.length in USERID_LONG)
    }
    assert able == decided
    assert len(decided) == len(follows) + len(renaming.STAYS) + len(NAMES_NOBODY)


def test_whatever_hangs_on_a_relation_is_moved_when_two_become_one() -> None:
    hanging = {
        table.name
        for table in Base.metadata.sorted_tables
        for key in table.foreign_keys
        if key.target_fullname == "relation.id"
    }
    moved = {table.__tablename__ for table, _ in renaming.OF_RELATIONS}
    assert hanging == {*moved, Interval.__tablename__}


def test_a_personal_tag_set_under_the_new_name_does_not_stop_the_rename(shop: Shop) -> None:
    external = shop.world.add_by_phone("lisi", "小雨").external_userid
    shop.catch_up()
    shop.world.rep_tags("lisi", external, personal=[("我的", "熟客")])
    shop.catch_up()
    shop.advance(minutes=1)
    shop.deliverer.pause()
    shop.world.rename_member("lisi", "li.si")
    renamed = shop.world.events[-1].xml
    shop.world.rep_tags("li.si", external, personal=[("我的", "爱拍照")])
    shop.post(shop.world.events[-1].xml)
    shop.catch_up()
    shop.post(renamed)
    shop.catch_up()
    assert {one.state for one in shop.rows(InboxRow)} == {"done"}
    (relation,) = shop.rows(Relation)
    assert relation.userid == "li.si"
    assert {one.relation_id for one in shop.rows(PersonalTag)} == {relation.id}
    assert {"熟客", "爱拍照"} <= {one.name for one in shop.rows(PersonalTag)}


def test_a_nightly_sync_gets_over_such_a_rename_too(shop: Shop) -> None:
    external = shop.world.add_by_phone("lisi", "小雨").external_userid
    shop.catch_up()
    with shop.world.unheard():
        shop.world.rename_member("lisi", "li.si")
    shop.world.rep_tags("li.si", external, personal=[("我的", "爱拍照")])
    shop.catch_up()
    shop.advance(minutes=15)
    with shop.db() as db:  # the event made nobody known under the new name: the sync finds out who that is
        assert {one.userid for one in db.query(Relation)} == {"lisi", "li.si"}
    sync(shop)
    assert {one.userid for one in shop.rows(Relation)} == {"li.si"}
    assert [one.name for one in shop.rows(PersonalTag)] == ["爱拍照"]


def test_chats_groups_plans_figures_and_unfinished_work_follow(shop: Shop) -> None:
    now = shop.now()
    with shop.work() as work:
        db, mine = work.db, persons.person_of(work, "wm1")
        person_id, at = mine.id, {"created_at": now, "changed_at": now}
        servicers = {name: {"receiving": True, "stop_type": 0} for name in ("wangwu", "lisi")}
        db.add(KfAccount(open_kfid="wk1", servicers=servicers))
        db.flush()
        chat = Conversation(open_kfid="wk1", external_userid="wm1", person_id=mine.id, servicer="lisi", last_at=now)
        day = {"userid": "lisi", "day": LONG_AGO, "read_at": now}
        db.add_all((chat, RepDay(**day), GroupChat(chat_id="wr1", owner="lisi")))
        db.flush()
        db.add(GroupMember(chat_id="wr1", member="lisi", type=1, joined_at=now))
        db.add_all((Handover(giver="lisi", taker="wangwu", by="lisi", created_at=now),
                    Handover(giver="wangwu", taker="lisi", by="boss", created_at=now)))  # fmt: skip
        db.add(Unassigned(giver="lisi", external_userid="wm1", read_at=now))
        db.add(BulkJob(what="tag", by="lisi", confirmed_by="boss", **at))
        db.add(Task(person_id=mine.id, userid="wangwu", text="回访", once="1", created_by="lisi", created_at=now))
        lines = [{"member": "lisi"}, {"draft": {"members": ["lisi", "wangwu"], "name": "lisi"}}]
        db.add(Progress(name="x", state="running", at={"by": "lisi", "lines": lines}, started_at=now, changed_at=now))
        persons.tell(work, mine.id, "note", now, once="n", userid="lisi", details={"text": "lisi", "by": "lisi"})
        persons.tell(work, mine.id, "kf_event", now, once="k", details={"type": "x", "from": "lisi", "to": "wangwu"})
        tree = {"all": [{"field": "rep", "op": "any", "value": ["lisi", "wangwu"]}, {"not": {"any": []}}]}
        db.add(Segment(name="李四的", filter=tree, created_by="lisi", **at))
        draft = rules.Draft("李四的", kind="arrival", scope={"reps": ["lisi", "wangwu"]}, tags=(("来源", "李四"),))
        rules.create(work, draft, by="lisi")
    shop.advance(minutes=1)
    rename(shop)
    assert list(shop.rows(KfAccount)[0].servicers) == ["wangwu", "li.si"]
    assert [one.servicer for one in shop.rows(Conversation)] == ["li.si"]
    assert not shop.rows(RepDay, RepDay.userid == "lisi")
    assert [one.userid for one in shop.rows(RepDay, RepDay.day == LONG_AGO)] == ["li.si"]
    assert [one.owner for one in shop.rows(GroupChat)] == ["li.si"]
    assert [one.member for one in shop.rows(GroupMember)] == ["li.si"]
    plans = [(one.giver, one.taker, one.by) for one in shop.rows(Handover)]
    assert plans == [("li.si", "wangwu", "li.si"), ("wangwu", "li.si", "boss")]
    assert [one.giver for one in shop.rows(Unassigned)] == ["li.si"]
    assert [(one.by, one.confirmed_by) for one in shop.rows(BulkJob)] == [("li.si", "boss")]
    assert [(one.userid, one.created_by) for one in shop.rows(Task)] == [("wangwu", "li.si")]
    (place,) = shop.rows(Progress, Progress.name == "x")
    assert place.at["by"] == "li.si"
    assert place.at["lines"][1]["draft"] == {"members": ["li.si", "wangwu"], "name": "lisi"}
    note, event = shop.rows(Interaction, Interaction.person_id == person_id)
    assert (note.userid, note.details) == ("li.si", {"text": "lisi", "by": "li.si"})
    assert event.details == {"type": "x", "from": "li.si", "to": "wangwu"}
    (segment,) = shop.rows(Segment)
    assert (segment.filter["all"][0]["value"], segment.created_by) == (["li.si", "wangwu"], "li.si")
    (rule,) = shop.rows(TagRule)
    assert (rule.scope["reps"], rule.created_by) == (["li.si", "wangwu"], "li.si")
    assert rule.changed_at == shop.now()  # every process reads it anew


def test_what_stands_under_the_new_name_already_is_not_kept_twice(shop: Shop) -> None:
    now = shop.now()
    with shop.db() as db:
        for userid, chats in (("lisi", 3), ("li.si", 5)):
            db.add(RepDay(userid=userid, day=LONG_AGO, chats=chats, read_at=now))
            db.add(Unassigned(giver=userid, external_userid="wm1", read_at=now))
        db.add(RepDay(userid="lisi", day=LONG_AGO - timedelta(days=1), chats=1, read_at=now - timedelta(days=1)))
    rename(shop)
    kept = shop.rows(RepDay, RepDay.day <= LONG_AGO)
    assert [(one.userid, one.day.day, one.chats) for one in kept] == [("li.si", 20, 5), ("li.si", 19, 1)]
    assert [one.giver for one in shop.rows(Unassigned)] == ["li.si"]


def test_two_relations_become_one_with_the_facts_of_both(shop: Shop) -> None:
    with shop.work() as work:
        person = persons.person_of(work, "wm1")
        for userid, back in (("lisi", 2), ("li.si", 1)):
            relation = persons.relation_of(work.db, person, userid, "wm1")
            persons.record(work, person, relation, persons.Fact("full", work.now - timedelta(hours=back)))
    rename(shop)
    (relation,) = shop.rows(Relation)
    assert {one.relation_id for one in shop.rows(RelationFact)} == {relation.id}
    assert [one.userid for one in shop.rows(Interval)] == ["li.si"]

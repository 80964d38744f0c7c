"""S40 to S43: one person's data are given out whole, erased whole, stay erased, and are kept no longer than decided."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import JSON, Boolean, Date, Integer, LargeBinary, String, Text, insert, select, text
from sqlalchemy.orm import Session

from bot import backups, people_desk
from people import groups, persons, phones, privacy
from people.privacy import HOLDINGS, NOBODY, RELEASE
from storage import search
from storage.database import UtcTime, open_engine, reading, transaction
from storage.tables import (
    ApiKey,
    AuditRow,
    Base,
    BulkJob,
    Enrolment,
    Erasure,
    GroupMember,
    Handover,
    Identity,
    InboxRow,
    Interaction,
    Journey,
    KeptFile,
    KfAccount,
    Material,
    OutboxRow,
    OwnPage,
    Person,
    PointsAccount,
    Relation,
    Reward,
    RuleHit,
    Segment,
    SyncRun,
    Tag,
    TagGround,
    TagRule,
    TrackedLink,
)
from storage.work import Work
from tests import databases
from tests.shop import Shop, build_shop, close_shop

EXTERNAL, NAME, OTHER = "wmMARKER00000000000000000000001", "独一无二的小雨", "wmOTHER000000000000000000000002"
NUMBER = "13812345678"
MARK = f"记号 {EXTERNAL} {NAME}"
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
TABLES = {table.name: table for table in Base.metadata.sorted_tables}


class House:
    """The rows that a person's rows hang on."""

    def __init__(self, db: Session, external: str, name: str) -> None:
        work = Work(db, NOW)
        self.person = persons.person_of(work, external, NOW)
        self.person.name, self.person.phone = name, NUMBER if external == EXTERNAL else None
        self.relation = persons.relation_of(db, self.person, "lisi", external)
        tag = db.scalars(select(Tag)).first() or Tag(group_name="来源", name="抖音", created_at=NOW)
        rule = db.scalars(select(TagRule)).first()
        rule = rule or TagRule(name="规则", kind="keyword", created_at=NOW, changed_at=NOW)
        job = BulkJob(what="tag", tags=[], by="boss", created_at=NOW, changed_at=NOW)
        plan = Handover(giver="lisi", taker="wangwu", by="boss", created_at=NOW)
        account = db.get(KfAccount, "wk1") or KfAccount(open_kfid="wk1")
        key = db.scalars(select(ApiKey)).first()
        key = key or ApiKey(name="till", digest="d", hint="h", scopes=[], created_at=NOW, created_by="boss")
        line = Interaction(person_id=self.person.id, kind="kf_in", at=NOW, details={"text": f"{name}说"}, once=external)
        segment = db.scalars(select(Segment)).first()
        segment = segment or Segment(name="分层", created_at=NOW, changed_at=NOW)
        db.add_all([tag, rule, job, plan, account, key, line, segment])
        db.flush()
        on_the_way = self._on_the_way(db)
        search.index(db, line.id, f"{name}说")
        keys = {"person": self.person, "relation": self.relation, "tag": tag, "tag_rule": rule, "bulk_job": job}
        self.keys: dict[str, Any] = {name: one.id for name, one in keys.items()}
        self.keys |= {"handover": plan.id, "api_key": key.id, "interaction": line.id, "kf_account": "wk1"}
        self.keys["segment"] = segment.id
        self.keys |= on_the_way
        self.keys |= self._in_the_books(db)
        page = OwnPage(person_id=self.person.id, token=f"m{self.person.id}", made_at=NOW, revoked_at=NOW)
        db.add(page)
        db.flush()
        self.keys["own_page"] = page.id

    def _in_the_books(self, db: Session) -> dict[str, Any]:
        """A reward, and an account that is nobody's."""
        account = PointsAccount(name=f"公益{self.person.id}", made_at=NOW)
        facts = {"name": "杯子", "kind": "goods", "points": 1, "stores": [], "days": 1, "state": "live"}
        reward = Reward(**facts, made_by="boss", made_at=NOW)
        db.add_all([account, reward])
        db.flush()
        return {"points_account": account.id, "reward": reward.id}

    def _on_the_way(self, db: Session) -> dict[str, Any]:
        """A journey this person is on, and a link that was made for them."""
        journey = db.scalars(select(Journey)).first() or Journey(name="旅程", made_at=NOW, changed_at=NOW)
        material = db.scalars(select(Material)).first()
        material = material or Material(kind="link", name="新品", made_at=NOW, changed_at=NOW)
        db.add_all([journey, material])
        db.flush()
        number = self.person.id
        enrolment = Enrolment(journey_id=journey.id, version=1, person_id=number, since=NOW, began_at=NOW)
        link = TrackedLink(token=f"t{number}", url="https://shop.test", source="card", once=f"{number}", made_at=NOW)
        link.person_id = number
        db.add_all([enrolment, link])
        db.flush()
        return {"journey": journey.id, "material": material.id, "enrolment": enrolment.id, "tracked_link": link.id}


def plant(db: Session, house: House, external: str, mark: str) -> None:
    """A row of this person in every table that can hold one, the mark wherever text fits."""
    db.execute(text("INSERT INTO group_chat (chat_id, name, owner, version) VALUES ('wr1', '', '', '')")
               if not db.scalar(text("SELECT count(*) FROM group_chat")) else text("SELECT 1"))  # fmt: skip
    house.keys["group_chat"] = "wr1"
    for holding in HOLDINGS:
        name = holding.table.__tablename__
        if name in ("person", "relation", "identity", "evidence", "audit"):
            continue
        free = {one.key for one in holding.texts}
        others = free or holding.at_erasure == RELEASE  # what else stands there says nothing of a person
        columns = [one for one in TABLES[name].columns if wanted(one)]
        marks = {one.name: external[:6] if others and one.name not in free else mark for one in columns}
        values = {one.name: value(one, house, external, marks[one.name]) for one in columns}
        db.execute(insert(TABLES[name]).values(**values))


def wanted(column: Any) -> bool:
    return not (column.primary_key and isinstance(column.type, Integer) and not column.foreign_keys)


def value(column: Any, house: House, external: str, mark: str) -> Any:
    for key in column.foreign_keys:
        return house.keys.get(key.column.table.name)
    if column.name in ("external_userid", "member", "asked"):
        return external
    if isinstance(column.type, JSON):
        return {"里": [mark, {mark: 1}]}
    if isinstance(column.type, UtcTime):
        return NOW
    if isinstance(column.type, Date):
        return date(2026, 11, 22)
    if isinstance(column.type, LargeBinary):
        return mark.encode()
    if isinstance(column.type, Boolean):
        return False
    if isinstance(column.type, String | Text):
        return mark if (column.type.length or 999) >= len(mark) else external[2:6]
    return 77


def everything(db: Session) -> str:
    """Every row of every table, as text."""
    found = []
    for table in Base.metadata.sorted_tables:
        found += [f"{table.name}: {tuple(row)!r}" for row in db.execute(select(table))]
    found += [f"story_text: {row!r}" for row in db.execute(text("SELECT * FROM story_text"))]
    plain = "\n".join(found)
    return plain + plain.encode().decode("unicode_escape", errors="ignore")


@pytest.fixture
def engine(database_url: str) -> Iterator[Any]:
    engine = open_engine(database_url)
    with transaction(engine) as db:
        for external, name in ((EXTERNAL, NAME), (OTHER, "阿哲")):
            plant(db, House(db, external, name), external, f"记号 {external} {name}")
    yield engine
    engine.dispose()


def test_every_table_is_decided() -> None:
    decided = [*{one.table.__tablename__ for one in HOLDINGS}, *NOBODY]
    assert sorted(decided) == sorted(TABLES)
    assert all(NOBODY.values())


def test_an_export_holds_what_stands_in_every_table(engine: Any) -> None:
    found = people_desk.hold_of(engine, EXTERNAL)
    assert found is not None
    told = json.dumps(found, ensure_ascii=False)
    assert OTHER not in told
    for holding in HOLDINGS:
        name = holding.table.__tablename__
        if name != "audit":
            assert about_her(found["tables"][name]), name
    assert found["tables"]["person"][0]["phone"] == NUMBER
    assert found["tables"]["kept_file"][0]["content"]
    assert set(found["about"]) == set(found["tables"])
    again = people_desk.hold_of(engine, EXTERNAL)
    assert again is not None
    assert [one["action"] for one in again["tables"]["audit"]] == ["customer.export"]


def about_her(rows: list[dict[str, Any]]) -> bool:
    told = json.dumps(rows, ensure_ascii=False)
    return EXTERNAL in told or NAME in told or all({"person_id", "relation_id"} & set(one) for one in rows)


def test_after_an_erasure_nothing_tells_of_the_person(engine: Any, database_url: str) -> None:
    before = people_desk.hold_of(engine, OTHER)
    receipt = people_desk.erase(engine, EXTERNAL)
    assert receipt is not None
    with reading(engine) as db:
        left = everything(db)
        rows = db.scalars(select(Erasure)).all()
    for mark in (EXTERNAL, NAME, "独一", NUMBER):
        assert mark not in left, mark
    assert [one.person for one in rows] == [receipt["person"]]
    assert rows[0].digests == [privacy.digest("external_userid", EXTERNAL)]
    assert {"inbox", "outbox", "kept_file", "bulk_row", "sync_run", "progress"} <= set(receipt["rows"])
    after = people_desk.hold_of(engine, OTHER)
    assert before is not None
    assert after is not None
    assert {name: len(rows) for name, rows in after["tables"].items()} == {
        name: len(rows) + (name == "audit") for name, rows in before["tables"].items()
    }
    if database_url.startswith("sqlite"):
        file = Path(database_url.removeprefix("sqlite:///"))
        held = b"".join(one.read_bytes() for one in file.parent.glob(f"{file.name}*"))
        for mark in (EXTERNAL, NAME, NUMBER):
            assert mark.encode() not in held, mark
            assert json.dumps(mark)[1:-1].encode() not in held, mark
    assert people_desk.erase(engine, EXTERNAL) is None


def test_messages_that_speak_of_them_without_an_id_go_too(engine: Any) -> None:
    with transaction(engine) as db:
        person = people_desk.find(db, EXTERNAL)
        assert person is not None
        persons.tell(Work(db, NOW), person.id, "note", NOW, once="note:1", details={"text": "对花生过敏，别推荐坚果"})
        xml = "<xml><Content><![CDATA[备注 对花生过敏，别推荐坚果]]></Content></xml>"
        db.add(inbox_row("message.text", xml))
        db.add(inbox_row("message.text", "<xml><Content><![CDATA[今天有谁]]></Content></xml>"))
        texts = {"done": f"{NAME}：三天没回复", "waiting": f"提醒：联系{NAME}", "held": "今天 3 位新客户"}
        for state, words in texts.items():
            db.add(outbox_row(state, {"userids": ["lisi"], "text": words}))
    people_desk.erase(engine, EXTERNAL)
    with reading(engine) as db:
        names = [one.xml for one in db.scalars(select(InboxRow).where(InboxRow.name == "message.text"))]
        sent = select(OutboxRow).where(OutboxRow.api == "message/send").order_by(OutboxRow.id)
        calls = [(one.state, one.body["text"]) for one in db.scalars(sent)]
    assert names == ["<xml><Content><![CDATA[今天有谁]]></Content></xml>"]
    assert calls == [
        ("done", "（已删除）：三天没回复"),
        ("waiting", "提醒：联系（已删除）"),
        ("held", "今天 3 位新客户"),
    ]


@pytest.mark.parametrize("name", ["ai", "AI", "你好", "done", "relations", "waiting"])
def test_somebody_called_by_a_common_word_takes_nothing_else_with_them(engine: Any, name: str) -> None:
    with transaction(engine) as db:
        person = people_desk.find(db, EXTERNAL)
        assert person is not None
        person.name = name
        answer = outbox_row("waiting", {"touser": OTHER, "text": "你好，ai 客服在的"})
        answer.name, answer.api = "ReplyKf", "kf/send_msg"
        db.add_all([answer, outbox_row("waiting", {"userids": ["lisi"], "text": "今天 3 位新客户"})])
        db.add(SyncRun(state="done", by="ai", report={"relations": {"done": 3}}, started_at=NOW, changed_at=NOW))
        db.add(BulkJob(what="tag", state="done", by="waiting", created_at=NOW, changed_at=NOW))
    people_desk.erase(engine, EXTERNAL)
    with reading(engine) as db:
        calls = [(one.state, one.body.get("text")) for one in db.scalars(select(OutboxRow).order_by(OutboxRow.id))]
        run = db.scalars(select(SyncRun).order_by(SyncRun.id.desc())).first()
        job = db.scalars(select(BulkJob).order_by(BulkJob.id.desc())).first()
    assert calls[-2:] == [("waiting", "你好，ai 客服在的"), ("waiting", "今天 3 位新客户")]
    assert run is not None
    assert (run.state, run.by, run.report) == ("done", "ai", {"relations": {"done": 3}})
    assert job is not None
    assert (job.state, job.by) == ("done", "waiting")


def inbox_row(name: str, xml: str) -> InboxRow:
    times = {"due_at": NOW, "event_at": NOW, "received_at": NOW}
    return InboxRow(identity=str(hash(xml)), name=name, key="k", lane="events", state="done", xml=xml, **times)


def outbox_row(state: str, body: dict[str, Any]) -> OutboxRow:
    api = {"name": "TellMembers", "api": "message/send", "lane": "calls", "harmless": False}
    return OutboxRow(once=str(hash(str(body))), body=body, key="k", state=state, asked_at=NOW, due_at=NOW, **api)


def test_the_files_are_cleaned_by_a_job_once_after_an_erasure(shop: Shop) -> None:
    with shop.work() as work:
        person = persons.person_of(work, EXTERNAL, work.now)
        found = privacy.look_through(work.db, person)
        persons.tell(work, person.id, "note", work.now, once="note:1", details={"text": "对花生过敏，别推荐坚果"})
        work.db.add(inbox_row("message.text", "<xml><Content>备注 对花生过敏，别推荐坚果</Content></xml>"))
    with shop.work() as work:
        person = work.db.get_one(Person, person.id)
        receipt = privacy.erase(work, person, by="boss", found=found)
        assert receipt.counts["inbox"] == 1  # what came after the look is found all the same
    said = []
    for _ in range(2):
        shop.advance(minutes=1)
        shop.tick()
        said.append(dict(shop.jobs_run)["wipe what was erased"])
    assert said == ["files cleaned", "nothing was erased"]


def test_the_id_of_somebody_erased_is_never_given_again(engine: Any) -> None:
    with transaction(engine) as db:
        last = persons.person_of(Work(db, NOW), "wmLAST0001")
    people_desk.erase(engine, "wmLAST0001")
    with transaction(engine) as db:
        assert persons.person_of(Work(db, NOW), "wmLAST0001").id > last.id
    people_desk.erase(engine, "wmLAST0001")
    with reading(engine) as db:
        assert len(db.scalars(select(Erasure.person).distinct()).all()) == 2


def test_who_comes_back_is_somebody_new_and_what_reps_do_about_them_is_not_kept(shop: Shop) -> None:
    channel = shop.channel()
    arrival = shop.world.scan(channel.code, name=NAME, userid="lisi")
    shop.catch_up()
    external = arrival.external_userid
    people_desk.erase(shop.parts.engine, external)
    shop.advance(minutes=1)
    shop.world.edit_remark("lisi", external, remark="老客户")
    shop.catch_up()
    assert shop.rows(Person) == []
    shop.advance(minutes=1)
    shop.world.member_deletes("lisi", external)
    shop.catch_up()
    assert shop.rows(Person) == []
    assert all(one.state == "done" for one in shop.rows(InboxRow))
    shop.advance(minutes=1)
    shop.world.scan(channel.code, name=NAME, userid="lisi", external_userid=external)
    shop.catch_up()
    (person,) = shop.rows(Person)
    assert (person.id, person.name) == (2, NAME)
    with shop.db() as db:
        kinds = db.scalars(select(Interaction.kind).where(Interaction.person_id == person.id)).all()
    assert "edited" not in kinds


def test_the_first_fill_does_not_bring_somebody_erased_back(shop: Shop) -> None:
    from scheduler.first_fill import take_over_page

    known = shop.world.remember("lisi", NAME, days_ago=30).external_userid
    page, _ = shop.parts.gateway.relations(["lisi"])
    with shop.work() as work:
        assert take_over_page(work, page) == 1
    people_desk.erase(shop.parts.engine, known)
    with shop.work() as work:
        assert take_over_page(work, page) == 0
    assert shop.rows(Person) == []


def test_an_erasure_needs_all_or_nothing(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = people_desk.hold_of(engine, EXTERNAL)

    def die(*_: Any, **__: Any) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(privacy, "digests_of", die)
    with pytest.raises(RuntimeError):
        people_desk.erase(engine, EXTERNAL)
    monkeypatch.undo()
    monkeypatch.setattr(privacy, "Erasure", die)
    with pytest.raises(RuntimeError):
        people_desk.erase(engine, EXTERNAL)
    monkeypatch.undo()
    after = people_desk.hold_of(engine, EXTERNAL)
    assert before is not None
    assert after is not None
    assert {**after["tables"], "audit": []} == {**before["tables"], "audit": []}


# --- backups ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(database_url: str, tmp_path: Path) -> Iterator[str]:
    """An empty place to restore into."""
    if database_url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path}/restored.db"
        return
    name = f"scrm_restored_{uuid.uuid4().hex[:8]}"
    databases.run(f"CREATE DATABASE {name}")
    yield databases.sqlalchemy_url(name)
    databases.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def test_a_restored_backup_forgets_again_who_was_erased_after_it(
    engine: Any, database_url: str, elsewhere: str, tmp_path: Path
) -> None:
    file = tmp_path / "before.backup"
    with transaction(engine) as db:
        later = persons.person_of(Work(db, NOW), "wmLATER0001", NOW)
    backups.write(database_url, file)
    people_desk.erase(engine, EXTERNAL)
    people_desk.erase(engine, "wmLATER0001")
    told = backups.restore(elsewhere, file, verify_only=False, erased_in=database_url)
    assert "erased again: 2" in told
    restored = open_engine(elsewhere)
    with reading(restored) as db:
        left = everything(db)
        assert db.scalars(select(Person.name)).all() == ["阿哲"]
        assert len(db.scalars(select(Erasure)).all()) == 2
        assert len(db.scalars(select(Interaction.id).where(search.holding(db, "阿哲说"))).all()) == 1
    assert EXTERNAL not in left
    assert NAME not in left
    with transaction(restored) as db:
        assert persons.person_of(Work(db, NOW), "wmNEW00001").id > later.id
    restored.dispose()


def test_a_restore_without_the_old_database_says_what_it_cannot_know(
    engine: Any, database_url: str, elsewhere: str, tmp_path: Path
) -> None:
    file = tmp_path / "before.backup"
    backups.write(database_url, file)
    assert "only known with --erased-in" in backups.restore(elsewhere, file, verify_only=False)
    with pytest.raises(backups.BackupError, match="erased-in"):
        backups.restore(f"sqlite:///{tmp_path}/x.db", file, verify_only=False, erased_in="sqlite:////nowhere/x.db")


# --- the term of what was written ------------------------------------------------------------------------------------


@pytest.fixture
def forgetful(database_url: str) -> Iterator[Shop]:
    """A shop that keeps what people write for 30 days."""
    shop = build_shop(database_url)
    privacy_settings = shop.parts.settings.privacy.model_copy(update={"keep_text_days": 30})
    settings = shop.parts.settings.model_copy(update={"privacy": privacy_settings})
    object.__setattr__(shop.parts, "settings", settings)
    shop.open_for_business()
    yield shop
    close_shop(shop)


def write(shop: Shop, days_ago: float, words: str) -> int:
    at = shop.now() - timedelta(days=days_ago)
    with shop.work() as work:
        person = persons.person_of(work, EXTERNAL, at)
        tag = work.db.scalars(select(Tag)).first() or Tag(group_name="意向", name="问价", created_at=at)
        rule = work.db.scalars(select(TagRule)).first() or TagRule(
            name="r", kind="keyword", created_at=at, changed_at=at
        )
        details = {"type": "image", "text": words, "open_kfid": "wk1", "raw": {"location": words}}
        line = Interaction(person_id=person.id, kind="kf_in", at=at, details=details, once=f"line{days_ago}")
        note = Interaction(person_id=person.id, kind="note", at=at, details={"text": "备注"}, once=f"note{days_ago}")
        work.db.add_all([tag, rule, line, note])
        work.db.flush()
        search.index(work.db, line.id, words)
        evidence = {"words": ["多少钱"], "quote": words, "interaction": line.id, "where": "kf"}
        ground = {"person_id": person.id, "tag_id": tag.id, "source": "keyword", "because": "问价"}
        work.db.add(TagGround(**ground, source_id=f"rule:{days_ago}", evidence=evidence, at=at))
        hit = {"rule_id": rule.id, "version": 1, "person_id": person.id, "evidence": evidence}
        work.db.add(RuleHit(**hit, once=f"hit{days_ago}", at=at))
        file = {"interaction_id": line.id, "media_id": "m1", "kind": "image", "state": "kept"}
        work.db.add(KeptFile(**file, due_at=at, content=words.encode(), size=9))
        for row in (inbox_row("message.text", words), outbox_row("done", {"text": words})):
            work.db.add(row)
            for name in ("received_at", "asked_at", "due_at", "event_at"):
                if hasattr(row, name):
                    setattr(row, name, at)
        return line.id


def test_words_past_their_term_are_gone_after_the_night(forgetful: Shop) -> None:
    shop = forgetful
    old, new = write(shop, 31, "这件多少钱甲甲甲"), write(shop, 29, "这件多少钱乙乙乙")
    shop.advance(hours=12)
    shop.tick()
    with shop.db() as db:
        left = everything(db)
        lines = {one.id: one.details for one in db.scalars(select(Interaction).where(Interaction.kind == "kf_in"))}
        files = {one.interaction_id: (one.state, one.content) for one in db.scalars(select(KeptFile))}
        notes = db.scalars(select(Interaction.details).where(Interaction.kind == "note")).all()
        found = db.scalars(select(Interaction.id).where(search.holding(db, "多少钱"))).all()
    assert "甲甲" not in left
    assert lines[old] == {"type": "image", "open_kfid": "wk1", "blanked": True}
    assert lines[new]["text"] == "这件多少钱乙乙乙"
    assert files[old] == ("erased", None)
    assert files[new][0] == "kept"
    assert found == [new]
    assert notes == [{"text": "备注"}, {"text": "备注"}]
    assert [one.evidence.get("quote") for one in shop.rows(TagGround)] == [None, "这件多少钱乙乙乙"]
    assert [one.evidence["words"] for one in shop.rows(RuleHit)] == [["多少钱"], ["多少钱"]]
    assert [one.xml for one in shop.rows(InboxRow, InboxRow.name == "message.text")] == ["这件多少钱乙乙乙"]
    assert [one.body for one in shop.rows(OutboxRow, OutboxRow.api == "message/send")] == [{"text": "这件多少钱乙乙乙"}]
    shop.advance(days=2)
    shop.tick()
    with shop.db() as db:
        assert db.get_one(Interaction, new).details == {"type": "image", "open_kfid": "wk1", "blanked": True}
    assert dict(shop.jobs_run)["blank old texts"] == "texts let go of: 5"


def test_without_a_term_words_are_kept(shop: Shop) -> None:
    line = write(shop, 4000, "很久以前")
    shop.advance(hours=12)
    shop.tick()
    with shop.db() as db:
        assert db.get_one(Interaction, line).details["text"] == "很久以前"
    assert dict(shop.jobs_run)["blank old texts"] == "kept for ever"


def test_the_audit_says_who_gave_out_and_erased_and_nothing_of_the_person(engine: Any) -> None:
    people_desk.hold_of(engine, EXTERNAL)
    people_desk.erase(engine, EXTERNAL)
    with reading(engine) as db:
        rows = [(one.actor, one.action, one.subject, json.dumps(one.details)) for one in db.scalars(select(AuditRow))]
    assert [row[:3] for row in rows] == [
        ("command line", "customer.export", "p_1"),
        ("command line", "customer.erase", "p_1"),
    ]
    assert all(mark not in str(rows) for mark in (EXTERNAL, NAME, NUMBER))


def test_lists_for_everybody_hide_numbers_in_names(engine: Any, tmp_path: Path) -> None:
    with transaction(engine) as db:
        person = people_desk.find(db, OTHER)
        assert person is not None
        person.name = "阿哲 139-1234-5678"
    out = tmp_path / "customers.csv"
    people_desk.export(engine, "customers", out)
    assert "139****5678" in out.read_text(encoding="utf-8")
    assert not phones.found(out.read_text(encoding="utf-8"))
    with reading(engine) as db:
        assert db.scalars(select(Identity)).all()
        assert db.scalars(select(Relation)).all()


def test_a_group_read_anew_does_not_bring_somebody_erased_back(shop: Shop) -> None:
    external = shop.world.remember("lisi", NAME, days_ago=30).external_userid
    chat = shop.world.open_group("lisi", "豆友群", [external])
    shop.catch_up()
    shop.advance(minutes=1)
    facts = shop.parts.gateway.groups.one(chat.chat_id)
    assert facts is not None
    with shop.work() as work:
        persons.person_of(work, external)
        groups.keep(work, facts)
    people_desk.erase(shop.parts.engine, external)
    with shop.work() as work:
        work.looked_at = shop.now() + timedelta(minutes=1)
        assert groups.differences(work.db, facts) == []
        groups.keep(work, facts)
    assert external not in [one.member for one in shop.rows(GroupMember)]
    assert shop.rows(GroupMember)

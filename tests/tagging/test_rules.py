"""Rules that tag by themselves: made, heard, tried, applied afterwards, undone."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from people import by_hand, persons
from storage.tables import Interaction, KfAccount, Person, PersonTag, Progress, RuleHit, Tag, TagGround, TagRule
from tagging import rule_work, rules, tags
from tagging.channels import Invalid
from tagging.rules import Draft, Words
from tagging.tags import Ground
from tests.shop import Shop

PRICE = Draft(
    "问价",
    definition={"any_keywords": ["多少钱", "价格"], "not_keywords": ["不谈价格"]},
    tags=(("意向", "问价"),),
)


def make(shop: Shop, draft: Draft = PRICE) -> int:
    with shop.work() as work:
        return rules.create(work, draft, by="boss").id


def person(shop: Shop, number: int = 1) -> int:
    with shop.work() as work:
        return persons.person_of(work, f"wm{number}").id


def say(shop: Shop, person_id: int, text: str, at: datetime | None = None, kind: str = "kf_in") -> int:
    """A customer's line in a story, heard by the rules; how many rules met it."""
    with shop.work() as work:
        own = work.db.get_one(Person, person_id)
        at = at or work.now
        once = f"{kind}:{person_id}:{text}:{at.timestamp()}"
        row = {"person_id": own.id, "userid": None, "kind": kind, "at": at, "details": {"text": text}, "once": once}
        line = persons.told(work, row)
        assert line is not None
        where = rules.KF if kind == "kf_in" else rules.FORWARDED
        return len(rules.hear(work, own, Words(text, line, where, at)))


def tag_names(shop: Shop, person_id: int) -> list[str]:
    with shop.db() as db:
        rows = db.query(Tag.name).join(PersonTag, PersonTag.tag_id == Tag.id).filter(PersonTag.person_id == person_id)
        return sorted(name for (name,) in rows)


def carry_out(shop: Shop) -> None:
    with shop.db() as db:
        db.query(Progress).first()
    shop.advance(seconds=6)
    shop.tick()
    with shop.db() as db:
        assert {one.state for one in db.query(Progress).filter(Progress.name.startswith("rule:"))} == {"done"}


def test_words_become_a_tag_that_says_which_words_and_where(shop: Shop) -> None:
    rule, one = make(shop), person(shop)
    assert say(shop, one, "你好，这件大衣多少钱？") == 1
    assert tag_names(shop, one) == ["问价"]
    (ground,) = shop.rows(TagGround)
    assert (ground.source, ground.rule_id, ground.rule_version) == ("keyword", rule, 1)
    assert ground.because == "说了“多少钱”，符合规则“问价”"
    assert ground.evidence["words"] == ["多少钱"]
    assert "大衣多少钱" in ground.evidence["quote"]
    (hit,) = shop.rows(RuleHit)
    assert (hit.person_id, hit.evidence["interaction"]) == (one, shop.rows(Interaction)[0].id)


def test_a_forbidden_word_keeps_the_rule_silent(shop: Shop) -> None:
    make(shop)
    one = person(shop)
    assert say(shop, one, "今天不谈价格，只看样子") == 0
    assert tag_names(shop, one) == []


def test_the_same_message_meets_a_rule_once(shop: Shop) -> None:
    make(shop)
    one = person(shop)
    say(shop, one, "多少钱")
    with shop.work() as work:
        line = work.db.query(Interaction).filter(Interaction.kind == "kf_in").one()
        words = Words("多少钱", line.id, rules.KF, line.at)
        assert rules.hear(work, work.db.get_one(Person, one), words) == []
    assert len(shop.rows(RuleHit)) == 1


def test_a_changed_rule_works_from_the_next_message_on(shop: Shop) -> None:
    rule, one = make(shop), person(shop)
    assert say(shop, one, "有大码吗") == 0
    with shop.work() as work:
        own = work.db.get_one(TagRule, rule)
        draft = Draft("问码", definition={"any_keywords": ["大码"]}, tags=(("意向", "尺码"),))
        assert rules.change(work, own, draft, by="boss")
        assert not rules.change(work, own, draft, by="boss")
    assert say(shop, one, "有大码吗？") == 1
    (ground,) = shop.rows(TagGround)
    assert ground.rule_version == 2
    with shop.db() as db:
        said = [(one.version, one.said["name"]) for one in rules.versions(db, db.get_one(TagRule, rule))]
    assert said == [(2, "问码"), (1, "问价")]


def test_a_rule_whose_tag_became_one_of_wecoms_gives_that_from_the_next_message_on(shop: Shop) -> None:
    make(shop)
    shop.world.console_tags("意向", ("询价",))
    shop.catch_up()
    assert say(shop, person(shop), "有大码吗") == 0  # this process has read the rules
    shop.advance(minutes=1)
    shop.world.console_rename_tag("询价", "问价")
    shop.catch_up()
    (tag,) = shop.rows(Tag, Tag.group_name == "意向")
    assert say(shop, person(shop), "多少钱") == 1
    assert [one.given for one in shop.rows(RuleHit)] == [[tag.id]]
    assert tag_names(shop, person(shop)) == ["问价"]


def test_a_stopped_rule_hears_nothing(shop: Shop) -> None:
    rule, one = make(shop), person(shop)
    with shop.work() as work:
        assert rules.turn(work, work.db.get_one(TagRule, rule), "stopped", by="boss")
    assert say(shop, one, "多少钱") == 0


def test_scope_narrows_to_place_time_and_rep(shop: Shop) -> None:
    scope = {"where": ["forwarded"], "days": [1, 2, 3, 4, 5], "from": "22:00", "to": "06:00", "reps": ["lisi"]}
    make(shop, Draft(PRICE.name, definition=PRICE.definition, tags=PRICE.tags, scope=scope))
    arrival = shop.world.scan(shop.channel("门店", tags=()).code, userid="lisi")
    shop.catch_up()
    with shop.db() as db:
        known = persons.find_person(db, persons.EXTERNAL, arrival.external_userid)
        assert known is not None
        mine = known.id
    friday_night = datetime(2026, 11, 27, 23, 0, tzinfo=shop.parts.zone)
    assert say(shop, mine, "多少钱", friday_night) == 0  # in kf
    assert say(shop, mine, "多少钱", friday_night - timedelta(hours=3), "forwarded") == 0  # at eight
    assert say(shop, person(shop, 2), "多少钱", friday_night, "forwarded") == 0  # not lisi's
    assert say(shop, mine, "多少钱", friday_night, "forwarded") == 1
    assert say(shop, mine, "多少钱", friday_night + timedelta(hours=6), "forwarded") == 1  # at five: still Friday's
    assert say(shop, mine, "多少钱", friday_night + timedelta(days=1), "forwarded") == 0


def test_scope_narrows_to_a_channel(shop: Shop) -> None:
    channel = shop.channel("门店")
    arrival = shop.world.scan(channel.code, userid="lisi")
    shop.catch_up()
    scope = {"channels": [channel.id]}
    make(shop, Draft(PRICE.name, definition=PRICE.definition, tags=PRICE.tags, scope=scope))
    (mine,) = shop.rows(Person)
    assert say(shop, person(shop, 2), "多少钱") == 0
    assert say(shop, mine.id, "多少钱") == 1
    assert arrival.external_userid


def test_a_cap_counts_hits_of_one_customer(shop: Shop) -> None:
    make(shop, Draft(PRICE.name, definition=PRICE.definition, tags=PRICE.tags, cap=2))
    one = person(shop)
    assert [say(shop, one, f"多少钱 {n}") for n in range(4)] == [1, 1, 0, 0]


def test_arrivals_in_a_window_and_losses_are_tagged(shop: Shop) -> None:
    hour = shop.now().astimezone(shop.parts.zone).hour
    window = {"from": f"{hour:02}:00", "to": f"{(hour + 1) % 24:02}:00"}
    make(shop, Draft("这个点来的", kind="arrival", scope=window, tags=(("时段", "现在"),)))
    make(shop, Draft("走了", kind="loss", definition={"by": ["customer"]}, tags=(("状态", "走过"),)))
    arrival = shop.world.scan(shop.channel("门店", tags=()).code, userid="lisi")
    shop.catch_up()
    (one,) = shop.rows(Person)
    assert tag_names(shop, one.id) == ["现在"]
    shop.world.member_deletes("lisi", arrival.external_userid)
    shop.catch_up()
    assert tag_names(shop, one.id) == ["现在"]
    shop.advance(minutes=1)
    shop.world.scan(shop.channel("门店二", tags=()).code, userid="lisi", external_userid=arrival.external_userid)
    shop.catch_up()
    shop.world.customer_deletes("lisi", arrival.external_userid)
    shop.catch_up()
    assert tag_names(shop, one.id) == ["现在", "走过"]


def test_a_preview_counts_and_changes_nothing(shop: Shop) -> None:
    one, two = person(shop, 1), person(shop, 2)
    say(shop, one, "这个多少钱呀")
    say(shop, one, "价格能便宜吗")
    say(shop, two, "你们几点开门")
    say(shop, two, "多少钱", shop.now() - timedelta(days=40))
    with shop.db() as db:
        seen = rule_work.preview(db, PRICE, shop.now())
    assert (seen.read, seen.hits, seen.people, seen.tagged) == (3, 2, 1, 0)
    assert dict(seen.by_keyword) == {"多少钱": 1, "价格": 1}
    assert {one.words for one in seen.samples} == {"多少钱", "价格"}
    assert shop.rows(RuleHit) == []
    assert shop.rows(PersonTag) == []


def test_a_preview_says_who_has_the_tags_already(shop: Shop) -> None:
    one, two = person(shop, 1), person(shop, 2)
    make(shop)
    for each in (one, two):
        say(shop, each, "多少钱")
    with shop.work() as work:
        tag = tags.tag_named(work, "意向", "想买")
        tags.give(work, work.db.get_one(Person, two), tag, Ground("manual", "boss手动添加", actor="boss"))
    both = Draft("两个", definition=PRICE.definition, tags=(*PRICE.tags, ("意向", "想买")))
    unknown = Draft("没有过", definition=PRICE.definition, tags=(*PRICE.tags, ("意向", "没有过")))
    with shop.db() as db:
        seen = [rule_work.preview(db, draft, shop.now()) for draft in (PRICE, both, unknown)]
    assert [(each.people, each.tagged) for each in seen] == [(2, 2), (2, 1), (2, 0)]


def test_no_two_living_rules_are_called_alike(shop: Shop) -> None:
    one = make(shop)
    with pytest.raises(Invalid, match="已有一条规则叫“问价”"):
        make(shop)
    two = make(shop, replace(PRICE, name="别的"))
    with shop.work() as work:
        rule = work.db.get_one(TagRule, two)
        with pytest.raises(Invalid, match="已有一条规则"):
            rules.change(work, rule, PRICE, by="boss")
        assert rules.change(work, rule, replace(PRICE, name="别的", cap=1), by="boss")
        rules.turn(work, work.db.get_one(TagRule, one), "deleted", by="boss")
    make(shop)


def test_backfill_tags_what_was_said_before_the_rule(shop: Shop) -> None:
    one, two = person(shop, 1), person(shop, 2)
    say(shop, one, "多少钱")
    say(shop, two, "几点开门")
    rule = make(shop)
    with shop.work() as work:
        assert rule_work.begin_backfill(work, work.db.get_one(TagRule, rule))
    with shop.work() as work:
        assert not rule_work.begin_backfill(work, work.db.get_one(TagRule, rule))
    carry_out(shop)
    assert (tag_names(shop, one), tag_names(shop, two)) == (["问价"], [])


def test_undo_takes_back_what_a_rule_gave_and_leaves_what_others_gave(shop: Shop) -> None:
    rule = make(shop)
    arrival = shop.world.scan(shop.channel("门店", tags=()).code, userid="lisi")
    shop.catch_up()
    (mine,) = shop.rows(Person)
    other = person(shop, 2)
    for one in (mine.id, other):
        say(shop, one, "多少钱")
    shop.catch_up()
    assert shop.world.tag_names(shop.world.relation("lisi", arrival.external_userid)) == ["问价"]
    with shop.work() as work:
        tag = work.db.query(Tag).filter(Tag.name == "问价").one()
        tags.give(work, work.db.get_one(Person, other), tag, Ground("manual", "boss手动添加", actor="boss"))
        assert rule_work.begin_undo(work, work.db.get_one(TagRule, rule), by="boss")
    carry_out(shop)
    shop.catch_up()
    assert (tag_names(shop, mine.id), tag_names(shop, other)) == ([], ["问价"])
    assert shop.world.tag_names(shop.world.relation("lisi", arrival.external_userid)) == []
    assert all(one.undone_at for one in shop.rows(RuleHit))
    assert shop.rows(TagRule)[0].state == "stopped"


def test_the_story_tells_what_a_rule_gave_and_took_back(shop: Shop) -> None:
    rule, people = make(shop), [person(shop, n) for n in range(3)]
    for one in people:
        say(shop, one, "多少钱")
        say(shop, one, "价格呢")
    with shop.work() as work:
        tag = work.db.query(Tag).filter(Tag.name == "问价").one()
        tags.give(work, work.db.get_one(Person, people[0]), tag, Ground("manual", "boss手动添加", actor="boss"))
        assert rule_work.begin_undo(work, work.db.get_one(TagRule, rule), by="boss")
    carry_out(shop)
    lines = shop.rows(Interaction, Interaction.kind.in_(("tagged", "untagged")))
    told = sorted((one.person_id, one.kind, one.details["by"], one.details["tag"]) for one in lines)
    by, named = "rule:问价", "意向/问价"
    kept, *bare = people
    assert told == [
        (kept, "tagged", by, named),
        *((one, kind, by, named) for one in bare for kind in ("tagged", "untagged")),
    ]


def backfill(shop: Shop, rule: int) -> None:
    with shop.work() as work:
        assert rule_work.begin_backfill(work, work.db.get_one(TagRule, rule))
    carry_out(shop)


def test_what_was_undone_by_mistake_is_given_again_by_the_next_backfill(shop: Shop) -> None:
    rule, one = make(shop, Draft(PRICE.name, definition=PRICE.definition, tags=PRICE.tags, cap=1)), person(shop)
    say(shop, one, "多少钱")
    with shop.work() as work:
        assert rule_work.begin_undo(work, work.db.get_one(TagRule, rule), by="boss")
    carry_out(shop)
    assert tag_names(shop, one) == []
    with shop.work() as work:
        rules.turn(work, work.db.get_one(TagRule, rule), "active", by="boss")
    backfill(shop, rule)
    assert tag_names(shop, one) == ["问价"]
    (hit,) = shop.rows(RuleHit)
    assert (hit.undone_at, len(hit.given)) == (None, 1)


def test_a_changed_rule_is_applied_to_what_an_older_version_has_met_once(shop: Shop) -> None:
    rule, one = make(shop, Draft(PRICE.name, definition=PRICE.definition, tags=PRICE.tags, cap=1)), person(shop)
    say(shop, one, "多少钱")
    with shop.work() as work:
        draft = Draft(PRICE.name, definition=PRICE.definition, tags=(("意向", "想买"),), cap=1)
        rules.change(work, work.db.get_one(TagRule, rule), draft, by="boss")
    for _ in range(2):
        backfill(shop, rule)
    assert tag_names(shop, one) == ["想买", "问价"]
    (hit,) = shop.rows(RuleHit)
    assert (hit.version, len(hit.given)) == (2, 1)
    (progress,) = shop.rows(Progress, Progress.name.startswith("rule:"))
    assert progress.done == 0  # the second time there was nothing new


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        (Draft("", definition=PRICE.definition, tags=PRICE.tags), "name"),
        (Draft("x", definition=PRICE.definition), "tags"),
        (Draft("x", definition={}, tags=PRICE.tags), "any_keywords"),
        (Draft("x", definition={"any_keywords": [""]}, tags=PRICE.tags), "any_keywords"),
        (Draft("x", definition=PRICE.definition, tags=PRICE.tags, scope={"from": "25:00", "to": "01:00"}), "scope"),
        (Draft("x", definition=PRICE.definition, tags=PRICE.tags, scope={"channels": [99]}), "scope"),
        (Draft("x", definition=PRICE.definition, tags=PRICE.tags, scope={"whom": 1}), "scope"),
        (Draft("x", kind="odd", tags=PRICE.tags), "kind"),
        (Draft("x", definition=PRICE.definition, tags=PRICE.tags, cap=0), "cap"),
    ],
)
def test_a_wrong_rule_is_refused_by_name(shop: Shop, draft: Draft, field: str) -> None:
    with pytest.raises(Invalid) as refused, shop.work() as work:
        rules.create(work, draft, by="boss")
    assert field in {name for name, _ in refused.value.problems}
    assert shop.rows(TagRule) == []


def test_a_rule_that_can_hear_nobody_says_so(shop: Shop) -> None:
    rule = make(shop, Draft(PRICE.name, definition=PRICE.definition, tags=PRICE.tags, scope={"where": ["kf"]}))
    with shop.db() as db:
        assert rules.sources_off(db, db.get_one(TagRule, rule))
    with shop.work() as work:
        work.db.add(KfAccount(open_kfid="wk1", manageable=True))
    with shop.db() as db:
        assert not rules.sources_off(db, db.get_one(TagRule, rule))


def test_notes_of_colleagues_are_not_a_customers_words(shop: Shop) -> None:
    make(shop)
    one = person(shop)
    with shop.work() as work:
        by_hand.add_note(work, work.db.get_one(Person, one), "他问多少钱", by="lisi", once="1")
    with shop.db() as db:
        assert rule_work.preview(db, PRICE, shop.now()).read == 0

"""Tasks of reps, and the reminders that come of them."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from people import consent, persons, renaming, tasks
from storage.tables import Interaction, Member, OutboxRow, Person, Relation, Task
from tests.shop import Shop


def make(shop: Shop, text: str, hours: float | None = 1, userid: str = "lisi") -> int:
    with shop.work() as work:
        due = None if hours is None else work.now + timedelta(hours=hours)
        return tasks.make(work, userid, text, due, once=f"{userid}:{text}").id


def remind(shop: Shop) -> int:
    with shop.work() as work:
        count = tasks.remind(work)
    shop.catch_up()
    return count


def texts(shop: Shop, userid: str = "lisi") -> list[str]:
    return [one.content["content"] for one in shop.world.inbox_of(userid)]


def test_making_the_same_task_twice_makes_it_once(shop: Shop) -> None:
    assert make(shop, "盘点") == make(shop, "盘点")
    assert len(shop.rows(Task)) == 1


@pytest.mark.parametrize("text", ["", "  ", "长" * 201])
def test_a_task_without_words_or_with_too_many_is_refused(shop: Shop, text: str) -> None:
    with pytest.raises(ValueError, match="1–200"):
        make(shop, text)


def test_a_task_about_a_customer_is_told_in_their_story(shop: Shop) -> None:
    with shop.work() as work:
        person = persons.person_of(work, "wm1")
        task = tasks.make(work, "lisi", "寄豆子", None, person=person, once="one")
        assert tasks.finish(work, task)
        assert not tasks.finish(work, task)
    told = [(one.kind, one.details["text"]) for one in shop.rows(Interaction)]
    assert told == [("task", "寄豆子"), ("task_done", "寄豆子")]


def test_tasks_of_one_moment_come_in_one_message_and_each_rep_gets_their_own(shop: Shop) -> None:
    for text in ("盘点", "寄豆子"):
        make(shop, text)
    make(shop, "别的", userid="wangwu")
    make(shop, "不急", hours=None)
    shop.advance(hours=1)
    assert remind(shop) == 3
    (own,), (other,) = texts(shop), texts(shop, "wangwu")
    assert "2 件事" in own
    assert "盘点" in own
    assert "寄豆子" in own
    assert "别的" in other
    assert remind(shop) == 0


def test_a_task_put_off_after_its_reminder_is_brought_to_mind_again(shop: Shop) -> None:
    number = make(shop, "盘点")
    shop.advance(hours=1)
    remind(shop)
    with shop.work() as work:
        task = tasks.own(work.db, "lisi", number)
        assert task is not None
        tasks.postpone(task, work.now + timedelta(hours=1))
    assert remind(shop) == 0
    shop.advance(hours=1)
    assert remind(shop) == 1
    assert len(texts(shop)) == 2


def test_a_task_that_is_done_is_not_brought_to_mind(shop: Shop) -> None:
    number = make(shop, "盘点")
    with shop.work() as work:
        task = tasks.own(work.db, "lisi", number)
        assert task is not None
        tasks.finish(work, task)
    shop.advance(hours=2)
    assert remind(shop) == 0


def test_a_late_reminder_says_so(shop: Shop) -> None:
    make(shop, "盘点")
    shop.advance(hours=2)
    remind(shop)
    assert "发晚了" in texts(shop)[0]


def test_what_is_due_outside_hours_comes_when_they_begin_and_is_not_called_late(shop: Shop) -> None:
    make(shop, "盘点", hours=4)
    shop.advance(hours=4)
    assert remind(shop) == 0
    shop.advance(hours=11)
    assert remind(shop) == 1
    assert "盘点" in texts(shop)[0]
    assert "发晚了" not in texts(shop)[0]


def test_a_reminder_that_still_waits_when_hours_end_is_kept_for_the_morning(shop: Shop) -> None:
    make(shop, "盘点")
    shop.advance(hours=1)
    with shop.work() as work:
        assert tasks.remind(work) == 1
    shop.advance(hours=3)
    assert remind(shop) == 0
    assert texts(shop) == []
    shop.advance(hours=12)
    assert remind(shop) == 1
    assert len(texts(shop)) == 1


def about(shop: Shop, external: str, text: str) -> int:
    """A task of lisi's about a customer she has; the person's number."""
    with shop.work() as work:
        person = persons.person_of(work, external)
        persons.relation_of(work.db, person, "lisi", external).state = "active"
        tasks.make(work, "lisi", text, work.now + timedelta(hours=1), person=person, once=text)
        return person.id


def test_nobody_is_reminded_of_who_wants_no_contact_or_has_gone_not_even_by_what_waits_already(shop: Shop) -> None:
    out, gone = about(shop, "wm1", "约手冲课"), about(shop, "wm2", "寄豆子")
    make(shop, "盘点")
    shop.advance(hours=1)
    with shop.work() as work:
        assert tasks.remind(work) == 3
    with shop.work() as work:
        consent.opt_out(work, work.db.get_one(Person, out), "lisi")
        work.db.scalars(select(Relation).where(Relation.person_id == gone)).one().state = "ended_by_customer"
    assert remind(shop) == 1
    (told,) = texts(shop)
    assert "盘点" in told
    assert "约手冲课" not in told
    assert "寄豆子" not in told
    with shop.work() as work:
        assert len(tasks.open_of(work.db, "lisi")) == 3
        assert [one.text for one in tasks.open_of(work.db, "lisi", withheld=False)] == ["盘点"]


def test_many_tasks_of_one_moment_are_spread_over_messages_that_fit(shop: Shop) -> None:
    for number in range(30):
        make(shop, f"{number:02}" + "事" * 100)
    shop.advance(hours=1)
    assert remind(shop) == 30
    told = texts(shop)
    assert len(told) == 3
    assert all(len(text.encode()) < 2048 for text in told)
    assert all(f" {number:02}事" in "\n".join(told) for number in range(30))


def test_who_has_left_is_not_written_to_and_who_takes_over_is(shop: Shop) -> None:
    number = make(shop, "盘点")
    with shop.db() as db:
        db.get_one(Member, "lisi").left_at = shop.now()
    shop.advance(hours=1)
    assert remind(shop) == 0
    with shop.db() as db:
        db.get_one(Task, number).userid = "wangwu"
    assert remind(shop) == 1
    assert "盘点" in texts(shop, "wangwu")[0]


def test_a_renamed_rep_keeps_their_tasks(shop: Shop) -> None:
    make(shop, "盘点")
    with shop.work() as work:
        renaming.rename(work, "lisi", "lisi2")
    assert [one.userid for one in shop.rows(Task)] == ["lisi2"]


def test_nobody_may_pile_up_more_than_can_be_read(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "MANY", 2)
    make(shop, "一")
    make(shop, "二")
    with pytest.raises(ValueError, match="先完成一些"):
        make(shop, "三")


def test_two_schedulers_remind_once(shop: Shop) -> None:
    make(shop, "盘点")
    shop.advance(hours=1)
    with shop.work() as work:
        tasks.remind(work)
        assert tasks.remind(work) == 0
    shop.catch_up()
    assert len(shop.rows(OutboxRow, OutboxRow.name == "TellRep")) == 1

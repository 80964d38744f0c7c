"""Takes over what a corp has in WeCom before we came: members, tags, contact ways and every relation.

Nobody in it counts as arrived, is welcomed or enters anything. It is paced, and goes on after a restart: each page and
the place reached are kept in one transaction. 400,000 relations are some 4,000 pages.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from people import identities, joining, members, persons, privacy
from people.joining import Given
from people.relations import TAKEN_OVER, Fact
from scheduler.patience import Patience
from storage.database import Clock, reading, transaction
from storage.rows import insert_new
from storage.tables import (
    Channel,
    Identity,
    Interaction,
    Interval,
    Person,
    PersonTag,
    Progress,
    Relation,
    RelationFact,
    RelationTag,
    Tag,
    TagGround,
)
from storage.work import Work
from tagging import channels, mirror
from wecom.errors import Refused
from wecom.gateway import Follow, Gateway, Profile

log = logging.getLogger(__name__)

T = TypeVar("T")
NAME = "first_fill"
REPS_A_CALL = 100


@dataclass(frozen=True)
class FirstFill:
    """Everything the first fill needs; ``stopping`` is asked between pages."""

    engine: Engine
    gateway: Gateway
    clock: Clock
    zone: ZoneInfo
    stopping: Callable[[], bool]
    watch: Collection[str] = ()
    sleep: Callable[[float], None] = time.sleep

    def run(self) -> bool:
        """Go on from where the last run stopped; True when all is taken over."""
        place = self._place()
        if place.get("step") == "done":
            return True
        for step, walk in self._steps():
            if place.get("step") not in (None, step):
                continue
            self._mark(step=step)
            if not walk(place):
                return False
            place = {}
        self._mark(step="done", state="done")
        return True

    def _steps(self) -> Sequence[tuple[str, Callable[[dict[str, Any]], bool]]]:
        return (
            ("members", self._members),
            ("tags", self._tags),
            ("ways", self._ways),
            ("relations", self._relations),
        )

    def _members(self, _: dict[str, Any]) -> bool:
        read = partial(read_organisation, self.engine, self.gateway, self.clock, self.zone, watch=self.watch)
        self._patiently(read)
        return not self.stopping()

    def _tags(self, _: dict[str, Any]) -> bool:
        corp_tags = self._patiently(self.gateway.corp_tags)
        with transaction(self.engine) as db:
            mirror.mirror(self._work(db), corp_tags)
        return not self.stopping()

    def _ways(self, place: dict[str, Any]) -> bool:
        cursor = str(place.get("cursor") or "")
        while not self.stopping():
            ids, following = self._from(self.gateway.contact_way_ids, cursor)
            ways = [self._patiently(partial(self.gateway.contact_way, one)) for one in self._unknown(ids)]
            with transaction(self.engine) as db:
                work = self._work(db)
                for way in ways:
                    channels.take_over(work, way)
                self._note(db, step="ways", cursor=following)
            if not following:
                return True
            cursor = following
        return False

    def _unknown(self, config_ids: Sequence[str]) -> list[str]:
        with reading(self.engine) as db:
            known = set(db.scalars(select(Channel.config_id).where(Channel.config_id.in_(config_ids))))
        return [one for one in config_ids if one not in known]

    def _relations(self, place: dict[str, Any]) -> bool:
        after = str(place.get("after") or "")
        everybody = sorted(self._patiently(self.gateway.reps))
        reps = [one for one in everybody if one > after]
        for start in range(0, len(reps), REPS_A_CALL):
            group = reps[start : start + REPS_A_CALL]
            cursor = str(place.get("cursor") or "") if place.get("group") == group else ""
            for page, following, through in self._pages(group, cursor):
                after = through or after
                with transaction(self.engine) as db:
                    take_over_page(self._work(db), page)
                    at = {"after": after} if through else {"after": after, "group": group, "cursor": following}
                    walked = len(everybody) - len(reps) + start + sum(one <= after for one in group)
                    self._note(db, step="relations", done=len(page), rep=walked, **at)
                if self.stopping():
                    return False
        return True

    def _pages(self, reps: list[str], cursor: str) -> Iterator[tuple[list[Profile], str, str]]:
        """The pages of these reps' customers, each with the cursor of the next one and the rep we are through with.

        One rep without customers can make WeCom refuse the whole group (84061): then each is asked for alone.
        """
        page, following = self._from(partial(self.gateway.relations, reps), cursor)
        if len(reps) > 1 and not (page or cursor or following):
            for rep in reps:
                yield from self._pages([rep], "")
            return
        yield page, following, "" if following else reps[-1]
        while following:
            page, following = self._from(partial(self.gateway.relations, reps), following)
            yield page, following, "" if following else reps[-1]

    def _from(self, read: Callable[[str], T], cursor: str) -> T:
        """Read the page at the cursor, or the first one when the cursor is dead: it lives for some minutes only."""
        try:
            return self._patiently(partial(read, cursor))
        except Refused:
            if not cursor:
                raise
            return self._patiently(partial(read, ""))

    def _patiently(self, read: Callable[[], T]) -> T:
        """Read, waiting out what passes (blocks, busy); raises ``TryLater`` when it does not pass."""
        return Patience(self.stopping, self.sleep).read(read)

    def _place(self) -> dict[str, Any]:
        with reading(self.engine) as db:
            progress = db.get(Progress, NAME)
            return dict(progress.at) if progress else {}

    def _mark(self, *, step: str, state: str = "running") -> None:
        with transaction(self.engine) as db:
            now = self.clock()
            row = {"name": NAME, "state": state, "at": {}, "done": 0, "started_at": now, "changed_at": now}
            insert_new(db, Progress, [row], ["name"], returning="name")
            progress = db.get_one(Progress, NAME)
            if progress.at.get("step") != step:
                progress.at = {"step": step}
            progress.state, progress.changed_at = state, now

    def _note(self, db: Session, *, done: int = 0, **at: Any) -> None:
        values = {"at": at, "done": Progress.done + done, "changed_at": self.clock()}
        db.execute(update(Progress).where(Progress.name == NAME).values(**values))

    def _work(self, db: Session) -> Work:
        return Work(db, self.clock(), cause="first fill", watch=self.watch, zone=self.zone)


def read_organisation(
    engine: Engine, gateway: Gateway, clock: Clock, zone: ZoneInfo, watch: Collection[str] = ()
) -> tuple[int, list[str]]:
    """Read departments and members anew; how many members, and who has left since. Raises ``TryLater``."""
    departments, facts, serving = gateway.departments(), gateway.members(), gateway.reps()
    with transaction(engine) as db:
        work = Work(db, clock(), cause="organisation", watch=watch, zone=zone)
        members.keep_departments(work, departments)
        gone = members.keep_all(work, facts, serving)
        for userid in gone:
            channels.lead_codes_of(work, userid)
    return len(facts), gone


def take_over_page(work: Work, page: Sequence[Profile]) -> int:
    """Keep one page of existing relations in a few statements; how many of them were new to us.

    Whoever is known already (an event was quicker) is left as they are; of whom an event only mentioned is now known
    since when. Who was erased here is only still in WeCom's lists, and is left out.
    """
    db = work.db
    page = _not_erased(db, page)
    pairs = [(profile, side) for profile in page for side in profile.follows]
    people = _people(work, [profile for profile, _ in pairs])
    channel_ids = _channel_ids(db, {side.state for _, side in pairs if side.state})
    rows = [_relation_row(work, people, channel_ids, profile, side) for profile, side in pairs]
    new = set(insert_new(db, Relation, rows, ["external_userid", "userid"]))
    sides = {(profile.external_userid, side.userid): side for profile, side in pairs}
    mentioned = _mentioned(work, sides)
    relations = [*db.scalars(select(Relation).where(Relation.id.in_(new))), *mentioned]
    insert_new(db, RelationFact, [_fact(one) for one in relations], ["relation_id", "kind", "at"])
    insert_new(db, Interval, [_interval(one) for one in relations], ["relation_id", "number"])
    insert_new(db, Interaction, [_line(one) for one in relations], ["once"])
    joining.learn_many(work, [told for one in relations for told in _phones(one)], source=persons.REMARK)
    _take_over_tags(work, [(one, sides[one.external_userid, one.userid]) for one in relations])
    return len(relations)


def _not_erased(db: Session, page: Sequence[Profile]) -> Sequence[Profile]:
    since: dict[str, datetime | None] = {}
    for one in page:
        begun = [side.since for side in one.follows if side.since] + [since.get(one.external_userid)]
        since[one.external_userid] = max((at for at in begun if at), default=None)
    gone = privacy.erased(db, since)
    return [one for one in page if one.external_userid not in gone]


def _phones(relation: Relation) -> list[tuple[int, Given]]:
    numbers = identities.spelt_phones(relation.remark_phones or [])
    return [(relation.person_id, Given(identities.PHONE, one, verified=False)) for one in numbers]


def _mentioned(work: Work, sides: dict[tuple[str, str], Follow]) -> list[Relation]:
    """The relations of this page that we have heard of in passing, brought to life."""
    unknown = select(Relation).where(
        Relation.external_userid.in_({external for external, _ in sides}), Relation.state == "unknown"
    )
    found = [one for one in work.db.scalars(unknown).all() if (one.external_userid, one.userid) in sides]
    for relation in found:
        side = sides[relation.external_userid, relation.userid]
        fact = Fact(TAKEN_OVER, side.since or work.now, side.state, add_way=side.add_way)
        persons.record(work, work.db.get_one(Person, relation.person_id), relation, fact)
    return found


def _people(work: Work, profiles: Sequence[Profile]) -> dict[str, int]:
    """Person ids by external_userid, the new ones made."""
    db = work.db
    wanted = {one.external_userid: one for one in profiles}
    known = _known(db, list(wanted))
    missing = [one for external, one in wanted.items() if external not in known]
    made = [_person(work, one) for one in missing]
    db.add_all(made)
    db.flush()
    rows = [
        {"person_id": person.id, "type": persons.EXTERNAL, "value": profile.external_userid, "added_at": work.now}
        for person, profile in zip(made, missing, strict=True)
    ]
    insert_new(db, Identity, rows, ["type", "value"])
    theirs = _quicker(db, {profile.external_userid: one for one, profile in zip(made, missing, strict=True)})
    new = [(one, profile) for one, profile in zip(made, missing, strict=True)
           if theirs[profile.external_userid] == one.id]  # fmt: skip
    if not new:
        return known | theirs
    told = [(one.id, Given(persons.EXTERNAL, profile.external_userid)) for one, profile in new]
    told += [(one.id, Given(persons.UNIONID, profile.unionid)) for one, profile in new if profile.unionid]
    joining.learn_many(work, told, source="wecom", home={persons.EXTERNAL})
    return _known(db, list(wanted))


def _quicker(db: Session, made: dict[str, Person]) -> dict[str, int]:
    """An event may have met somebody at this very moment: then theirs is the person, and ours goes."""
    known = _known(db, list(made))
    for external, person in made.items():
        if known[external] != person.id:
            db.delete(person)
    db.flush()
    return known


def _known(db: Session, external_userids: list[str]) -> dict[str, int]:
    own = select(Identity.value, Identity.person_id).where(
        Identity.type == "external_userid", Identity.value.in_(external_userids)
    )
    return dict(db.execute(own).all())


def _person(work: Work, profile: Profile) -> Person:
    side = profile.follows[0]
    since = side.since or work.now
    return Person(
        name=profile.name,
        avatar=profile.avatar,
        gender=profile.gender,
        kind=profile.kind,
        corp_name=profile.corp_name,
        owner=side.userid,
        phone=next(iter(identities.spelt_phones(side.phones)), None),
        first_seen_at=since,
        last_seen_at=since,
        profile_at=work.now,
    )


def _channel_ids(db: Session, states: set[str]) -> dict[str, int]:
    own = select(Channel.code, Channel.id).where(Channel.code.in_(states))
    return dict(db.execute(own).all())


def _relation_row(
    work: Work, people: dict[str, int], channel_ids: dict[str, int], profile: Profile, side: Follow
) -> dict[str, Any]:
    return {
        "person_id": people[profile.external_userid],
        "userid": side.userid,
        "external_userid": profile.external_userid,
        "state": "active",
        "added_at": side.since or work.now,
        "channel_id": channel_ids.get(side.state or ""),
        "source_state": side.state,
        "add_way": side.add_way,
        "remark": side.remark,
        "description": side.description,
        "remark_phones": list(side.phones),
    }


def _fact(relation: Relation) -> dict[str, Any]:
    return {
        "relation_id": relation.id,
        "kind": TAKEN_OVER,
        "at": relation.added_at,
        "source_state": relation.source_state,
        "add_way": relation.add_way,
    }


def _interval(relation: Relation) -> dict[str, Any]:
    return {
        "relation_id": relation.id,
        "number": 1,
        "person_id": relation.person_id,
        "userid": relation.userid,
        "began_at": relation.added_at,
        "confirmed_at": relation.added_at,
        "origin": "taken_over",
        "channel_id": relation.channel_id,
    }


def _line(relation: Relation) -> dict[str, Any]:
    return {
        "person_id": relation.person_id,
        "userid": relation.userid,
        "kind": "taken_over",
        "at": relation.added_at,
        "details": {"state": relation.source_state, "add_way": relation.add_way},
        "once": f"taken-over:{relation.id}",
    }


def _take_over_tags(work: Work, relations: Sequence[tuple[Relation, Follow]]) -> None:
    ids = {tag_id for _, side in relations for tag_id, _, _ in side.tags if tag_id}
    own = select(Tag.wecom_id, Tag.id).where(Tag.wecom_id.in_(ids))
    ours = dict(work.db.execute(own).all())
    on_people, grounds, on_relations = [], [], []
    for relation, side in relations:
        for wecom_id, _, _ in side.tags:
            if wecom_id in ours:
                tag_id = ours[wecom_id]
                reason = {"source": "wecom", "because": mirror.BECAUSE_AT_WECOM, "at": work.now}
                on_people.append({"person_id": relation.person_id, "tag_id": tag_id, **reason})
                grounds.append({**on_people[-1], "source_id": f"relation:{relation.id}", "evidence": {}})
                shown = {"wanted": True, "at_wecom": "done", "round": 1, "changed_at": work.now}
                on_relations.append({"relation_id": relation.id, "tag_id": tag_id, **shown})
    insert_new(work.db, TagGround, grounds, ["person_id", "tag_id", "source", "source_id"])
    insert_new(work.db, PersonTag, on_people, ["person_id", "tag_id"])
    insert_new(work.db, RelationTag, on_relations, ["relation_id", "tag_id"])

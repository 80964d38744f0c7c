"""Rules that tag by themselves: words in what a customer says, the hour of an arrival, a loss.

A rule is kept with every version of it (``TagRuleVersion``); each time it meets a person it leaves a hit with its
evidence (``RuleHit``), and the tags it gives stand on a ground of its own, so that all of it can be undone
(``tagging.rule_work``). Keyword rules are matched by ``tagging.keywords``; each process keeps them built, and builds
them anew when they changed.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from storage.rows import insert_new
from storage.tables import Channel, Interaction, KfAccount, Person, Relation, RuleHit, Tag, TagRule, TagRuleVersion
from storage.work import Work
from tagging import tags
from tagging.channels import Invalid
from tagging.keywords import Hit, Rule, Tagger
from tagging.tags import Ground

log = logging.getLogger(__name__)

KEYWORD, ARRIVAL, LOSS = KINDS = ("keyword", "arrival", "loss")
KF, FORWARDED = SOURCES = ("kf", "forwarded")
"""Where words reach us: chats of 微信客服, and what reps pass on to the bot."""
LOST_BY = ("customer", "rep")
MAX_NAME = 60
MAX_TAGS = 20
MAX_RULES = 1000
EVERY_DAY = (1, 2, 3, 4, 5, 6, 7)
TAGGED, UNTAGGED = "tagged", "untagged"
"""Lines of a story, the same that people of ours leave."""


@dataclass(frozen=True)
class Words:
    """Something said, as far as a rule may look at it."""

    text: str
    interaction_id: int
    where: str
    """kf, or forwarded (a rep passed it on)."""
    at: datetime
    open_kfid: str | None = None
    userid: str | None = None
    """The rep who passed it on."""


@dataclass(frozen=True)
class Draft:
    """What a person wants a rule to be. ``tags`` are (group, name)."""

    name: str
    kind: str = KEYWORD
    definition: Mapping[str, Any] = field(default_factory=dict)
    """keyword: as ``keywords.Rule.read``; arrival: nothing; loss: ``{"by": ["customer", "rep"]}``."""
    scope: Mapping[str, Any] = field(default_factory=dict)
    """``{"where": [...], "channels": [ids], "accounts": [...], "reps": [...], "days", "from", "to"}``."""
    tags: tuple[tuple[str, str], ...] = ()
    cap: int | None = None


# --- making and changing ---------------------------------------------------------------------------------------------


def check(db: Session, draft: Draft, called: str = "") -> None:
    """Raise ``Invalid`` with every problem at once, each naming its field; ``called``: the rule's name until now.

    No two living rules are called alike: tags, hits and what is undone are told by the name.
    """
    problems: list[tuple[str, str]] = []
    name = draft.name.strip()
    if not 0 < len(name) <= MAX_NAME:
        problems.append(("name", f"名称需 1–{MAX_NAME} 个字"))
    elif name != called and db.scalar(select(func.count()).where(TagRule.name == name, TagRule.state != "deleted")):
        problems.append(("name", f"已有一条规则叫“{name}”；请换个名称，或去修改那一条"))
    if draft.kind not in KINDS:
        problems.append(("kind", f"规则的种类只能是 {'、'.join(KINDS)}"))
    if not 0 < len(draft.tags) <= MAX_TAGS:
        problems.append(("tags", f"请选 1–{MAX_TAGS} 个标签"))
    problems += _check_tags(draft.tags)
    if draft.cap is not None and not 1 <= draft.cap <= 1000:
        problems.append(("cap", "每位客户的次数上限需在 1–1000 之间；不限请留空"))
    problems += _check_scope(db, draft.scope)
    if draft.kind == KEYWORD:
        try:
            Rule.read(draft.definition)
        except Invalid as error:
            problems += error.problems
    elif draft.kind == LOSS and not set(draft.definition.get("by") or LOST_BY) <= set(LOST_BY):
        problems.append(("by", f"流失方只能是 {'、'.join(LOST_BY)}"))
    if problems:
        raise Invalid(problems)


def _check_tags(wanted: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    most = tags.MAX_NAME
    return [
        ("tags", f"标签组和标签名各需 1–{most} 个字：“{group}/{name}”")
        for group, name in wanted
        if not (0 < len(group.strip()) <= most and 0 < len(name.strip()) <= most)
    ]


def _check_scope(db: Session, scope: Mapping[str, Any]) -> list[tuple[str, str]]:
    problems: list[tuple[str, str]] = []
    known = {"where", "channels", "accounts", "reps", "days", "from", "to"}
    problems += [("scope", f"范围里有不认识的 {name}") for name in sorted(set(scope) - known)]
    if not set(scope.get("where") or SOURCES) <= set(SOURCES):
        problems.append(("scope", f"where 只能是 {'、'.join(SOURCES)}"))
    if not set(scope.get("days") or EVERY_DAY) <= set(EVERY_DAY):
        problems.append(("scope", "days 是 1（周一）到 7（周日）"))
    for name in ("from", "to"):
        if scope.get(name) and _time(scope[name]) is None:
            problems.append(("scope", f"{name} 写作 09:30 这样的时间"))
    if bool(scope.get("from")) != bool(scope.get("to")):
        problems.append(("scope", "from 和 to 要么都填，要么都不填"))
    wanted = scope.get("channels") or []
    if wanted and len(set(wanted)) != db.scalar(select(func.count()).where(Channel.id.in_(wanted))):
        problems.append(("scope", "范围里有不存在的渠道活码"))
    return problems


def create(work: Work, draft: Draft, *, by: str) -> TagRule:
    """Keep a new rule; it works from the next message on. Raises ``Invalid``."""
    check(work.db, draft)
    if (work.db.scalar(select(func.count()).where(TagRule.state != "deleted")) or 0) >= MAX_RULES:
        raise Invalid([("name", f"最多 {MAX_RULES} 条规则；请先删除不用的")])
    rule = TagRule(
        name=draft.name.strip(), kind=draft.kind, created_by=by, created_at=work.now, changed_by=by, changed_at=work.now
    )
    _apply(work, rule, draft)
    work.db.add(rule)
    work.db.flush()
    _keep_version(work, rule, by)
    return rule


def change(work: Work, rule: TagRule, draft: Draft, *, by: str) -> bool:
    """Bring a rule to what the draft says; False when that changes nothing. Raises ``Invalid``.

    What older versions have given stays, and says which version it was.
    """
    check(work.db, draft, rule.name)
    if draft.kind != rule.kind:
        raise Invalid([("kind", "规则的种类不能改；请新建一条")])
    before = said(rule)
    _apply(work, rule, draft)
    rule.name = draft.name.strip()
    if said(rule) == before:
        return False
    rule.version += 1
    rule.changed_by, rule.changed_at = by, work.now
    _keep_version(work, rule, by)
    return True


def _apply(work: Work, rule: TagRule, draft: Draft) -> None:
    rule.definition = _definition(draft)
    rule.scope = _narrowing(draft.scope)
    rule.tags = sorted({tags.tag_named(work, group, name).id for group, name in draft.tags})
    rule.cap = draft.cap


def _definition(draft: Draft) -> dict[str, Any]:
    """What makes a rule of this kind, in one form: two that mean the same are the same."""
    if draft.kind == KEYWORD:
        return Rule.read(draft.definition).row()
    return {"by": sorted(set(draft.definition.get("by") or LOST_BY))} if draft.kind == LOSS else {}


def _narrowing(scope: Mapping[str, Any]) -> dict[str, Any]:
    """What of a scope narrows anything, in one form: lists in order, nothing twice."""
    whole = {"where": sorted(SOURCES), "days": sorted(EVERY_DAY)}
    plain = {name: sorted(set(value)) if isinstance(value, list) else value for name, value in scope.items() if value}
    return {name: value for name, value in plain.items() if value != whole.get(name)}


def said(rule: TagRule) -> dict[str, Any]:
    """What a rule says now, as its versions keep it."""
    return {name: getattr(rule, name) for name in ("name", "definition", "scope", "tags", "cap")}


def _keep_version(work: Work, rule: TagRule, by: str) -> None:
    work.db.add(TagRuleVersion(rule_id=rule.id, version=rule.version, said=said(rule), by=by, at=work.now))
    work.db.flush()


def turn(work: Work, rule: TagRule, state: str, *, by: str) -> bool:
    """Stop a rule, take it up again, or delete it (its hits and what it gave stay); False when it is so already."""
    if rule.state == state or rule.state == "deleted":
        return False
    rule.state, rule.changed_by, rule.changed_at = state, by, work.now
    return True


def versions(db: Session, rule: TagRule) -> list[TagRuleVersion]:
    """Every version of a rule, the newest first."""
    own = select(TagRuleVersion).where(TagRuleVersion.rule_id == rule.id)
    return list(db.scalars(own.order_by(TagRuleVersion.version.desc())))


def draft_of(db: Session, rule: TagRule) -> Draft:
    """The rule as a draft, to be changed."""
    named = {tag.id: (tag.group_name, tag.name) for tag in db.scalars(select(Tag).where(Tag.id.in_(rule.tags)))}
    own = tuple(named[one] for one in rule.tags if one in named)
    return Draft(rule.name, rule.kind, rule.definition, rule.scope, own, rule.cap)


def sources_off(db: Session, rule: TagRule) -> bool:
    """Whether none of the places a keyword rule listens to brings any words."""
    if rule.kind != KEYWORD or FORWARDED in (rule.scope.get("where") or SOURCES):
        return False
    answering = select(KfAccount.open_kfid).where(KfAccount.manageable.is_(True), KfAccount.gone_at.is_(None))
    return db.scalar(answering.limit(1)) is None


# --- listening -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Book:
    """The active keyword rules of one database, built."""

    stamp: tuple[Any, ...]
    tagger: Tagger
    rules: Mapping[int, TagRule]


_BOOKS: "WeakKeyDictionary[Any, Book]" = WeakKeyDictionary()


def book(db: Session) -> Book:
    """The keyword rules as they are now: built by this process already, or built now."""
    active = (TagRule.kind == KEYWORD, TagRule.state == "active")
    asked = select(func.count(), func.max(TagRule.changed_at), func.sum(TagRule.version), func.sum(TagRule.id))
    stamp = tuple(db.execute(asked.where(*active)).one())
    engine = db.get_bind().engine
    known = _BOOKS.get(engine)
    if known is not None and known.stamp == stamp:
        return known
    rules = {one.id: one for one in db.scalars(select(TagRule).where(*active).order_by(TagRule.id))}
    for one in rules.values():
        db.expunge(one)
    built = _BOOKS[engine] = Book(stamp, Tagger(_readable(rules.values())), rules)
    return built


def _readable(rules: Iterable[TagRule]) -> Iterator[Rule]:
    """The rules that can be read: one written by another version must not silence the others."""
    for one in rules:
        try:
            yield Rule.read(one.definition, id=one.id, version=one.version)
        except Invalid as error:
            log.error("tag rule %d cannot be read and is left out: %s", one.id, error)


def hear(work: Work, person: Person, words: Words) -> list[RuleHit]:
    """Let every keyword rule look at these words; the hits that are new."""
    own = book(work.db)
    hits = []
    for match in own.tagger.matches(words.text):
        rule = own.rules[match.rule_id]
        if (hit := listen(work, rule, person, words, match.hits)) is not None:
            hits.append(hit)
    return hits


def listen(work: Work, rule: TagRule, person: Person, words: Words, found: Sequence[Hit]) -> RuleHit | None:
    """One keyword rule has met these words: its hit and its tags, if that is within its scope and new."""
    if not _in_scope(work.db, rule, person, words, work.zone):
        return None
    spoken = list(dict.fromkeys(one.words for one in found))
    evidence = {
        "words": spoken,
        "quote": f"{found[0].before}{found[0].words}{found[0].after}",
        "interaction": words.interaction_id,
        "where": words.where,
    }
    because = _because(rule, spoken, words)
    return _meet(work, rule, person, KEYWORD, because, evidence, f"interaction:{words.interaction_id}", words.at)


def _because(rule: TagRule, spoken: Sequence[str], words: Words) -> str:
    """Why, as everybody who sees the person may read it: what was said to one rep alone is not repeated to others."""
    if words.where == FORWARDED:
        return f"成员转来的话符合规则“{rule.name}”"
    return f"说了“{'、'.join(spoken[:5])}”，符合规则“{rule.name}”"


def hear_arrival(work: Work, person: Person, relation: Relation, at: datetime) -> list[RuleHit]:
    """Let the arrival rules look at somebody who has come to a rep."""
    hits = []
    for rule in _active(work, ARRIVAL):
        scope = rule.scope
        channels, reps = scope.get("channels"), scope.get("reps")
        came = not channels or relation.channel_id in channels
        if came and (not reps or relation.userid in reps) and _in_time(scope, at, work.zone):
            moment = at.astimezone(work.zone)
            because = f"{moment:%H:%M} 来到，符合规则“{rule.name}”"
            evidence = {"relation": relation.id, "at": moment.isoformat(timespec="minutes")}
            once = f"relation:{relation.id}:{int(at.timestamp())}"
            hits.append(_meet(work, rule, person, ARRIVAL, because, evidence, once, at))
    return [one for one in hits if one is not None]


def hear_loss(work: Work, person: Person, relation: Relation, by: str, at: datetime) -> list[RuleHit]:
    """Let the loss rules look at a relation that has ended; ``by``: customer or rep. A transfer is no loss."""
    hits = []
    for rule in _active(work, LOSS):
        reps = rule.scope.get("reps")
        if by in (rule.definition.get("by") or LOST_BY) and (not reps or relation.userid in reps):
            who = "客户删除了成员" if by == "customer" else "成员删除了客户"
            evidence = {"relation": relation.id, "by": by}
            once = f"relation:{relation.id}:{int(at.timestamp())}"
            hits.append(_meet(work, rule, person, LOSS, f"{who}，符合规则“{rule.name}”", evidence, once, at))
    return [one for one in hits if one is not None]


def _active(work: Work, kind: str) -> Sequence[TagRule]:
    own = select(TagRule).where(TagRule.kind == kind, TagRule.state == "active").order_by(TagRule.id)
    return work.found(("rules", kind), lambda: work.db.scalars(own).all())


def _meet(
    work: Work,
    rule: TagRule,
    person: Person,
    source: str,
    because: str,
    evidence: dict[str, Any],
    once: str,
    at: datetime,
) -> RuleHit | None:
    """Keep the hit and give the tags; None when the rule has met this already, or met this customer often enough.

    What was undone since, or met by another version of the rule, is met anew.
    """
    row = {
        "rule_id": rule.id,
        "version": rule.version,
        "person_id": person.id,
        "once": f"{rule.id}:{once}",
        "evidence": evidence,
        "given": [],
        "at": at,
    }
    if rule.cap is not None and _met(work.db, row) >= rule.cap:
        return None
    new = insert_new(work.db, RuleHit, [row], ["once"]) or _anew(work.db, row)
    if not new:
        return None
    hit = work.db.get_one(RuleHit, new[0])
    ground = Ground(source, because, f"rule:{rule.id}", (rule.id, rule.version), evidence, at=at)
    wanted = work.db.scalars(select(Tag).where(Tag.id.in_(rule.tags)).order_by(Tag.id)).all()
    given = [tag for tag in wanted if tags.give(work, person, tag, ground)]
    hit.given = [tag.id for tag in given]
    for tag in given:
        tell(work, rule, [person.id], tag, TAGGED, str(hit.id))
    return hit


def tell(work: Work, rule: TagRule, person_ids: Iterable[int], tag: Tag, kind: str, why: str) -> None:
    """A line in each of these stories that the rule has given or withdrawn a tag, as for one given by hand."""
    details = {"by": f"rule:{rule.name}", "rule": rule.id, "tag": f"{tag.group_name}/{tag.name}"}
    own = {"userid": None, "kind": kind, "at": work.now, "details": details}
    named = f"rule:{rule.id}:{tag.id}:{kind}:{work.now.timestamp()}:{why}"
    lines = [{**own, "person_id": one, "once": f"{named}:{one}"} for one in person_ids]
    insert_new(work.db, Interaction, lines, ["once"])  # not to be searched for: all say the same


def _anew(db: Session, row: dict[str, Any]) -> Sequence[int]:
    stale = or_(RuleHit.undone_at.is_not(None), RuleHit.version != row["version"])
    met = update(RuleHit).where(RuleHit.once == row["once"], stale).values(**row, undone_at=None)
    return db.scalars(met.returning(RuleHit.id)).all()


def _met(db: Session, row: dict[str, Any]) -> int:
    """How often the rule has met this customer, but for this time."""
    own = (RuleHit.rule_id == row["rule_id"], RuleHit.person_id == row["person_id"], RuleHit.undone_at.is_(None))
    return db.scalar(select(func.count()).where(*own, RuleHit.once != row["once"])) or 0


# --- scope -----------------------------------------------------------------------------------------------------------


def _in_scope(db: Session, rule: TagRule, person: Person, words: Words, zone: ZoneInfo) -> bool:
    scope = rule.scope
    plain = (
        words.where in (scope.get("where") or SOURCES)
        and (not scope.get("accounts") or words.open_kfid in scope["accounts"])
        and _in_time(scope, words.at, zone)
    )
    return plain and _knows(db, scope, person)


def _knows(db: Session, scope: Mapping[str, Any], person: Person) -> bool:
    """Whether the person came over one of the codes and to one of the reps, where the scope names some."""
    channels, reps = scope.get("channels"), scope.get("reps")
    if not channels and not reps:
        return True
    own = select(Relation.id).where(Relation.person_id == person.id)
    if channels:
        own = own.where(Relation.channel_id.in_(channels))
    if reps:
        own = own.where(Relation.userid.in_(reps))
    return db.scalar(own.limit(1)) is not None


def _in_time(scope: Mapping[str, Any], at: datetime, zone: ZoneInfo) -> bool:
    """Whether a moment lies in the days and hours of a scope, by the shop's clock. 22:00–06:00 goes over midnight."""
    moment = at.astimezone(zone)
    start, end = _time(scope.get("from")), _time(scope.get("to"))
    days = scope.get("days") or EVERY_DAY
    if start is None or end is None or start == end:
        return moment.isoweekday() in days
    now = moment.time()
    if start < end:
        return moment.isoweekday() in days and start <= now < end
    yesterday = (moment.isoweekday() + 5) % 7 + 1
    return (moment.isoweekday() in days and now >= start) or (yesterday in days and now < end)


def _time(written: object) -> time | None:
    try:
        return time.fromisoformat(str(written)) if written else None
    except ValueError:
        return None

"""Tag rules: words in a message, the hour of an arrival, a loss; tried, applied to the past, undone."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints
from sqlalchemy import select
from sqlalchemy.orm import Session

from api import here, paging
from api.operations import Call, Reply
from api.problems import not_found
from api.shapes import Asked, Line, Loose, Paged, Shape, TagName, Userid, example, optional
from storage.database import reading
from storage.tables import Channel, Tag, TagRule
from tagging import rule_work, rules
from tagging.channels import Invalid
from tagging.rules import Draft

PREFIX = "r_"
MAX_DAYS = 365
LISTS = ("any_keywords", "all_keywords", "not_keywords")
RuleId = Annotated[str, StringConstraints(pattern=r"^r_[0-9]{1,15}$")]
Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$"), Field(examples=["22:00"])]
WeekDay = Annotated[int, Field(ge=1, le=7)]


class KeywordAsked(Asked):
    """A keyword with more to say than its text."""

    text: Annotated[Line, Field(min_length=1, max_length=200)]
    mode: Annotated[
        Literal["contains", "word", "exact", "pattern"],
        Field(description="Anywhere but across words; a word of its own; the whole message; a regular expression."),
    ] = "contains"
    exclude: Annotated[
        tuple[Annotated[Line, Field(min_length=1, max_length=50)], ...],
        Field(max_length=100, description="Phrases in which it does not count."),
    ] = ()
    guard: bool = Field(default=False, description="Not directly after a denial (不, 没有, 别 …).")


Keywords = Annotated[
    tuple[Annotated[Line, Field(min_length=1, max_length=50)] | KeywordAsked, ...], Field(max_length=5000)
]


class ScopeAsked(Asked):
    """Where and when a rule looks; what is left out does not narrow it."""

    where: tuple[Literal["kf", "forwarded"], ...] = ()
    channels: Annotated[tuple[str, ...], Field(description="Codes the customer came over.")] = ()
    accounts: Annotated[tuple[str, ...], Field(description="open_kfid of 微信客服 accounts.")] = ()
    reps: tuple[Userid, ...] = ()
    days: Annotated[tuple[WeekDay, ...], Field(description="1 is Monday.")] = ()
    starts: Clock | None = Field(default=None, alias="from")
    ends: Clock | None = Field(default=None, alias="to", description="Before `from`: it goes over midnight.")


class RuleAsked(Asked):
    """A new tag rule. One of kind `keyword` needs keywords."""

    model_config = example(
        {
            "name": "问价",
            "any_keywords": ["多少钱", "价格"],
            "not_keywords": ["不谈价格"],
            "tags": [{"group": "意向", "name": "问价"}],
        }
    )
    name: Annotated[Line, Field(min_length=1, max_length=rules.MAX_NAME, examples=["问价"])]
    tags: Annotated[tuple[TagName, ...], Field(min_length=1, max_length=rules.MAX_TAGS)]
    kind: Literal["keyword", "arrival", "loss"] = "keyword"
    any_keywords: Keywords = ()
    all_keywords: Keywords = ()
    not_keywords: Keywords = ()
    lost_by: Annotated[tuple[Literal["customer", "rep"], ...], Field(description="Of kind `loss`: whose doing.")] = ()
    scope: ScopeAsked = Field(default_factory=ScopeAsked)
    cap: Annotated[int, Field(ge=1, le=1000, description="So many hits of one customer count.")] | None = None


class RuleChange(Asked):
    """What is to be different; what is left out stays. `state` stops a rule or takes it up again."""

    model_config = example({"any_keywords": ["多少钱", "怎么卖"]})
    name: Annotated[Line, Field(min_length=1, max_length=rules.MAX_NAME)] = optional()
    tags: Annotated[tuple[TagName, ...], Field(min_length=1, max_length=rules.MAX_TAGS)] = optional()
    any_keywords: Keywords = optional()
    all_keywords: Keywords = optional()
    not_keywords: Keywords = optional()
    lost_by: tuple[Literal["customer", "rep"], ...] = optional()
    scope: ScopeAsked = optional()
    cap: int | None = None
    state: Literal["active", "stopped"] = optional()


class RuleTagShape(Shape):
    """A tag the rule gives."""

    id: str
    group: str
    name: str


class RuleShape(Shape):
    """A tag rule."""

    id: str = Field(examples=["r_3"])
    name: str
    kind: str
    state: str = Field(description="active or stopped.")
    version: int = Field(description="Grows with every change; every hit and every tag says which it was.")
    any_keywords: list[Any]
    all_keywords: list[Any]
    not_keywords: list[Any]
    lost_by: list[str]
    scope: Loose
    tags: list[RuleTagShape]
    cap: int | None
    hits_30_days: int = Field(description="Hits that stand, of the last 30 days.")
    people_30_days: int
    hears_nobody: bool = Field(description="Whether every place it listens to is switched off.")
    backfill: str | None = Field(description="running or done, once it was asked for.")
    undo: str | None
    created_at: datetime
    changed_at: datetime


class RulePage(Shape):
    """Tag rules, the newest first."""

    items: list[RuleShape]
    next_cursor: str | None


class RulesQuery(Paged):
    """Which page."""


class PreviewAsked(Asked):
    """How far back."""

    days: Annotated[int, Field(ge=1, le=MAX_DAYS)] = rule_work.PREVIEW_DAYS


class KeywordCount(Shape):
    """How often a keyword was it."""

    keyword: str
    hits: int


class SampleShape(Shape):
    """One message the rule would meet."""

    customer_id: str
    at: datetime
    before: str
    words: str
    after: str


class PreviewShape(Shape):
    """What the rule would have done; nothing has changed."""

    days: int
    messages: int = Field(description="Looked at.")
    hits: int
    people: int
    keywords: list[KeywordCount]
    samples: list[SampleShape] = Field(
        description="What customers said: empty for a key that may not read customers (`customers:read`)."
    )
    cut: bool = Field(description="Whether there were more messages than are looked at.")


# --- reading ---------------------------------------------------------------------------------------------------------


def list_rules(call: Call, query: RulesQuery) -> Reply:
    """One page of the rules that there are."""
    after = paging.decode(query.cursor)
    own = select(TagRule).where(TagRule.state != "deleted").order_by(TagRule.id.desc()).limit(query.limit + 1)
    with reading(here.engine()) as db:
        found = list(db.scalars(own.where(TagRule.id < after[0]) if after else own))
        page, more = found[: query.limit], len(found) > query.limit
        items = [shown(db, one) for one in page]
    return Reply(200, RulePage(items=items, next_cursor=paging.encode(page[-1].id) if more else None))


def get_rule(call: Call, rule_id: str) -> Reply:
    """One rule."""
    with reading(here.engine()) as db:
        return Reply(200, shown(db, _living(db, rule_id)))


def shown(db: Session, rule: TagRule) -> RuleShape:
    """A rule as it is answered."""
    since = here.now() - timedelta(days=30)
    hits, people = rule_work.counted(db, [rule.id], since).get(rule.id, (0, 0))
    under_way = {what: one.state for what, one in rule_work.progress_of(db, rule.id).items()}
    named = {tag.id: tag for tag in db.scalars(select(Tag).where(Tag.id.in_(rule.tags)))}
    return RuleShape(
        id=f"{PREFIX}{rule.id}",
        name=rule.name,
        kind=rule.kind,
        state=rule.state,
        version=rule.version,
        **{name: list(rule.definition.get(name) or []) for name in LISTS},
        lost_by=list(rule.definition.get("by") or []),
        scope=rule.scope,
        tags=[
            RuleTagShape(id=f"t_{one}", group=named[one].group_name, name=named[one].name)
            for one in rule.tags
            if one in named
        ],
        cap=rule.cap,
        hits_30_days=hits,
        people_30_days=people,
        hears_nobody=rules.sources_off(db, rule),
        backfill=under_way.get(rule_work.BACKFILL),
        undo=under_way.get(rule_work.UNDO),
        created_at=here.local(rule.created_at),
        changed_at=here.local(rule.changed_at),
    )


def _living(db: Session, rule_id: str, *, lock: bool = False) -> TagRule:
    digits = rule_id.removeprefix(PREFIX)
    if not (rule_id.startswith(PREFIX) and digits.isascii() and digits.isdecimal() and len(digits) <= 15):
        raise not_found("tag rule")
    own = select(TagRule).where(TagRule.id == int(digits), TagRule.state != "deleted")
    rule = db.scalars(own.with_for_update() if lock else own).one_or_none()
    if rule is None:
        raise not_found("tag rule")
    return rule


# --- changing --------------------------------------------------------------------------------------------------------


def make_rule(call: Call, body: RuleAsked) -> Reply:
    """Make a rule; it works from the next message on."""
    with call.work() as work:
        draft = _draft(work.db, Draft(body.name, body.kind), body)
        rule = rules.create(work, draft, by=call.actor)
        call.note(work, "rule.create", f"{PREFIX}{rule.id}", {"name": rule.name})
        return call.keep(work, Reply(201, shown(work.db, rule)))


def change_rule(call: Call, rule_id: str, body: RuleChange) -> Reply:
    """Change what the body names. What older versions have given stays and says so."""
    with call.work() as work:
        rule = _living(work.db, rule_id, lock=True)
        if body.model_fields_set - {"state"}:
            rules.change(work, rule, _draft(work.db, rules.draft_of(work.db, rule), body), by=call.actor)
        if "state" in body.model_fields_set:
            rules.turn(work, rule, body.state, by=call.actor)
        if body.model_fields_set:
            call.note(work, "rule.change", rule_id, {"fields": sorted(body.model_fields_set), "version": rule.version})
        work.db.flush()
        return Reply(200, shown(work.db, rule))


def delete_rule(call: Call, rule_id: str) -> Reply:
    """Delete a rule. The tags it gave stay; undo takes them back."""
    with call.work() as work:
        rule = _living(work.db, rule_id, lock=True)
        rules.turn(work, rule, "deleted", by=call.actor)
        call.note(work, "rule.delete", rule_id, {"name": rule.name})
    return Reply(204)


def preview_rule(call: Call, rule_id: str, body: PreviewAsked) -> Reply:
    """Try the rule on what customers said in the last days; changes nothing.

    Everybody gets the counts; what was said, and by whom, only a key that may read customers too (`customers:read`).
    """
    with reading(here.engine()) as db:
        rule = _living(db, rule_id)
        if rule.kind != rules.KEYWORD:
            raise Invalid([("kind", "只有关键词规则可以试算")])
        seen = rule_work.preview(db, rules.draft_of(db, rule), here.now(), body.days)
    samples = seen.samples if call.may("customers", "read") else []
    return Reply(
        200,
        PreviewShape(
            days=seen.days,
            messages=seen.read,
            hits=seen.hits,
            people=seen.people,
            keywords=[KeywordCount(keyword=keyword, hits=hits) for keyword, hits in seen.by_keyword],
            samples=[
                SampleShape(
                    customer_id=f"p_{one.person_id}",
                    at=here.local(one.at),
                    before=one.before,
                    words=one.words,
                    after=one.after,
                )
                for one in samples
            ],
            cut=seen.cut,
        ),
    )


def backfill_rule(call: Call, rule_id: str, body: PreviewAsked) -> Reply:
    """Let the rule look at what was said in the last days; a worker carries it out."""
    with call.work() as work:
        rule = _living(work.db, rule_id, lock=True)
        if rule.kind != rules.KEYWORD:
            raise Invalid([("kind", "只有关键词规则可以补打")])
        if rule_work.begin_backfill(work, rule, body.days):
            call.note(work, "rule.backfill", rule_id, {"days": body.days})
        work.db.flush()
        return Reply(202, shown(work.db, rule))


def undo_rule(call: Call, rule_id: str) -> Reply:
    """Stop the rule and take back everything it gave; tags that stand on other grounds too stay."""
    with call.work() as work:
        rule = _living(work.db, rule_id, lock=True)
        if rule_work.begin_undo(work, rule, by=call.actor):
            call.note(work, "rule.undo", rule_id, {"name": rule.name})
        work.db.flush()
        return Reply(202, shown(work.db, rule))


def _draft(db: Session, draft: Draft, body: RuleAsked | RuleChange) -> Draft:
    """The draft with everything that the body names."""
    given = body.model_fields_set
    definition = dict(draft.definition)
    for name in LISTS:
        if name in given:
            definition[name] = [_plain(one) for one in getattr(body, name)]
    if "lost_by" in given:
        definition["by"] = list(body.lost_by)
    changes: dict[str, Any] = {"definition": definition}
    changes |= {name: getattr(body, name) for name in ("name", "cap") if name in given}
    if "tags" in given:
        changes["tags"] = tuple((tag.group, tag.name) for tag in body.tags)
    if "scope" in given:
        changes["scope"] = _scope(db, body.scope)
    return replace(draft, **changes)


def _plain(keyword: str | KeywordAsked) -> Any:
    return keyword if isinstance(keyword, str) else {**keyword.model_dump(), "exclude": list(keyword.exclude)}


def _scope(db: Session, asked: ScopeAsked) -> dict[str, Any]:
    scope = asked.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if codes := scope.get("channels"):
        known = dict(db.execute(select(Channel.code, Channel.id).where(Channel.code.in_(codes))).all())
        scope["channels"] = [known.get(code, 0) for code in codes]  # 0 is nobody's, and is refused by name
    return scope

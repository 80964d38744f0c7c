"""What is done with a rule as a whole: tried on what was said lately, applied to it afterwards, undone.

Applying and undoing touch many people; they are ``Progress`` rows that a job of the timetable carries forward in
portions, so that nobody waits and a restart goes on where it was.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Engine, func, or_, select, update
from sqlalchemy.orm import Session

from storage.database import reading, transaction
from storage.tables import Interaction, Person, PersonTag, Progress, RepDay, RuleHit, Tag, TagGround, TagRule
from storage.work import Work
from tagging import rules, tags
from tagging.keywords import Finding, Hit, Rule, Tagger
from tagging.rules import Draft, Words

HEARD = ("kf_in", "forwarded")
"""Lines of a story that are a customer's own words."""
PREVIEW_DAYS = 30
MOST_READ = 50_000
"""So many messages a preview reads at most, the newest."""
SAMPLES = 20
PORTION = 200
ASKED_AT_ONCE = 1000
"""So many people one question names at most."""
PREFIX = "rule:"
BACKFILL, UNDO = "backfill", "undo"


@dataclass(frozen=True)
class Sample:
    """One message that a rule would meet."""

    interaction_id: int
    person_id: int
    at: datetime
    before: str
    words: str
    after: str


@dataclass(frozen=True)
class Preview:
    """What a rule would have done."""

    days: int
    read: int
    """Messages looked at."""
    hits: int
    people: int
    tagged: int
    """Of these people: who has all of its tags already."""
    by_keyword: list[tuple[str, int]]
    """How often each keyword was it, the most frequent first."""
    samples: list[Sample]
    cut: bool
    """Whether there were more messages than are read."""


def preview(db: Session, draft: Draft, now: datetime, days: int = PREVIEW_DAYS) -> Preview:
    """Try a keyword rule on what customers said in the last days. Raises ``Invalid``; changes nothing."""
    tagger = Tagger([Rule.read(draft.definition)])
    where = draft.scope.get("where") or rules.SOURCES
    read = hits = 0
    people: set[int] = set()
    by_keyword: Counter[str] = Counter()
    samples: list[Sample] = []
    for line, text in _said(db, now - timedelta(days=days), where):
        read += 1
        for match in tagger.matches(text):
            hits += 1
            people.add(line.person_id)
            by_keyword.update({one.keyword for one in match.hits})
            if len(samples) < SAMPLES:
                samples.append(_sample(line, match.hits[0]))
    tagged = _tagged(db, sorted(people), draft.tags)
    return Preview(days, read, hits, len(people), tagged, by_keyword.most_common(20), samples, read >= MOST_READ)


def _tagged(db: Session, people: Sequence[int], wanted: Sequence[tuple[str, str]]) -> int:
    """How many of these people have all of these tags (group, name)."""
    named = or_(*((Tag.group_name == group) & (Tag.name == name) for group, name in wanted))
    ids = db.scalars(select(Tag.id).where(named)).all() if wanted else []
    if not ids or len(ids) < len(set(wanted)):
        return 0
    count = 0
    for start in range(0, len(people), ASKED_AT_ONCE):
        some = people[start : start + ASKED_AT_ONCE]
        own = select(PersonTag.person_id).where(PersonTag.person_id.in_(some), PersonTag.tag_id.in_(ids))
        count += len(db.scalars(own.group_by(PersonTag.person_id).having(func.count() == len(ids))).all())
    return count


def _sample(line: Interaction, hit: Hit) -> Sample:
    return Sample(line.id, line.person_id, line.at, hit.before, hit.words, hit.after)


def _said(db: Session, since: datetime, where: Sequence[str]) -> Iterator[tuple[Interaction, str]]:
    """What customers said since then, the newest first."""
    kinds = [kind for kind, source in zip(HEARD, rules.SOURCES, strict=True) if source in where]
    lines = select(Interaction).where(Interaction.kind.in_(kinds), Interaction.at >= since)
    newest = lines.order_by(Interaction.at.desc()).limit(MOST_READ).execution_options(yield_per=1000)
    for line in db.scalars(newest):
        if text := line.details.get("text"):
            yield line, str(text)


def explain(draft: Draft, text: str) -> list[Finding]:
    """Every place of a text where a keyword of the rule stands, counted or not and why. Raises ``Invalid``."""
    return Tagger([Rule.read(draft.definition)]).explain(text)


def visible_talkers(db: Session, now: datetime, zone: ZoneInfo) -> tuple[int, int]:
    """Of yesterday's talkers: how many a rule could hear, and how many there were.

    WeCom counts each rep's chats by the day and shows none of their words (without the archive); we hear 微信客服 and
    what reps pass on. A customer who talked on both ways counts twice among all, so the share is a lower bound.
    """
    yesterday = now.astimezone(zone).date() - timedelta(days=1)
    start = datetime.combine(yesterday, time(), zone)
    heard = select(func.count(Interaction.person_id.distinct())).where(
        Interaction.at >= start, Interaction.at < start + timedelta(days=1), Interaction.kind.in_(HEARD)
    )
    unheard = select(func.coalesce(func.sum(RepDay.chats), 0)).where(RepDay.day == yesterday)
    ours = db.scalar(heard) or 0
    return ours, ours + int(db.scalar(unheard) or 0)


# --- applying afterwards, undoing ------------------------------------------------------------------------------------


def begin_backfill(work: Work, rule: TagRule, days: int = PREVIEW_DAYS) -> bool:
    """Let a keyword rule look at what was said in the last days; False when that is under way."""
    since = work.now - timedelta(days=days)
    return _begin(work, rule, BACKFILL, {"since": since.isoformat(), "version": rule.version})


def begin_undo(work: Work, rule: TagRule, *, by: str) -> bool:
    """Stop a rule and take back everything it gave, in all its versions; tags that stand on other grounds too stay.

    False when that is under way.
    """
    rules.turn(work, rule, "stopped", by=by)
    return _begin(work, rule, UNDO, {})


def _begin(work: Work, rule: TagRule, what: str, at: dict[str, object]) -> bool:
    name = f"{PREFIX}{rule.id}:{what}"
    known = work.db.get(Progress, name)
    if known is not None and known.state == "running":
        return False
    if known is not None:
        work.db.delete(known)
        work.db.flush()
    own = TagGround.rule_id == rule.id
    total = work.db.scalar(select(func.count(TagGround.person_id.distinct())).where(own)) if what == UNDO else None
    work.db.add(Progress(name=name, state="running", at=at, total=total, started_at=work.now, changed_at=work.now))
    return True


def progress_of(db: Session, rule_id: int) -> dict[str, Progress]:
    """How far applying and undoing have come, by what it is."""
    rows = db.scalars(select(Progress).where(Progress.name.startswith(f"{PREFIX}{rule_id}:")))
    return {one.name.rpartition(":")[2]: one for one in rows}


def go_on(engine: Engine, open_work: Callable[[Session], Work], stopping: Callable[[], bool]) -> int:
    """Carry everything that is under way forward until it is done or we are to stop; how many people it concerned."""
    concerned = 0
    while not stopping():
        with reading(engine) as db:
            own = select(Progress.name).where(Progress.name.startswith(PREFIX), Progress.state == "running")
            name = db.scalars(own.order_by(Progress.started_at)).first()
        if name is None:
            break
        with transaction(engine) as db:
            concerned += _portion(open_work(db), name)
    return concerned


def _portion(work: Work, name: str) -> int:
    progress = work.db.scalars(select(Progress).where(Progress.name == name).with_for_update()).one()
    rule = work.db.get(TagRule, int(name.split(":")[1]))
    if progress.state != "running" or rule is None:
        progress.state = "done"
        return 0
    count, over = (_undo if name.endswith(UNDO) else _backfill)(work, rule, progress)
    progress.done, progress.changed_at = progress.done + count, work.now
    if over:
        progress.state = "done"
    return count


def _undo(work: Work, rule: TagRule, _: Progress) -> tuple[int, bool]:
    """Some people fewer that the rule has tagged; how many, and whether that were the last."""
    own = select(TagGround.person_id).where(TagGround.rule_id == rule.id).distinct().order_by(TagGround.person_id)
    people = list(work.db.scalars(own.limit(PORTION)))
    if not people:
        return 0, True
    mine = (TagGround.rule_id == rule.id, TagGround.person_id.in_(people))
    given = work.db.execute(select(TagGround.tag_id, TagGround.source).where(*mine).distinct()).all()
    for tag_id, source in given:
        tag = work.db.get_one(Tag, tag_id)
        gone = tags.withdraw(work, people, tag, source, f"rule:{rule.id}")
        rules.tell(work, rule, gone, tag, rules.UNTAGGED, "undo")
    undone = update(RuleHit).where(RuleHit.rule_id == rule.id, RuleHit.person_id.in_(people))
    work.db.execute(undone.where(RuleHit.undone_at.is_(None)).values(undone_at=work.now))
    return len(people), len(people) < PORTION


def _backfill(work: Work, rule: TagRule, progress: Progress) -> tuple[int, bool]:
    """Some messages further back; how many people were met, and whether that were the last messages."""
    since = datetime.fromisoformat(str(progress.at["since"]))
    lines = select(Interaction).where(Interaction.kind.in_(HEARD), Interaction.at >= since)
    if "before" in progress.at:
        lines = lines.where(Interaction.id < int(str(progress.at["before"])))
    found = work.db.scalars(lines.order_by(Interaction.id.desc()).limit(PORTION)).all()
    tagger = Tagger([Rule.read(rule.definition, id=rule.id, version=rule.version)])
    met = 0
    for line in found:
        for match in tagger.matches(str(line.details.get("text") or "")):
            person = work.db.get_one(Person, line.person_id)
            met += rules.listen(work, rule, person, _words(line), match.hits) is not None
    if found:
        progress.at = {**progress.at, "before": found[-1].id}
    return met, len(found) < PORTION or rule.state == "deleted"


def _words(line: Interaction) -> Words:
    where = rules.FORWARDED if line.kind == "forwarded" else rules.KF
    account = line.details.get("open_kfid")
    return Words(str(line.details.get("text") or ""), line.id, where, line.at, account, line.userid)


# --- the hit log -----------------------------------------------------------------------------------------------------


def hits(
    db: Session, rule_id: int, people: ColumnElement[bool], *, limit: int, before: int | None = None
) -> tuple[list[RuleHit], int | None]:
    """One page of a rule's hits, by when it was said, the latest first, and after which the next page begins.

    ``people``: which ``Person`` counts.
    """
    own = select(RuleHit).join(Person, Person.id == RuleHit.person_id).where(RuleHit.rule_id == rule_id, people)
    last = db.get(RuleHit, before) if before is not None else None
    if last is not None:
        own = own.where((RuleHit.at < last.at) | ((RuleHit.at == last.at) & (RuleHit.id < last.id)))
    found = list(db.scalars(own.order_by(RuleHit.at.desc(), RuleHit.id.desc()).limit(limit + 1)))
    return found[:limit], (found[limit - 1].id if len(found) > limit else None)


def counted(db: Session, rule_ids: Sequence[int], since: datetime) -> dict[int, tuple[int, int]]:
    """For each rule: hits that stand, and people they met, since then."""
    own = (RuleHit.rule_id.in_(rule_ids), RuleHit.at >= since, RuleHit.undone_at.is_(None))
    asked = select(RuleHit.rule_id, func.count(), func.count(RuleHit.person_id.distinct())).where(*own)
    return {rule_id: (count, people) for rule_id, count, people in db.execute(asked.group_by(RuleHit.rule_id))}

"""The form of a tag rule: keywords one a line, kept as typed until they are right.

A line may say more than its word: ``=在吗`` is the whole message, ``"大衣"`` a word of its own, ``/尺码[0-9]+/`` a
regular expression, ``充电 !充电器 !充电宝`` a word with phrases in which it does not count.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from console.words import _
from storage.tables import Tag, TagRule
from tagging import rules
from tagging.channels import Invalid
from tagging.keywords import ALL, ANY, EXACT, LISTS, NOT, PATTERN, WORD
from tagging.rules import Draft

FIELDS = {ANY: "any", ALL: "all", NOT: "none"}
"""Our field for each list of a rule."""
SIGNS = {EXACT: "={}", WORD: '"{}"', PATTERN: "/{}/"}
SPLIT = re.compile(r"[\n]")
NEW_TAGS = re.compile(r"[\n,，;；|]")


@dataclass(frozen=True)
class Form:
    """The fields as they stand on the page; lists of keywords as text, one a line."""

    name: str = ""
    kind: str = rules.KEYWORD
    any: str = ""
    all: str = ""
    none: str = ""
    guard: bool = True
    where: tuple[str, ...] = rules.SOURCES
    channels: tuple[int, ...] = ()
    reps: tuple[str, ...] = ()
    days: tuple[int, ...] = rules.EVERY_DAY
    starts: str = ""
    ends: str = ""
    lost_by: tuple[str, ...] = rules.LOST_BY
    cap: str = ""
    tags: tuple[str, ...] = ()
    new_tags: str = ""
    text: str = ""
    """What is typed to try the rule on."""
    version: int = 0
    errors: Mapping[str, str] = field(default_factory=dict)

    def draft(self) -> Draft:
        """What the form asks for. Raises ``Invalid`` for what cannot even be read."""
        problems: list[tuple[str, str]] = []
        tags = [_tag(one, problems) for one in (*self.tags, *_lines(NEW_TAGS, self.new_tags))]
        if self.cap and not (self.cap.isdecimal() and len(self.cap) <= 6):
            problems.append(("cap", _("请填整数；不限请留空")))
        if problems:
            raise Invalid(problems)
        return Draft(
            name=self.name,
            kind=self.kind,
            definition=self._definition(),
            scope=self._scope(),
            tags=tuple(dict.fromkeys(tags)),
            cap=int(self.cap) if self.cap else None,
        )

    def _definition(self) -> dict[str, Any]:
        if self.kind == rules.LOSS:
            return {"by": list(self.lost_by)}
        if self.kind != rules.KEYWORD:
            return {}
        lists = {name: [read_keyword(line) for line in _lines(SPLIT, getattr(self, FIELDS[name]))] for name in LISTS}
        return {**lists, "guard": self.guard}

    def _scope(self) -> dict[str, Any]:
        scope: dict[str, Any] = {"channels": list(self.channels), "reps": list(self.reps)}
        if self.kind == rules.KEYWORD and set(self.where) != set(rules.SOURCES):
            scope["where"] = list(self.where)
        if set(self.days) != set(rules.EVERY_DAY):
            scope["days"] = list(self.days)
        return scope | {"from": self.starts, "to": self.ends}


def _lines(split: "re.Pattern[str]", text: str) -> list[str]:
    return [one.strip() for one in split.split(text) if one.strip()]


def read_keyword(line: str) -> Any:
    """One line of a list as the rule reads it."""
    if line.startswith("/") and line.endswith("/") and len(line) > 2:
        return {"text": line[1:-1], "mode": PATTERN}
    word, *exclude = [one.strip() for one in re.split(r"\s+[!！]", line)]
    more: dict[str, Any] = {"exclude": exclude} if exclude else {}
    if word.startswith(("=", "＝")) and len(word) > 1:
        return {"text": word[1:].strip(), "mode": EXACT, **more}
    if len(word) > 2 and word[0] in '"“' and word[-1] in '"”':
        return {"text": word[1:-1], "mode": WORD, **more}
    return {"text": word, **more} if more else word


def shown_keyword(keyword: Any) -> str:
    """A keyword of a rule as its line in the form."""
    if isinstance(keyword, str):
        return keyword
    word = SIGNS.get(str(keyword.get("mode")), "{}").format(keyword["text"])
    return " !".join([word, *keyword.get("exclude", [])])


def _tag(text: str, problems: list[tuple[str, str]]) -> tuple[str, str]:
    group, slash, name = text.partition("/")
    if not slash:
        problems.append(("tags", _("新标签写作 组/标签，例如 来源/抖音：“%(text)s”", text=text)))
    return group.strip(), name.strip()


def of_rule(db: Session, rule: TagRule) -> Form:
    """The form of a rule as it is."""
    named = {tag.id: f"{tag.group_name}/{tag.name}" for tag in db.scalars(select(Tag).where(Tag.id.in_(rule.tags)))}
    keywords: Sequence[Any] = [one for name in LISTS for one in rule.definition.get(name) or []]
    guarded = not keywords or any(isinstance(one, Mapping) and one.get("guard") for one in keywords)
    scope = rule.scope
    lists = {FIELDS[name]: "\n".join(map(shown_keyword, rule.definition.get(name) or [])) for name in LISTS}
    return Form(
        name=rule.name,
        kind=rule.kind,
        guard=guarded,
        where=tuple(scope.get("where") or rules.SOURCES),
        channels=tuple(scope.get("channels") or ()),
        reps=tuple(scope.get("reps") or ()),
        days=tuple(scope.get("days") or rules.EVERY_DAY),
        starts=str(scope.get("from") or ""),
        ends=str(scope.get("to") or ""),
        lost_by=tuple(rule.definition.get("by") or rules.LOST_BY),
        cap=str(rule.cap or ""),
        tags=tuple(named[one] for one in rule.tags if one in named),
        version=rule.version,
        any=lists["any"],
        all=lists["all"],
        none=lists["none"],
    )


def read(sent: MultiDict[str, str]) -> Form:
    """The form as it was sent."""
    return Form(
        name=sent.get("name", "").strip(),
        kind=sent.get("kind", rules.KEYWORD),
        any=sent.get("any", ""),
        all=sent.get("all", ""),
        none=sent.get("none", ""),
        guard="guard" in sent,
        where=tuple(sent.getlist("where")) or rules.SOURCES,
        channels=tuple(int(one) for one in sent.getlist("channels") if one.isdecimal() and len(one) < 16),
        reps=tuple(sent.getlist("reps")),
        days=tuple(int(one) for one in sent.getlist("days") if one in "1234567" and one) or rules.EVERY_DAY,
        starts=sent.get("starts", "").strip()[:5],
        ends=sent.get("ends", "").strip()[:5],
        lost_by=tuple(sent.getlist("lost_by")) or rules.LOST_BY,
        cap=sent.get("cap", "").strip(),
        tags=tuple(sent.getlist("tags")),
        new_tags=sent.get("new_tags", ""),
        text=sent.get("text", "")[:2000],
        version=int(sent["version"]) if sent.get("version", "").isdecimal() else 0,
    )

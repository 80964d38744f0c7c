"""The form of a tag rule: keywords one a line, kept as typed until they are right.

A line may say more than its word: ``=在吗`` is the whole message, ``"大衣"`` a word of its own, ``/尺码[0-9]+/`` a
regular expression, ``充电 !充电器 !充电宝`` a word with phrases in which it does not count, ``价格 !!`` one that does
not count after a denial. A keyword that no such line can say (as /a/ meant literally) stands there as the API has it.

A rule that was made through the API is the same after it was opened here and saved: what the form does not ask of its
scope stays as it was.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from console import forms, here
from console.forms import Problems
from storage.tables import Tag, TagRule
from tagging import rules
from tagging.channels import Invalid
from tagging.keywords import ALL, ANY, CONTAINS, EXACT, LISTS, NOT, PATTERN, WORD, Rule
from tagging.rules import Draft

FIELDS = {ANY: "any", ALL: "all", NOT: "none"}
"""Our field for each list of a rule."""
SIGNS = {EXACT: "={}", WORD: '"{}"', PATTERN: "/{}/"}
PHRASES = re.compile(r"\s+[!！]")
EXPRESSION = re.compile(r"/(.+)/((?:\s+[!！].*)?)")
GUARD = "!!"
NOTHING: Mapping[str, Any] = {}


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

    def draft(self, scope: Mapping[str, Any] = NOTHING) -> Draft:
        """What the form asks for; ``scope`` is the rule's as it is. Raises ``Invalid`` for what cannot even be read."""
        problems: Problems = []
        tags = forms.tags(self.tags, self.new_tags, problems)
        cap = forms.whole(self.cap, "cap", problems)
        if problems:
            raise Invalid(problems)
        return Draft(
            name=self.name,
            kind=self.kind,
            definition=self._definition(),
            scope={**scope, **self._scope()},
            tags=tags,
            cap=cap,
        )

    def warnings(self) -> list[str]:
        """What somebody should know before saving, as far as the keywords can be read; nothing of it forbids to."""
        if self.kind != rules.KEYWORD:
            return []
        try:
            return Rule.read(self._definition()).warnings()
        except Invalid:
            return []

    def _definition(self) -> dict[str, Any]:
        if self.kind == rules.LOSS:
            return {"by": list(self.lost_by)}
        if self.kind != rules.KEYWORD:
            return {}
        lists = {name: [read_keyword(line) for line in forms.entries(getattr(self, FIELDS[name]))] for name in LISTS}
        return {**lists, "guard": self.guard}

    def _scope(self) -> dict[str, Any]:
        """What the form of this kind asks of a scope."""
        scope: dict[str, Any] = {"channels": list(self.channels), "reps": list(self.reps)}
        if self.kind != rules.LOSS:
            scope |= {"days": list(self.days), "from": self.starts, "to": self.ends}
        if self.kind == rules.KEYWORD:
            scope["where"] = list(self.where)
        return scope


# --- keywords --------------------------------------------------------------------------------------------------------


def read_keyword(line: str) -> Any:
    """One line of a list as the rule reads it."""
    if (row := _row(line)) is not None:
        return row
    expression = EXPRESSION.fullmatch(line)
    word, *phrases = [one.strip() for one in PHRASES.split(expression[2] if expression else line)]
    more: dict[str, Any] = {}
    if exclude := [one for one in phrases if one not in ("", "!", "！")]:
        more["exclude"] = exclude
    if not {"!", "！"}.isdisjoint(phrases):
        more["guard"] = True
    if expression:
        return {"text": expression[1], "mode": PATTERN, **more}
    if word.startswith(("=", "＝")) and len(word) > 1:
        return {"text": word[1:].strip(), "mode": EXACT, **more}
    if len(word) > 2 and word[0] in '"“' and word[-1] in '"”':
        return {"text": word[1:-1], "mode": WORD, **more}
    return {"text": word, **more} if more else word


def _row(line: str) -> Any:
    """The keyword of a line that writes it as the API does; None for any other line."""
    if not line.startswith("{"):
        return None
    try:
        row = json.loads(line)
        json.dumps(row, ensure_ascii=False).encode()  # half a character would break the page it stands on
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and isinstance(row.get("text"), str) else None


def shown_keyword(keyword: Any, guard: bool = False) -> str:
    """A keyword of a rule as its line in the form; ``guard``: the form says for all that they are guarded."""
    text, mode, exclude, guarded = whole = _whole(keyword)
    signs = [GUARD] if guarded and not guard else []
    line = " ".join([SIGNS.get(mode, "{}").format(text), *(f"!{one}" for one in exclude), *signs])
    if _whole(read_keyword(line), guard) == whole:
        return line
    return json.dumps({"text": text, "mode": mode, "exclude": exclude, "guard": guarded}, ensure_ascii=False)


def _whole(keyword: Any, guard: bool = False) -> tuple[str, str, Any, bool]:
    """Everything there is to a keyword; ``guard`` where it says nothing of its own."""
    row: Mapping[str, Any] = {"text": keyword} if isinstance(keyword, str) else keyword
    return row["text"], row.get("mode") or CONTAINS, row.get("exclude") or [], bool(row.get("guard", guard))


# --- reading and showing ---------------------------------------------------------------------------------------------


def of_rule(db: Session, rule: TagRule) -> Form:
    """The form of a rule as it is."""
    own = db.scalars(select(Tag).where(Tag.id.in_(rule.tags)))
    named = {tag.id: forms.tag_value(tag.group_name, tag.name) for tag in own}
    wanted = [one for name in (ANY, ALL) for one in rule.definition.get(name) or []]
    guard = all(_whole(one)[3] for one in wanted)
    scope = rule.scope
    lists = {
        FIELDS[name]: "\n".join(shown_keyword(one, guard and name != NOT) for one in rule.definition.get(name) or [])
        for name in LISTS
    }
    return Form(
        name=rule.name,
        kind=rule.kind,
        guard=guard,
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
        channels=tuple(number for one in sent.getlist("channels") if (number := here.number(one)) is not None),
        reps=tuple(sent.getlist("reps")),
        days=tuple(int(one) for one in sent.getlist("days") if one in "1234567" and one) or rules.EVERY_DAY,
        starts=sent.get("starts", "").strip()[:5],
        ends=sent.get("ends", "").strip()[:5],
        lost_by=tuple(sent.getlist("lost_by")) or rules.LOST_BY,
        cap=sent.get("cap", "").strip(),
        tags=tuple(sent.getlist("tags")),
        new_tags=sent.get("new_tags", ""),
        text=sent.get("text", "")[:2000],
        version=here.number(sent.get("version")) or 0,
    )

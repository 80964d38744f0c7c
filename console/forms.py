"""What the forms of rules, answers and channel codes share: lists a line each, tags, versions, what is told."""

import re
from collections.abc import Iterable, Mapping

from pydantic import ValidationError

from console.words import _, listed, said
from tagging.channels import Invalid

LINES, SIGNS = re.compile(r"\n"), re.compile(r"[\n,，;；|]")
"""What stands between the entries of a list, and what may between several on one line."""
Problems = list[tuple[str, str]]


def entries(text: str, between: "re.Pattern[str]" = LINES) -> list[str]:
    """The entries of a list as somebody typed it, without blanks around them and without empty ones."""
    return [one.strip() for one in between.split(text) if one.strip()]


def tag_value(group: str, name: str) -> str:
    """A tag as its checkbox sends it: 组/标签; a slash within the group's name is written as in an address."""
    return f"{group.replace('%', '%25').replace('/', '%2F')}/{name}"


def tag_of(value: str) -> tuple[str, str]:
    """The group and name a checkbox stands for."""
    group, _slash, name = value.partition("/")
    return group.replace("%2F", "/").replace("%25", "%"), name


def tags(ticked: Iterable[str], typed: str, problems: Problems) -> tuple[tuple[str, str], ...]:
    """Group and name of each tag that was ticked or typed anew; what cannot be read goes to ``problems``."""
    return tuple(dict.fromkeys([*map(tag_of, ticked), *(_typed(one, problems) for one in entries(typed, SIGNS))]))


def _typed(text: str, problems: Problems) -> tuple[str, str]:
    group, slash, name = text.partition("/")
    if not slash:
        problems.append(("tags", _("新标签写作 组/标签，例如 来源/抖音：“%(text)s”", text=text)))
    return group.strip(), name.strip()


def whole(text: str, field: str, problems: Problems) -> int | None:
    """A number that may be left out, where none is meant by leaving it out."""
    if text and not (text.isdecimal() and len(text) <= 6):
        problems.append((field, _("请填整数；不限请留空")))
        return None
    return int(text) if text else None


def same_version(opened: int, now: int) -> None:
    """Nobody has changed it since the form was opened. Raises ``Invalid``."""
    if opened != now:
        raise Invalid([("", _("你打开之后有人改过它，你的修改还没有保存。请在新标签页打开它，对照后再改。"))])


def outside(error: ValidationError, ranges: Mapping[str, str]) -> dict[str, str]:
    """Of each field that a model has refused, which values it may have, in the language of this answer."""
    return {name: _(ranges[name]) for name in dict.fromkeys(str(one["loc"][0]) for one in error.errors())}


def told(problems: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Everything that is wrong with each field, in the language of this answer."""
    found: dict[str, list[str]] = {}
    for field, words in problems:
        found.setdefault(field, []).append(_(said(words)))
    return {field: listed(sentences, "；") for field, sentences in found.items()}

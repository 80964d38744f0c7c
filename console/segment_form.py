"""The form of a segment: blocks of conditions, each a line that reads like a sentence; kept as typed until right.

A filter is shown as blocks where it has that shape (two levels, as most have); any other, which only programs write,
is edited as the JSON it is.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from werkzeug.datastructures import MultiDict

from console.segment_words import fault
from console.words import _
from insight.fields import BY_NAME
from insight.segments import LIVE, STATIC, WrongFilter, spelt
from insight.values import BETWEEN, Form, Names, Place, Since, Times, Yes
from storage.tables import Segment

ALL, ANY, NONE = MODES = ("all", "any", "none")
MAX_BLOCKS, MAX_LINES = 8, 20
MAX_JSON = 20_000
FIRST_OPS = {Names: "", Since: "<=", Times: ">=", Yes: "is"}
FIRST_NUMBERS = {"times": "1", "yuan": "500", "points": "100"}
WHOLE = {"has": "has_any", "is": "in"}
"""One thing is shown as a list of one."""


@dataclass(frozen=True)
class Line:
    """One condition as it stands on the page."""

    field: str
    op: str
    names: tuple[str, ...] = ()
    days: str = ""
    times: str = ""
    first: str = ""
    last: str = ""
    yes: bool = True

    @property
    def form(self) -> Form:
        """How its field is written."""
        return BY_NAME[self.field].form

    @property
    def kind(self) -> str:
        """By which part of the page it is shown: names, since, times, yes."""
        return type(self.form).__name__.lower()

    def leaf(self) -> dict[str, Any]:
        """The condition, right or not."""
        told: dict[str, Any] = {"field": self.field, "op": self.op}
        return told if self.op in self.form.bare else {**told, "value": self._value()}

    def _value(self) -> Any:
        form = self.form
        if isinstance(form, Names):
            return list(self.names)
        if isinstance(form, Yes):
            return self.yes
        if isinstance(form, Times):
            return self._counted(form)
        return {"from": self.first, "to": self.last} if self.op == BETWEEN else _number(self.days)

    def _counted(self, form: Times) -> dict[str, Any]:
        told: dict[str, Any] = {"kinds": list(self.names)} if form.kinds else {}
        told |= {form.unit: _number(self.times)} | ({"days": _number(self.days)} if form.dated else {})
        if not form.hours:
            return told
        return {**told, "weekdays": [*map(_number, self.names)], "from": _number(self.first), "to": _number(self.last)}


def _number(typed: str) -> Any:
    return int(typed) if typed.isascii() and typed.isdecimal() and len(typed) <= 9 else typed


def first_line(name: str) -> Line:
    """A new condition on this field."""
    form = BY_NAME[name].form
    op = FIRST_OPS[type(form)] or next(one for one in form.ops if one not in WHOLE)
    line = Line(name, op, days="30", times=FIRST_NUMBERS[form.unit] if isinstance(form, Times) else "1", yes=False)
    return replace(line, names=("6", "7"), first="18", last="22") if isinstance(form, Times) and form.hours else line


def line_of(leaf: Mapping[str, Any]) -> Line:
    """The line of a condition."""
    form, op = BY_NAME[leaf["field"]].form, leaf["op"]
    value: Any = leaf.get("value")
    line = Line(leaf["field"], op, days="30", times="1")
    if isinstance(form, Names):
        return replace(line, op=WHOLE.get(op, op), names=tuple(map(str, form.named(op, value))))
    if isinstance(form, Yes):
        return replace(line, yes=bool(value))
    if isinstance(form, Times):
        names = tuple(map(str, value.get("kinds", value.get("weekdays", ()))))
        line = replace(line, names=names, times=str(value[form.unit]), days=str(value.get("days", "30")))
        return replace(line, first=str(value["from"]), last=str(value["to"])) if form.hours else line
    if op == BETWEEN:
        return replace(line, first=value["from"], last=value["to"])
    return line if op in form.bare else replace(line, days=str(value))


@dataclass(frozen=True)
class Block:
    """Some conditions and how they are joined."""

    mode: str = ALL
    lines: tuple[Line, ...] = ()

    def tree(self) -> dict[str, Any]:
        """The block as a filter."""
        inside = [one.leaf() for one in self.lines]
        return {"not": {"any": inside}} if self.mode == NONE else {self.mode: inside}

    @property
    def place(self) -> Place:
        """Where its conditions stand in its tree."""
        return ("not", "any") if self.mode == NONE else (self.mode,)


@dataclass(frozen=True)
class SegmentForm:
    """The fields as they stand on the page."""

    name: str = ""
    kind: str = LIVE
    mode: str = ALL
    blocks: tuple[Block, ...] = (Block(),)
    raw: str | None = None
    """The filter as JSON, where it is not of blocks."""
    version: int = 0
    errors: Mapping[str, str] = field(default_factory=dict)
    """``name``, ``filter``, or ``block-line``."""

    def tree(self) -> Any:
        """The filter. Raises ``WrongFilter`` for JSON that is none."""
        if self.raw is not None:
            return _read_json(self.raw)
        full = [one for one in self.blocks if one.lines]
        if not full:
            return {"all": []}
        return full[0].tree() if len(full) == 1 else {self.mode: [one.tree() for one in full]}

    def with_faults(self, error: WrongFilter) -> "SegmentForm":
        """The form with each fault beside the line it is about."""
        lines = dict(self._places())
        errors: dict[str, str] = {}
        for place, words in error.faults:
            where = next((key for begins, key in lines.items() if place[: len(begins)] == begins), str(place[0]))
            told = _("请至少选一项") if self._is_empty(where, place) else fault(words)
            if where == "filter" and len(place) > 1:
                told = f"{spelt(place)}：{told}"
            errors[where] = f"{errors[where]} {told}" if where in errors and where == "filter" else told
        return replace(self, errors=errors)

    def _is_empty(self, where: str, place: Place) -> bool:
        """Whether a line has nothing chosen where something is to be chosen."""
        block, dash, line = where.partition("-")
        if not dash:
            return False
        one = self.blocks[int(block)].lines[int(line)]
        chooses = isinstance(one.form, Names) or place[-1] in ("kinds", "weekdays")
        return chooses and not one.names

    def _places(self) -> Iterator[tuple[Place, str]]:
        if self.raw is not None:
            return
        full = [number for number, one in enumerate(self.blocks) if one.lines]
        for place, number in enumerate(full):
            above: Place = ("filter",) if len(full) == 1 else ("filter", self.mode, place)
            for line in range(len(self.blocks[number].lines)):
                yield (*above, *self.blocks[number].place, line), f"{number}-{line}"

    def changed(self, do: str, sent: Mapping[str, str]) -> "SegmentForm":
        """After a button: ``add-0`` (a line of the field chosen there), ``drop-0-1``, ``block``, ``drop-0``."""
        verb, _dash, where = do.partition("-")
        blocks = list(self.blocks)
        numbers = [int(one) for one in where.split("-") if one.isdecimal()]
        if verb == "block" and len(blocks) < MAX_BLOCKS:
            blocks.append(Block(ANY))
        elif verb == "add" and len(numbers) == 1 and numbers[0] < len(blocks):
            name, block = sent.get(f"add-{numbers[0]}-field", ""), blocks[numbers[0]]
            if name in BY_NAME and len(block.lines) < MAX_LINES:
                blocks[numbers[0]] = replace(block, lines=(*block.lines, first_line(name)))
        elif verb == "drop" and numbers and numbers[0] < len(blocks):
            blocks = _dropped(blocks, numbers)
        return replace(self, blocks=tuple(blocks) or (Block(),))


def _dropped(blocks: list[Block], numbers: Sequence[int]) -> list[Block]:
    block = blocks[numbers[0]]
    if len(numbers) == 1:
        return [one for number, one in enumerate(blocks) if number != numbers[0]]
    lines = tuple(one for number, one in enumerate(block.lines) if number != numbers[1])
    return [replace(block, lines=lines) if number == numbers[0] else one for number, one in enumerate(blocks)]


def _read_json(raw: str) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise WrongFilter([(("filter",), _("这不是 JSON"))]) from None


# --- a filter as blocks ----------------------------------------------------------------------------------------------


def of_segment(segment: Segment) -> SegmentForm:
    """The form of a segment as it is."""
    form = SegmentForm(name=segment.name, kind=segment.kind, version=segment.version)
    return of_tree(form, segment.filter)


def of_tree(form: SegmentForm, tree: Mapping[str, Any]) -> SegmentForm:
    """The form with this filter, as blocks where it has that shape."""
    single = _block(tree)
    if single is not None:
        return replace(form, blocks=(single,))
    mode = next((one for one in (ALL, ANY) if one in tree), None)
    blocks = _blocks(tree[mode], mode) if mode is not None else None
    if mode is None or blocks is None or len(blocks) > MAX_BLOCKS:
        return replace(form, raw=json.dumps(tree, ensure_ascii=False, indent=2))
    return replace(form, mode=mode, blocks=tuple(blocks))


def _block(tree: Mapping[str, Any]) -> Block | None:
    """The tree as one block of conditions; None when it has more levels."""
    if "field" in tree:
        return Block(ALL, (line_of(tree),))
    if "not" in tree:
        inside = _block(tree["not"])
        fits = inside is not None and inside.lines and (inside.mode == ANY or len(inside.lines) == 1)
        return Block(NONE, inside.lines) if inside is not None and fits and inside.mode != NONE else None
    mode = ALL if "all" in tree else ANY
    if len(tree[mode]) > MAX_LINES or not all("field" in one for one in tree[mode]):
        return None
    return Block(mode, tuple(line_of(one) for one in tree[mode]))


def _blocks(trees: Sequence[Mapping[str, Any]], mode: str) -> list[Block] | None:
    """Each tree as a block; conditions that stand alone go together into one."""
    alone = [one for one in trees if "field" in one]
    found = [_block({mode: alone})] if alone else []
    found += [_block(one) for one in trees if "field" not in one]
    blocks = [one for one in found if one is not None and one.lines]
    return blocks if len(blocks) == len(found) else None


# --- reading what was sent -------------------------------------------------------------------------------------------


def read(sent: MultiDict[str, str]) -> SegmentForm:
    """The form as it was sent."""
    raw = sent.get("raw")
    version = sent.get("version", "")
    return SegmentForm(
        name=sent.get("name", "").strip()[:200],
        kind=STATIC if sent.get("kind") == STATIC else LIVE,
        mode=ANY if sent.get("mode") == ANY else ALL,
        blocks=tuple(_sent_blocks(sent)) or (Block(),),
        raw=raw[:MAX_JSON] if raw is not None else None,
        version=int(version) if version.isascii() and version.isdecimal() and len(version) < 10 else 0,
    )


def _sent_blocks(sent: MultiDict[str, str]) -> Iterator[Block]:
    for number in range(MAX_BLOCKS):
        mode = sent.get(f"b{number}-mode")
        if mode not in MODES:
            return
        lines = (_sent_line(sent, f"b{number}-{line}") for line in range(MAX_LINES))
        yield Block(mode, tuple(one for one in lines if one is not None))


def _sent_line(sent: MultiDict[str, str], name: str) -> Line | None:
    asked = sent.get(f"{name}-field", "")
    if asked not in BY_NAME:
        return None
    return Line(
        asked,
        sent.get(f"{name}-op", "")[:20],
        tuple(one[:100] for one in sent.getlist(f"{name}-names"))[:200],
        sent.get(f"{name}-days", "").strip()[:10],
        sent.get(f"{name}-times", "").strip()[:10],
        sent.get(f"{name}-from", "").strip()[:10],
        sent.get(f"{name}-to", "").strip()[:10],
        sent.get(f"{name}-yes", "1") == "1",
    )

"""Files with one thing a row: which column is which, and its rows one after the other, whatever they hold.

Columns are ours or renamed; what a file lacks can be the same for all its rows (``Shape``). Orders, whose lines lie
anywhere in a file, have a reader of their own (``handlers.order_files``), which shares the columns' part.

A file was written by a spreadsheet or a till, not for us: ``2026/3/5 9:05`` and ``¥1,250.00`` can mean one thing only
and are read as that. What could mean two (``5/3/2026``) is left as it is, to be refused with its reason.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from storage import long_sheets
from storage.sheets import BadSheet

LENGTH_OF_A_DAY = len("2026-01-01")
DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")
CLOCK = re.compile(r"[ T]*(\d{1,2}):(\d{2})(?::(\d{2}))?")
MONEY = re.compile(r"(-?)[¥￥]? *(-?\d+(?:\.\d*)?|-?\d{1,3}(?:,\d{3})+(?:\.\d*)?) *元?")
POINTS = re.compile(r"(-?\d+(?:\.0)?|-?\d{1,3}(?:,\d{3})+) *分?")


def a_time(text: str) -> str:
    """A day, or a day and a time, as ISO 8601 writes them; what is neither stays as it is."""
    if text[4:5] == "-" and text[7:8] == "-" and (len(text) == LENGTH_OF_A_DAY or text[13:14] == ":"):
        return text
    if (day := DAY.match(text)) is None:
        return text
    clock = CLOCK.fullmatch(text, day.end())
    if clock is None and day.end() < len(text):
        return text
    year, month, date = day.groups()
    written = f"{year}-{month:0>2}-{date:0>2}"
    return written if clock is None else f"{written}T{clock[1]:0>2}:{clock[2]}:{clock[3] or '00'}"


def an_amount(text: str) -> str:
    """Yuan without sign of currency and commas; what is none stays as it is."""
    if text.isdigit() or (found := MONEY.fullmatch(text)) is None or (found[1] and found[2].startswith("-")):
        return text
    return found[1] + found[2].replace(",", "")


def a_number(text: str) -> str:
    """Points without commas; what is none stays as it is."""
    found = None if text.isdigit() else POINTS.fullmatch(text)
    return text if found is None else found[1].replace(",", "")


WRITTEN: Mapping[str, Callable[[str], str]] = {
    "paid_at": a_time,
    "at": a_time,
    "expires": a_time,
    "birthday": a_time,
    "amount": an_amount,
    "points": a_number,
}
"""How these columns are written by whoever writes a file."""


@dataclass(frozen=True)
class Shape:
    """How the columns of a file are to be read."""

    renamed: Mapping[str, str] = field(default_factory=dict)
    """Our column → theirs."""
    same: Mapping[str, str] = field(default_factory=dict)
    """Our column → what stands in it for every row."""


@dataclass(frozen=True)
class Columns:
    """Where our columns stand in a file."""

    places: Mapping[str, int]
    unused: Sequence[str]
    """Columns of the file that are not read."""
    same: Mapping[str, str]

    def cells(self, row: Sequence[str]) -> dict[str, str]:
        """What a row says in our columns."""
        found = {one: row[place] if place < len(row) else "" for one, place in self.places.items()}
        for one in WRITTEN.keys() & found.keys():
            found[one] = WRITTEN[one](found[one])
        return found | {one: value for one, value in self.same.items() if not found.get(one)}


def columns(head: Sequence[str], ours: Sequence[str], needed: Sequence[str], shape: Shape) -> Columns:
    """Find our columns in a file's head. Raises ``BadSheet``, which says what to do."""
    if not any(head):
        raise BadSheet("the file is empty")
    heads = {name.strip().lower(): place for place, name in enumerate(head)}
    wanted = {one: shape.renamed.get(one, one) for one in ours}
    for name in (*shape.renamed, *shape.same):
        if name not in ours:
            raise BadSheet(f"{name} is no column of ours; these are: {', '.join(ours)}")
    for theirs in shape.renamed.values():
        if theirs.lower() not in heads:
            raise BadSheet(f"the file has no column {theirs}; it has: {', '.join(head)}")
    places = {one: heads[theirs.lower()] for one, theirs in wanted.items() if theirs.lower() in heads}
    if missing := [one for one in needed if one not in places and one not in shape.same]:
        ways = f"rename one (--map {missing[0]}=THEIRS) or give it once for all rows (--set {missing[0]}=VALUE)"
        raise BadSheet(f"no column {', '.join(missing)}; {ways}. The file has: {', '.join(head)}")
    unused = [name for place, name in enumerate(head) if place not in places.values()]
    return Columns(places, unused, shape.same)


@dataclass(frozen=True)
class Row:
    """A row of a file."""

    number: int
    """As a spreadsheet shows it: the head is 1."""
    cells: Mapping[str, str]
    """In our columns."""
    whole: Sequence[str]
    """As it stands there."""


class RowFile:
    """A file with one thing a row. Raises ``BadSheet`` and ``OSError`` when it is opened or read."""

    def __init__(self, path: Path, ours: Sequence[str], needed: Sequence[str], shape: Shape) -> None:
        self._found = long_sheets.rows(path)
        self.head = next(self._found, [])
        self.columns = columns(self.head, ours, needed, shape)

    def rows(self) -> Iterator[Row]:
        """Its rows in order; empty ones are left out."""
        for number, row in enumerate(self._found, start=2):
            if any(row):
                yield Row(number, self.columns.cells(row), row)

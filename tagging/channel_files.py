"""Channel codes from and to files: a CSV of codes to be made, the rows that could not be, and the names of QR pictures.

A row becomes a ``Draft`` or a list of problems in words; every row is looked at before the first code is made.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage import sheets
from storage.sheets import BadSheet
from storage.tables import Channel, Member
from tagging import channels
from tagging.channels import Draft, Invalid

MAX_ROWS = 500
COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "name": ("名称", "渠道名称"),
        "members": ("接待成员", "成员"),
        "spare": ("备用成员", "备用"),
        "tags": ("标签",),
        "welcome": ("欢迎语",),
        "skip_verify": ("自动通过", "无需验证"),
        "daily_cap": ("每日上限", "每人每日上限"),
    }
)
NEEDED = ("name", "members")
YES = frozenset({"", "是", "1", "true", "yes", "y", "对"})
NO = frozenset({"否", "0", "false", "no", "n", "不"})
SEPARATORS = re.compile(r"[|;；｜\n]")
EXAMPLE = (
    ("静安店门口", "zhangsan|lisi", "zhaoliu", "来源/门店|门店/静安店", "你好 {name}，欢迎光临", "是", "20"),
    ("小红书主页", "wangwu", "", "来源/小红书", "你好，我是{rep}", "是", ""),
)
HARMLESS = re.compile(r"[^\w\u3400-\u9fff-]+")


@dataclass(frozen=True)
class Row:
    """One row of the file: ``number`` is its line in the spreadsheet. With problems there is nothing to make."""

    number: int
    cells: Mapping[str, str]
    draft: Draft | None = None
    problems: tuple[tuple[str, str], ...] = field(default_factory=tuple)
    known: bool = False
    """There is a living code of this name already: it is left as it is."""

    @property
    def good(self) -> bool:
        """Whether a code can be made of it."""
        return self.draft is not None and not self.problems and not self.known


def read(db: Session, data: bytes) -> list[Row]:
    """Every row of the file, checked. Raises ``BadSheet`` when it is no such file at all."""
    table = sheets.read(data, most_rows=MAX_ROWS)
    if not table:
        raise BadSheet("文件是空的")
    places = _places(table[0])
    colleagues = _Colleagues.of(db)
    names = set(db.scalars(select(Channel.name).where(Channel.state != "deleted")))
    rows, seen = [], set[str]()
    for number, cells in enumerate(table[1:], start=2):
        own = {name: cells[place] if place < len(cells) else "" for name, place in places.items()}
        if any(own.values()):
            rows.append(_row(db, number, own, colleagues, names, seen))
            seen.add(own["name"])
    if not rows:
        raise BadSheet("除了表头没有内容")
    return rows


def _places(head: Sequence[str]) -> dict[str, int]:
    """Which column of the file holds what."""
    known = {word.lower(): name for name, words in COLUMNS.items() for word in (name, *words)}
    places = {known[cell.lower()]: place for place, cell in enumerate(head) if cell.lower() in known}
    if missing := [name for name in NEEDED if name not in places]:
        words = "、".join(f"{COLUMNS[name][0]}（{name}）" for name in missing)
        raise BadSheet(f"第一行要写列名，缺少：{words}")
    return places


def _row(
    db: Session, number: int, cells: Mapping[str, str], colleagues: "_Colleagues", names: set[str], seen: set[str]
) -> Row:
    problems: list[tuple[str, str]] = []
    if cells["name"] in seen:
        problems.append(("name", "文件里有同名的行"))
    members = colleagues.find(cells["members"], "members", problems)
    spare = colleagues.find(cells.get("spare", ""), "spare", problems)
    draft = Draft(
        name=cells["name"],
        members=tuple(members),
        spare=tuple(spare),
        tags=tuple(_tags(cells.get("tags", ""), problems)),
        text=cells.get("welcome", ""),
        skip_verify=_yes(cells.get("skip_verify", ""), problems),
        daily_cap=_cap(cells.get("daily_cap", ""), problems),
    )
    try:
        channels.check(db, draft)
    except Invalid as error:
        problems += error.problems
    return Row(number, cells, draft, tuple(dict.fromkeys(problems)), known=cells["name"] in names)


@dataclass(frozen=True)
class _Colleagues:
    """Members by userid and by name, as people write them into a spreadsheet."""

    by_userid: Mapping[str, str]
    by_name: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, db: Session) -> "_Colleagues":
        by_name: dict[str, list[str]] = {}
        by_userid = {}
        for userid, name in db.execute(select(Member.userid, Member.name).where(Member.left_at.is_(None))):
            by_userid[userid.lower()] = userid
            by_name.setdefault(name, []).append(userid)
        return cls(by_userid, by_name)

    def find(self, cell: str, column: str, problems: list[tuple[str, str]]) -> list[str]:
        """The userids in a cell; a name that several members bear is a problem, an unknown one ``check`` tells."""
        found = []
        for word in dict.fromkeys(split(cell)):
            same = self.by_name.get(word, [])
            if word.lower() in self.by_userid:
                found.append(self.by_userid[word.lower()])
            elif len(same) > 1:
                problems.append((column, f"有 {len(same)} 名成员叫 {word}，请改写 userid：{'、'.join(same)}"))
            else:
                found.append(same[0] if same else word)
        return found


def split(cell: str) -> list[str]:
    """The parts of a cell that holds several things."""
    return [one.strip() for one in SEPARATORS.split(cell) if one.strip()]


def _tags(cell: str, problems: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for word in split(cell):
        group, slash, name = word.partition("/")
        if slash:
            yield group.strip(), name.strip()
        else:
            problems.append(("tags", f"标签写作 组/标签，例如 来源/抖音：“{word}”"))


def _yes(cell: str, problems: list[tuple[str, str]]) -> bool:
    if cell.lower() not in YES | NO:
        problems.append(("skip_verify", f"填 是 或 否：“{cell}”"))
    return cell.lower() not in NO


def _cap(cell: str, problems: list[tuple[str, str]]) -> int | None:
    if not cell:
        return None
    if not cell.isdecimal() or len(cell) > 6:
        problems.append(("daily_cap", f"填整数，不限请留空：“{cell}”"))
        return None
    return int(cell)


def example() -> Iterator[str]:
    """A CSV to begin with."""
    return sheets.lines([words[0] for words in COLUMNS.values()], EXAMPLE)


def rejected(rows: Iterable[tuple[Mapping[str, str], str]]) -> Iterator[str]:
    """The rows that were not made as a CSV of the same columns, each with its reason: to be mended and sent again."""
    head = [words[0] for words in COLUMNS.values()]
    return sheets.lines([*head, "原因"], ([*(cells.get(name, "") for name in COLUMNS), why] for cells, why in rows))


def picture_name(channel: Channel, ending: str) -> str:
    """A file name for the QR picture of a code: its name, made harmless, and its code."""
    name = HARMLESS.sub("_", channel.name).strip("_-")[:60] or "code"
    return f"{name}-{HARMLESS.sub('_', channel.code)}.{ending}"

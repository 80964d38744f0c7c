"""A CSV that names customers: which column says who, and what each line says. Who that is, is looked up above."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from storage import sheets
from storage.sheets import BadSheet

MAX_ROWS = 100_000
ANY, EXTERNAL, UNIONID, PHONE = "any", "external_userid", "unionid", "phone"
COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        ANY: ("客户 ID", "客户ID", "客户", "id"),
        EXTERNAL: ("external_userid", "外部联系人ID"),
        UNIONID: ("unionid",),
        PHONE: ("手机号", "手机", "电话", "phone"),
    }
)
"""How the columns may be called. ``any`` takes a ``p_`` id, an external_userid, a unionid or a phone number."""
EXAMPLE = (("p_17", ""), ("wmqkVDDgAA9lRVtkRgA2VsR0BxZx8oPg", ""), ("", "138 0013 8000"))


@dataclass(frozen=True)
class Row:
    """One line: its number in the spreadsheet, and the ways in which it names somebody (kind, value), as written."""

    number: int
    ways: tuple[tuple[str, str], ...]

    @property
    def asked(self) -> str:
        """The line in short."""
        return self.ways[0][1] if self.ways else ""


def read(data: bytes) -> list[Row]:
    """Every line that is not empty. Raises ``BadSheet`` when it is no such file."""
    table = sheets.read(data, most_rows=MAX_ROWS)
    if not table:
        raise BadSheet("文件是空的")
    places = _places(table[0])
    rows = []
    for number, cells in enumerate(table[1:], start=2):
        ways = [(kind, cells[place]) for place, kind in places if place < len(cells) and cells[place]]
        if any(cells):
            rows.append(Row(number, tuple(ways)))
    if not rows:
        raise BadSheet("除了表头没有内容")
    return rows


def _places(head: Sequence[str]) -> list[tuple[int, str]]:
    """The columns that name customers, and how."""
    known = {word.lower(): kind for kind, words in COLUMNS.items() for word in words}
    places = [(place, known[cell.lower()]) for place, cell in enumerate(head) if cell.lower() in known]
    if not places:
        wanted = "、".join(words[0] for words in COLUMNS.values())
        found = "、".join(one for one in head[:10] if one) or "（空）"
        raise BadSheet(f"第一行要写列名，至少要有其中一列：{wanted}；文件里的是：{found[:200]}")
    return places

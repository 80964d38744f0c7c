"""CSV as people open it in a spreadsheet: readable in Excel, and never a formula.

A cell that a spreadsheet would take for a formula (= + - @, also behind blanks or quotes) gets a leading apostrophe;
``plain`` takes it off again when such a file comes back, so that the text is the same as before.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

FORMULA = re.compile(r"[\s\u3000'\"‘’“”]*[=+\-@＝＋－＠]|[\t\r]")
BOM = "\ufeff"
"""Without it Excel reads UTF-8 as something else."""


class BadSheet(ValueError):
    """Why a file cannot be read as CSV, in words for the person who sent it."""


def guarded(cell: Any) -> Any:
    """A cell as it may stand in a file: only text can be a formula, a number cannot."""
    if isinstance(cell, datetime):
        return cell.isoformat(timespec="seconds")
    if isinstance(cell, str) and FORMULA.match(cell):
        return f"'{cell}"
    return "" if cell is None else cell


def plain(cell: str) -> str:
    """The text that ``guarded`` was given."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell[1:]) else cell


def lines(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """A CSV file line by line, as RFC 4180 says, with a mark by which Excel knows UTF-8."""
    yield BOM + _line(head)
    for row in rows:
        yield _line(row)


def _line(cells: Sequence[Any]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([guarded(one) for one in cells])
    return out.getvalue()


def read(data: bytes, *, most_rows: int) -> list[list[str]]:
    """The head and up to ``most_rows`` rows of a CSV, in UTF-8 or (as Excel in China) GB18030. Raises ``BadSheet``."""
    text = _text(data)
    first = text.partition("\n")[0]
    delimiter = "\t" if "\t" in first and "," not in first else ","
    try:
        found = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        rows = [[plain(cell.strip()) for cell in row] for row in _up_to(found, most_rows + 1)]
    except csv.Error as error:
        raise BadSheet(f"CSV 格式有误（{error}），请从表格软件重新另存为 CSV") from None
    return rows


def _text(data: bytes) -> str:
    if b"\x00" in data:
        raise BadSheet("这不是 CSV 文本；请在表格软件里另存为“CSV UTF-8”")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BadSheet("文字编码不认识；请在表格软件里另存为“CSV UTF-8”")


def _up_to(rows: Iterable[list[str]], most: int) -> Iterator[list[str]]:
    for number, row in enumerate(rows, start=1):
        if number > most:
            raise BadSheet(f"最多 {most - 1} 行，请分成几个文件")
        yield row

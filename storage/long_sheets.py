"""Long tables out of files, row by row: CSV (also packed with gzip) in UTF-8 or GB18030, and XLSX.

Nothing but the row at hand is kept in memory; of an XLSX the whole sheet, so its size is limited.
"""

import codecs
import csv
import gzip
from collections.abc import Iterator
from datetime import date, datetime
from itertools import chain
from pathlib import Path
from typing import IO, Any, cast

from storage.sheets import BadSheet, plain

GZIP, ZIP = b"\x1f\x8b", b"PK"
MOST_XLSX = 60_000_000
"""Bytes: a sheet of about a million rows."""
LOOK = 1 << 20


def rows(path: Path) -> Iterator[list[str]]:
    """Every row of the file, its head first, cells without blanks around them. Raises ``BadSheet`` and ``OSError``."""
    with path.open("rb") as file:
        begins = file.read(2)
    if begins == ZIP:
        yield from _xlsx(path)
    else:
        yield from _csv(path, packed=begins == GZIP)


def _csv(path: Path, *, packed: bool) -> Iterator[list[str]]:
    encoding = _encoding(path, packed=packed)
    with _opened(path, packed=packed) as raw:
        text = codecs.getreader(encoding)(raw)
        first = text.readline()
        delimiter = "\t" if "\t" in first and "," not in first else ","
        try:
            for row in csv.reader(chain([first], text), delimiter=delimiter, strict=True):
                yield [plain(cell.strip()) for cell in row]
        except csv.Error as error:
            raise BadSheet(f"CSV 格式有误（{error}），请从表格软件重新另存为 CSV") from None


def _opened(path: Path, *, packed: bool) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb") if packed else path.open("rb"))


def _encoding(path: Path, *, packed: bool) -> str:
    """The first of the two in which the whole file can be read. Raises ``BadSheet`` for neither."""
    for encoding in ("utf-8-sig", "gb18030"):
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            with _opened(path, packed=packed) as raw:
                while part := raw.read(LOOK):
                    if b"\x00" in part:
                        raise BadSheet("这不是 CSV 文本；请在表格软件里另存为“CSV UTF-8”")
                    decoder.decode(part)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    raise BadSheet("文字编码不认识；请在表格软件里另存为“CSV UTF-8”")


def _xlsx(path: Path) -> Iterator[list[str]]:
    if path.stat().st_size > MOST_XLSX:
        raise BadSheet("这个 XLSX 太大；请在表格软件里另存为“CSV UTF-8”")
    from python_calamine import CalamineError, CalamineWorkbook  # loaded where a spreadsheet is read

    try:
        sheet = CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0)
    except CalamineError as error:
        raise BadSheet(f"XLSX 打不开（{error}）") from None
    for row in sheet.iter_rows():
        yield [plain(_cell(one).strip()) for one in row]


def _cell(value: Any) -> str:
    """A cell as somebody would write it: whole numbers without a point, times as ISO 8601."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.10f}".rstrip("0").rstrip(".")
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)

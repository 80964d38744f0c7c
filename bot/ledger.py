"""``scrm ledger`` and ``scrm export ledger``: the books of points proved, given out and taken in."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError
from tqdm import tqdm

from loyalty.ledger import carrying, proof, seals
from loyalty.ledger.proof import Proof
from scheduler import points_jobs
from storage import audit, sheets
from storage.database import transaction, utc_now
from storage.tables import PointsTxn


class Unreadable(Exception):
    """The file or the database cannot even be opened."""


def verify(engine: Engine) -> tuple[Proof, int]:
    """Prove all of it, with a bar on a terminal; how many heads that were kept outside were compared too.

    Raises ``Unreadable`` where nothing at all can be read.
    """
    file = points_jobs.heads_file(engine)
    try:
        with proof.one_moment(engine) as db:
            total = db.scalar(select(func.count()).select_from(PointsTxn)) or 0
            with tqdm(total=total, unit=" transactions", disable=None, leave=False) as bar:
                found = proof.verify(db, bar.update)
            outside = seals.hold_against(db, found, seals.read_heads(file))
    except SQLAlchemyError as error:
        raise Unreadable(f"the books cannot be read: {proof.words(error)}") from None
    finally:
        engine.dispose()
    return found, outside


def as_json(found: Proof, outside: int) -> dict[str, Any]:
    """What was found, as one document."""
    told = {name: value for name, value in asdict(found).items() if name not in ("faults", "more")}
    faults = {"faults": [asdict(one) for one in found.faults], "more_faults": found.more}
    return {"holds": found.holds, **told, "sealed": found.sealed, "heads_outside": outside, **faults}


def as_text(found: Proof, outside: int) -> str:
    """What was found, in sentences."""
    lines = [str(one) for one in found.faults]
    if found.more:
        lines.append(f"… and {found.more} more")
    lines += [
        f"{found.transactions} transactions, {found.entries} entries, {found.lots} lots, {found.accounts} accounts",
        f"sealed: {found.sealed} in {found.seals} blocks; not sealed yet: {found.unsealed}",
        f"head: {found.head}; compared with {outside} kept outside the database",
        "all of it holds" if found.holds else f"{len(found.faults) + found.more} faults",
    ]
    return "\n".join(lines)


def lines(db: Any) -> Iterator[str]:
    """The books as a CSV, line by line."""
    return sheets.lines(carrying.HEAD, carrying.rows(db))


def take_in(engine: Engine, file: Path) -> Proof:
    """Write such a file into empty books. Raises ``carrying.NotEmpty``, ``carrying.BadBooks`` and ``OSError``."""
    try:
        with transaction(engine) as db, file.open(encoding="utf-8-sig", newline="") as source:
            cells = _cells(source)
            found = carrying.carry_in(db, next(cells, ()), cells)
            details = {"transactions": found.transactions, "head": found.head}
            audit.note(db, actor="command line", action="ledger.import", details=details, at=utc_now())
    finally:
        engine.dispose()
    return found


def _cells(source: Any) -> Iterator[Sequence[str]]:
    try:
        for row in csv.reader(source, strict=True):
            yield [sheets.plain(one) for one in row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise carrying.BadBooks(f"this is not the CSV that `scrm export ledger` writes: {error}") from None

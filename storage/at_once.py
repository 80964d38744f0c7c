"""Several statements told to PostgreSQL before it answers, so that both sides wait once.

For what is asked and written for every spend of every customer, also on SQLite: statements that are spelt once and go
in the driver's own words, which takes half of what SQLAlchemy's take. On SQLite, which is in the same process, there is
nothing to wait for, so there they are run one by one.
"""

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

from sqlalchemy import Connection, Dialect, Executable, Select

from storage.database import driven

Tell = Callable[[str, Any], Any]
"""Run a statement in the driver's own words, for one row of values or a list of them; who has its answer."""


@contextmanager
def all_at_once(connection: Connection) -> Iterator[Tell]:
    """Tell PostgreSQL all that is written inside before it answers, and wait once: that takes both sides a fifth less.

    What is told may go by SQLAlchemy, or in the driver's own words by ``Tell``, which is quicker and the only way to
    ask inside; the answers are there at the end. Nothing can be added whose id the database makes. An error may be
    that of an earlier statement; it comes, at the latest, at the end, and the whole transaction has to end with it, not
    only a savepoint.
    """
    if connection.dialect.name == "sqlite":
        yield connection.exec_driver_sql
        return
    own = cast(Any, connection.connection.driver_connection)
    with driven(connection), own.pipeline():
        yield partial(_tell, own)


def _tell(own: Any, statement: str, values: Any) -> Any:
    cursor = own.cursor()
    if isinstance(values, list):
        cursor.executemany(statement, values)
    else:
        cursor.execute(statement, values)
    return cursor


class Spoken:
    """A statement in the driver's own words. Its parameters are numbers, texts and what ``packed`` makes."""

    def __init__(self, dialect: Dialect, statement: Executable) -> None:
        spelt = cast(Any, statement).compile(dialect=dialect)
        self.text = str(spelt)
        self._fixed = {name: spelt.params[name] for own, name in spelt.bind_names.items() if not own.required}
        self._names, self._order = list(spelt.bind_names.values()), spelt.positiontup
        columns: Any = statement.selected_columns if isinstance(statement, Select) else []
        readers = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
        self._readers = [(number, one) for number, one in enumerate(readers) if one is not None]
        self._row = cast(Any, namedtuple)("Row", [column.key for column in columns])._make

    def values(self, given: Mapping[str, Any]) -> Any:
        """These parameters, as the driver wants them. Raises ``KeyError`` where one is missing."""
        every = {**self._fixed, **given}
        return tuple([every[name] for name in self._order]) if self._order else {one: every[one] for one in self._names}

    def row(self, found: Sequence[Any]) -> Any:
        """A row of the answer, as a named tuple."""
        values = list(found)
        for number, read in self._readers:
            values[number] = read(values[number])
        return self._row(values)


_SPOKEN: dict[tuple[str, Executable], Spoken] = {}


def spoken(dialect: Dialect, statement: Executable) -> Spoken:
    """A statement that is kept for good, spelt once."""
    key = dialect.name, statement
    if key not in _SPOKEN:
        _SPOKEN[key] = Spoken(dialect, statement)
    return _SPOKEN[key]


def answers(connection: Connection, *asked: tuple[Select[Any], Mapping[str, Any]]) -> list[list[Any]]:
    """The rows of each of these questions, which are kept for good.

    A later one sees what is there once an earlier one holds the rows that it wanted.
    """
    questions = [(spoken(connection.dialect, statement), given) for statement, given in asked]
    with all_at_once(connection) as tell:
        told = [tell(one.text, one.values(given)) for one, given in questions]
    return [[one.row(found) for found in each.fetchall()] for (one, _), each in zip(questions, told, strict=True)]


def change(connection: Connection, tell: Tell | None, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
    """Run an UPDATE, which is kept for good, for each of these rows; ``tell``: that of ``all_at_once``."""
    if rows:
        own = spoken(connection.dialect, statement)
        each = [own.values(one) for one in rows]
        (tell or connection.exec_driver_sql)(own.text, each[0] if len(each) == 1 else each)

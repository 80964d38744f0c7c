"""How we open, write and read the database, alike on SQLite and PostgreSQL.

``transaction`` stands only at the edges (callback, event, job, outbox row, console form); nothing below it
ever commits. The network and a transaction are never open together.
"""

import hashlib
import json
import random
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from sqlalchemy import (
    ARRAY,
    URL,
    BigInteger,
    ColumnElement,
    Connection,
    CursorResult,
    DateTime,
    Dialect,
    Engine,
    Executable,
    Integer,
    Text,
    any_,
    bindparam,
    create_engine,
    event,
    func,
    literal_column,
    make_url,
    select,
    text,
)
from sqlalchemy import cast as as_type
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection
from sqlalchemy.types import TypeDecorator, UserDefinedType

Clock = Callable[[], datetime]
Made = TypeVar("Made")

PATIENCE_SECONDS = 8.0
"""How long a writer waits for SQLite's one write lock before it gives up."""
SQLITE_IS_AWAY = ("locked", "is full", "disk I/O error", "unable to open", "readonly")
ALIVE: dict[str, Any] = {
    "connect_timeout": 2,
    "tcp_user_timeout": 3000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
"""So that a server that vanished without a word is noticed in seconds, not when TCP gives up after many minutes."""
RESTED_SECONDS = 2.0
"""A connection that rested longer is asked whether it still lives before it is used."""
NEEDED_SYNCHRONOUS = {"sqlite": "2", "postgresql": "on"}
"""What the database must answer for a commit to survive a power cut (reliability: F26)."""

FIRST_COUNTED = 4
"""With this portion, and whenever as much has come again, PostgreSQL counts."""

TOO_MUCH_ASKED = "54"
"""PostgreSQL's class of errors for statements over its limits."""
CROSSED = ("40P01", "55P03", "57014")
"""And its errors for a deadlock, and for waiting too long for a lock or for the end of a statement."""


def utc_now() -> datetime:
    """The system's time, aware, in UTC."""
    return datetime.now(UTC)


class UtcTime(TypeDecorator[datetime]):
    """An aware time in UTC. SQLite has no time zones, so there it is kept as UTC without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive time: it would mean another moment on another machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone cannot be kept: {value!r}")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give every time back aware and in UTC, whatever zone the server speaks."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def open_engine(url: str, *, patience: float = PATIENCE_SECONDS, single: bool = False, pool_size: int = 10) -> Engine:
    """Open the database at ``url`` (``sqlite:///…`` or ``postgresql+psycopg://…``).

    ``patience`` is how many seconds a writer waits for a lock. ``single`` is for who only ever makes one statement at a
    time: on PostgreSQL each is a transaction of its own then, which saves two of three round trips, and ends when
    ``patience`` does. Raises ``ValueError`` for another kind of database.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed, patience)
    if parsed.get_backend_name() == "postgresql":
        return _open_postgresql(parsed, patience, single, pool_size)
    raise ValueError(f"storage.url must begin with sqlite:/// or postgresql+psycopg://, not {parsed.drivername}")


def _open_postgresql(url: URL, patience: float, single: bool, pool_size: int) -> Engine:
    limits = {"lock_timeout": patience, "idle_in_transaction_session_timeout": 60}
    if single:
        limits["statement_timeout"] = patience
    settings = [f"{name}={int(seconds * 1000)}" for name, seconds in limits.items()]
    settings.append("jit=off")  # compiling one portion of a broadcast's plan takes a second, running it another
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        isolation_level="AUTOCOMMIT" if single else None,
        pool_timeout=patience,
        hide_parameters=True,
        connect_args={
            **ALIVE,
            "options": " ".join(f"-c {one}" for one in settings),
        },
    )
    _ask_after_a_rest(engine)
    return engine


def _ask_after_a_rest(engine: Engine) -> None:
    """SQLAlchemy's ``pool_pre_ping`` asks before each transaction, one round trip more; we ask after a rest only."""

    @event.listens_for(engine, "checkin")
    def rest(connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info["rests_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ask(connection: DBAPIConnection, record: ConnectionPoolEntry, _: PoolProxiedConnection) -> None:
        since = record.info.get("rests_since")
        if since is None or time.monotonic() - since < RESTED_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error:
            raise DisconnectionError("the connection died while it rested") from None


def bucket(text: str) -> int:
    """0 to 9,999, always the same for a text: the first 60 bits of its SHA-256, modulo ten thousand."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:15], 16) % 10_000


class _Bits(UserDefinedType[int]):
    """PostgreSQL's BIT(60), without its dialect, which SQLite does without."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """As SQL writes it."""
        return "BIT(60)"


def bucket_of(db: Session, text: ColumnElement[str]) -> ColumnElement[int]:
    """The same, worked out by the database."""
    if db.get_bind().dialect.name == "sqlite":
        return func.text_bucket(text, type_=Integer)
    digest = func.substr(func.encode(func.sha256(func.convert_to(text, "UTF8")), "hex"), 1, 15)
    return as_type(as_type(func.concat("x", digest), _Bits()), BigInteger) % 10_000


def _open_sqlite(url: URL, patience: float) -> Engine:
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": 0, "check_same_thread": False})
    turn = threading.Lock()

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        # first to wait: while the last one else leaves, the file is locked for a moment
        for pragma in ("busy_timeout=2000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        cast(Any, connection).create_function("text_bucket", 1, bucket, deterministic=True)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        kind = connection.get_execution_options().get("sqlite_begin", "IMMEDIATE")
        own = cast(DBAPIConnection, connection.connection.dbapi_connection)
        if kind == "DEFERRED":
            own.execute("BEGIN DEFERRED")
        else:
            _begin_patiently(own, patience, turn)

    return engine


def _begin_patiently(connection: DBAPIConnection, patience: float, turn: threading.Lock) -> None:
    """Start a writing transaction, asking for the write lock every millisecond or so, one thread of a process at once.

    SQLite's own waiting backs off up to 100 ms between looks, which under load starves one writer for a second.
    Python's default would begin lazily and lose updates (libraries: 403 of 600), so we always begin by hand.
    """
    deadline = time.monotonic() + patience
    if not turn.acquire(timeout=patience):
        raise OperationalError("BEGIN IMMEDIATE", None, sqlite3.OperationalError("database is locked"))
    connection.execute("PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except Exception as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise OperationalError("BEGIN IMMEDIATE", None, error) from error
                time.sleep(random.uniform(0.0005, 0.002))  # noqa: S311  # spreads writers, guards nothing  # nosec B311
            else:
                return
    finally:
        turn.release()
        connection.execute("PRAGMA busy_timeout=2000")


@contextmanager
def transaction(books: Engine | Connection) -> Iterator[Session]:
    """Everything inside is kept together, or none of it is. ``books`` may be those of ``tried_out``."""
    with Session(books, expire_on_commit=False) as db, db.begin():
        yield db


def plan_anew(db: Session, portion: int) -> None:
    """Before a portion (the first is 1) of long work on PostgreSQL: let it be planned for the tables as they are now.

    A line that keeps the plans it made while the tables were empty, also those by which the database checks foreign
    keys, reads all of a table for each row. A server that has not counted what was filled looks through everything of
    one type for a few values; so we have it counted as often as that has doubled, and do not wait until it does itself.
    """
    if db.get_bind().dialect.name != "postgresql":
        return
    db.execute(text("DISCARD PLANS"))
    kept = not isinstance(db.get_bind(), Connection)  # nothing to be counted for others: it goes back (``tried_out``)
    if kept and portion >= FIRST_COUNTED and portion & (portion - 1) == 0:
        db.execute(text("SET LOCAL default_statistics_target = 10"))  # it looks at 3,000 rows of each table
        db.execute(text("ANALYZE (SKIP_LOCKED)"))  # what another one is counting is left to them


@contextmanager
def driven(connection: Connection) -> Iterator[None]:
    """PostgreSQL's driver by itself: its errors are raised as SQLAlchemy raises them; whoever is told to stop stops."""
    driver, own = cast(Any, connection.dialect.loaded_dbapi), cast(Any, connection.connection.driver_connection)
    try:
        yield
    except Exception as error:
        if (stop := error.__context__) is not None and not isinstance(stop, Exception):
            connection.invalidate(stop)
            raise stop from None  # told to stop while it waited: the driver's own trouble hides that
        if not isinstance(error, driver.Error):
            raise
        lost = bool(own.closed)
        if lost:
            connection.invalidate(error)
            connection.engine.dispose(close=False)  # the others died with it
        raise DBAPIError.instance(
            "several statements", None, error, driver.Error,
            hide_parameters=True, connection_invalidated=lost, dialect=connection.dialect,
        ) from error  # fmt: skip
    except BaseException as stop:
        connection.invalidate(stop)
        raise


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    """The database at ``url``, let go of at the end."""
    engine = open_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def tried_out(url: str) -> Iterator[Engine | Connection]:
    """The database as it is, for work of which nothing is kept at the end.

    On SQLite, where everybody would wait for one writer, it is a copy; on PostgreSQL one transaction that is rolled
    back: whoever wants to write the same rows waits that long.
    """
    if not url.startswith("sqlite"):
        with opened(url) as engine, engine.connect() as connection, connection.begin() as everything:
            yield connection
            everything.rollback()
        return
    with tempfile.TemporaryDirectory(prefix="scrm-dry-") as folder:
        copy = f"{folder}/scrm.db"
        with closing(sqlite3.connect(make_url(url).database or "")) as own, closing(sqlite3.connect(copy)) as there:
            own.backup(there)
        with opened(f"sqlite:///{copy}") as engine:
            yield engine


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """Look without the right to write, so that readers never wait for a writer."""
    options = {"sqlite_begin": "DEFERRED", "postgresql_readonly": True}
    with Session(engine.execution_options(**options), expire_on_commit=False) as db:
        yield db


def changed_rows(db: Session | Connection, statement: Executable) -> int:
    """Run an UPDATE or DELETE and say how many rows it changed."""
    return cast(CursorResult[Any], db.execute(statement)).rowcount


def one_of(column: ColumnElement[str], values: Sequence[str]) -> ColumnElement[bool]:
    """``column IN (…)`` with our own words written out, so that SQLite recognises the condition of a partial index."""
    return column.in_([literal_column(f"'{value}'") for value in values])


def among(dialect: str, column: ColumnElement[Any] | InstrumentedAttribute[Any], name: str) -> ColumnElement[bool]:
    """``column IN`` the values of the parameter ``name``, made by ``packed``.

    One parameter, however many there are: to spell out hundreds takes longer than the database takes to find them.
    """
    if dialect == "sqlite":
        each = func.json_each(bindparam(name, type_=Text())).table_valued("value")
        return column.in_(select(each.c.value))
    return column == any_(bindparam(name, type_=ARRAY(column.type)))


def packed(dialect: str, values: Collection[Any]) -> Any:
    """These values as the parameter that ``among`` takes."""
    return json.dumps(list(values)) if dialect == "sqlite" else list(values)


def is_away(error: BaseException) -> bool:
    """Whether the database was not there, was locked or had no room, rather than refusing what we asked of it.

    Then the work is not to blame and may be tried again. (SQLite gives every kind of trouble the same class.)
    """
    if isinstance(error, PoolTimeout | InterfaceError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if type(error.orig).__module__ == "sqlite3":
        return any(words in str(error.orig) for words in SQLITE_IS_AWAY)
    too_much = (getattr(error.orig, "sqlstate", None) or "").startswith(TOO_MUCH_ASKED)
    return error.connection_invalidated or (isinstance(error, OperationalError) and not too_much)


def is_crossed(error: BaseException) -> bool:
    """Whether others held what we needed for too long, or we and they waited for each other. Only on PostgreSQL.

    To be tried again, and whoever shared the transaction may well not need the same: each of them alone.
    """
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in CROSSED


def past_crossings(do: Callable[[], Made], turns: int = 5) -> Made:
    """Do it, a whole transaction, again when others and we waited for each other; the last time the error stands."""
    for _ in range(turns - 1):
        try:
            return do()
        except DBAPIError as error:
            if not is_crossed(error):
                raise
    return do()


def durability(engine: Engine) -> tuple[str, bool]:
    """What the database says about surviving a power cut, and whether that is enough."""
    with engine.connect() as connection:
        question = "PRAGMA synchronous" if engine.dialect.name == "sqlite" else "SHOW synchronous_commit"
        answer = str(connection.exec_driver_sql(question).scalar_one())
    return f"{question.split()[-1]} = {answer}", answer == NEEDED_SYNCHRONOUS[engine.dialect.name]

"""The schema and its migrations: which version the database has, and how it is brought up to date."""

import multiprocessing
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, inspect, text

from storage.database import open_engine

if TYPE_CHECKING:
    from alembic.config import Config

HERE = Path(__file__).parent / "migrations"


def config(url: str) -> "Config":
    """Alembic's configuration for a database, without an ini file. Alembic is loaded only to migrate."""
    from alembic.config import Config

    settings = Config()
    settings.set_main_option("script_location", str(HERE))
    settings.attributes["url"] = url
    return settings


def newest() -> str:
    """The version this code needs: the last migration, which are numbered and form one line."""
    return max(path.name.partition("_")[0] for path in (HERE / "versions").glob("[0-9]*_*.py"))


def current(engine: Engine) -> str | None:
    """The version the database has; None when it is empty."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return version


def trouble(engine: Engine) -> str | None:
    """One line when the database does not fit this code, else None."""
    have, need = current(engine), newest()
    if have == need:
        return None
    if have is None:
        return "the database is empty: run `scrm migrate`"
    return f"the database has schema {have}, this program needs {need}: run `scrm migrate`"


def migrate(url: str) -> tuple[str | None, str]:
    """Bring the database up to date; the version before and after."""
    from alembic import command

    engine = open_engine(url)
    try:
        before = current(engine)
    finally:
        engine.dispose()
    command.upgrade(config(url), "head")
    return before, newest()


def migrate_apart(url: str) -> None:
    """``migrate`` in a process of its own, so that who goes on living does not carry Alembic (11 MB).

    What fails there is printed there; then this raises ``RuntimeError``.
    """
    apart = multiprocessing.get_context("fork").Process(target=migrate, args=(url,), name="migrate")
    apart.start()
    apart.join()
    if apart.exitcode:
        raise RuntimeError("the database could not be set up; what stopped it is printed above")

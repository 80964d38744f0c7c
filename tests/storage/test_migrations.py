"""The migrations lead to the very tables the code describes, on both databases."""

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from storage.database import open_engine
from storage.tables import Base
from storage.tables.base import tell_conditions

OF_THE_INDEX = "story_text"
"""The full-text index is the database's own; only the migrations know its tables."""


def ours(_object: object, name: str | None, kind: str, _reflected: bool, _compared: object) -> bool:
    return not (kind == "table" and (name or "").startswith(OF_THE_INDEX))


def test_migrations_and_tables_say_the_same(database_url: str) -> None:
    tell_conditions(Base.metadata)
    engine = open_engine(database_url)
    with engine.connect() as connection:
        options = {"compare_type": False, "include_object": ours}
        found = compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)
    engine.dispose()
    assert found == [], found


def test_no_dialect_is_loaded_but_the_one_in_use() -> None:
    loaded = "import sys, storage.search, storage.tables; print([one for one in sys.modules if 'postgresql' in one])"
    said = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_table_says_what_it_is(database_url: str) -> None:
    assert [one.__name__ for one in Base.__subclasses__() if not one.__doc__] == []

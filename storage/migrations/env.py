"""Runs the migrations, alike on SQLite and PostgreSQL, in one transaction.

On SQLite foreign keys are off meanwhile: batch mode rebuilds tables, and with cascades on that deletes their children.
"""

from alembic import context
from sqlalchemy import create_engine, event

from storage.tables import Base
from storage.tables.base import tell_conditions

context.config.attributes.setdefault("url", "")


def run() -> None:
    """Open a connection of our own, with foreign keys off, and migrate."""
    engine = create_engine(context.config.attributes["url"])
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def prepare(connection, _record):  # type: ignore[no-untyped-def]
            connection.isolation_level = None
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA foreign_keys=OFF")

        @event.listens_for(engine, "begin")
        def begin(connection):  # type: ignore[no-untyped-def]
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    tell_conditions(Base.metadata)
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=True,
            transactional_ddl=True,
        )
        with context.begin_transaction():
            context.run_migrations()
            if engine.dialect.name == "sqlite":
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
                if broken:
                    raise RuntimeError(f"the migration would leave {len(broken)} rows without their parent")
        connection.commit()
    engine.dispose()


run()

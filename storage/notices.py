"""What other systems are to be told, written down by the database itself: a fact and the line about it are one.

A trigger on each table of facts adds a ``webhook_message`` for every webhook that wants facts of that kind. So nobody
who writes a fact has to think of it, nobody can forget to, and what nobody wants costs one look at an empty table.
Migrations install them; a table that is copied and renamed (Alembic's batch mode) has to get them again.
"""

from dataclasses import dataclass

from sqlalchemy import Connection

STANDS = "NEW.bucket IN ('pending', 'available', 'held', 'debt')"
WHOSE = (
    "(SELECT 'p_' || coalesce(p.merged_into, p.id) FROM points_account a JOIN person p ON p.id = a.person_id "
    "WHERE a.id = NEW.account_id)"
)


@dataclass(frozen=True)
class Fact:
    """A kind of fact: when it is one, what it is called, which row tells of it, whom it is about."""

    table: str
    verb: str
    name: str
    subject: str
    row: str = "NEW.id"
    part: str = "0"
    when: str = ""


FACTS: tuple[Fact, ...] = (
    Fact("person", "INSERT", "'person'", "'p_' || NEW.id"),
    Fact("interaction", "INSERT", "'line:' || NEW.kind", "'p_' || NEW.person_id"),
    Fact(
        "shop_order",
        "INSERT",
        "'order'",
        "coalesce('p_' || NEW.person_id, 'order:' || NEW.source || ':' || NEW.order_no)",
    ),
    Fact(
        "refund",
        "UPDATE",
        "'refund'",
        "coalesce('p_' || NEW.person_id, 'order:' || NEW.source || ':' || NEW.order_no, 'refund:' || NEW.id)",
        when="NEW.state = 'done' AND OLD.state <> 'done'",
    ),
    Fact("points_entry", "INSERT", "'points'", WHOSE, row="NEW.txn_id", part="NEW.account_id", when=STANDS),
    Fact("tier_change", "INSERT", "'tier'", WHOSE),
)
"""All that can be told of."""


def install(connection: Connection) -> None:
    """Let the database write down what is to be told."""
    for fact in FACTS:
        (_on_sqlite if connection.dialect.name == "sqlite" else _on_postgresql)(connection, fact)


def _written(fact: Fact) -> str:
    """The statement that writes one line for each webhook that wants it; an account of nobody tells nobody."""
    return (
        "INSERT INTO webhook_message (webhook_id, event, fact, row_id, part, subject, state, tries, outcome) "  # noqa: S608  # our own words only  # nosec B608
        f"SELECT w.webhook_id, w.event, w.fact, {fact.row}, {fact.part}, {fact.subject}, 'waiting', 0, '' "
        f"FROM webhook_wish w WHERE w.fact = {fact.name} AND {fact.subject} IS NOT NULL ON CONFLICT DO NOTHING"
    )


def _when(fact: Fact) -> str:
    return f"WHEN ({fact.when})" if fact.when else ""


def _on_sqlite(connection: Connection, fact: Fact) -> None:
    connection.exec_driver_sql(
        f"CREATE TRIGGER {fact.table}_is_told AFTER {fact.verb} ON {fact.table} {_when(fact)} "
        f"BEGIN {_written(fact)}; END"
    )


def _on_postgresql(connection: Connection, fact: Fact) -> None:
    connection.exec_driver_sql(
        f"CREATE FUNCTION {fact.table}_tells() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN {_written(fact)}; RETURN NULL; END $$"
    )
    connection.exec_driver_sql(
        f"CREATE TRIGGER {fact.table}_is_told AFTER {fact.verb} ON {fact.table} "
        f"FOR EACH ROW {_when(fact)} EXECUTE FUNCTION {fact.table}_tells()"
    )

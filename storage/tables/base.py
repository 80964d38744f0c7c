"""What all tables share: the root class, how keys grow, how Python types are kept."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, ColumnElement, Index, Integer, MetaData, TextClause
from sqlalchemy.orm import DeclarativeBase, QueryableAttribute

from storage.database import UtcTime

Key = BigInteger().with_variant(Integer, "sqlite")
"""A growing number; SQLite only grows plain INTEGER keys by itself."""


def _own_dispatch(attribute: QueryableAttribute[Any]) -> Any:
    listeners: Any = type(attribute).dispatch
    return listeners._for_instance(attribute)


QueryableAttribute._memoized_attr__slots_dispatch = _own_dispatch  # type: ignore[attr-defined]
"""Who listens to a column, made in the way of SQLAlchemy's other slots. It looks for it by ``hasattr`` (2.1.9), and on
its way to the answer no makes two copies of each column: a seventh of our start and 3 MB in each process.
"""


class Base(DeclarativeBase):
    """The root of all tables; named constraints, so that migrations can change them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcTime,
        dict[str, Any]: JSON,
        list[str]: JSON,
        list[int]: JSON,
        list[dict[str, Any]]: JSON,
    }


def partial_index(name: str, *columns: str, where: TextClause | ColumnElement[bool], unique: bool = False) -> Index:
    """An index of the rows for which a condition holds.

    The condition waits in ``info``: to name a dialect here would load it, and PostgreSQL's takes 2 MB of everybody who
    runs on SQLite. The migrations make the index; ``tell_conditions`` lets them be compared with it.
    """
    return Index(name, *columns, unique=unique, info={"where": where})


def tell_conditions(metadata: MetaData) -> None:
    """Tell every dialect the conditions of the partial indexes."""
    for table in metadata.tables.values():
        for index in table.indexes:
            if (where := index.info.get("where")) is not None:
                for dialect in ("sqlite", "postgresql"):
                    index.dialect_options[dialect]["where"] = where

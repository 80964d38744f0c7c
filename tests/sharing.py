"""What each test would work out anew, worked out once: how addresses are built, what templates say, how SQL is spelt.

Some hundred tests build the whole application; reading its four hundred addresses and its templates again each time
would be a third of their work. Some thousand open a database; each spells its statements as all others do.
"""

from collections.abc import Callable
from typing import Any

import sqlalchemy
from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy import Dialect, Engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache
from werkzeug.datastructures import ImmutableDict
from werkzeug.routing import Rule

from storage import database


class KnownRule(Rule):
    """An address whose builder is shared with the same address of another application."""

    _known: dict[tuple[object, ...], Callable[..., tuple[str, str]]] = {}  # noqa: RUF012  shared is the point

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        if self.defaults:
            return super()._compile_builder(append_unknown)
        key = (self.rule, *self._trace, append_unknown)
        if key not in self._known:
            self._known[key] = super()._compile_builder(append_unknown)
        return self._known[key]


class KnownTemplates(BytecodeCache):
    """Compiled templates, kept as long as the process; another source has another checksum."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, Any]] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        checksum, code = self._known.get(bucket.key, ("", None))
        if checksum == bucket.checksum:
            bucket.code = code

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key] = (bucket.checksum, bucket.code)


SPELT = LRUCache[Any, Any](5_000)
"""Statements as they were compiled, for every engine."""


def _open_engine(*told: Any, **more: Any) -> Engine:
    engine = sqlalchemy.create_engine(*told, **more)
    engine._compiled_cache = SPELT
    return engine


def _kind(dialect: Dialect) -> tuple[type[Dialect], bool]:
    return type(dialect), dialect.positional


def _same(one: Dialect, other: object) -> bool:
    return isinstance(other, DefaultDialect) and _kind(one) == _kind(other)


def share() -> None:
    """Let every application and every database of this process share what is the same in all of them."""
    DefaultDialect.__hash__ = lambda one: hash(_kind(one))  # type: ignore[method-assign]
    DefaultDialect.__eq__ = _same  # type: ignore[method-assign]
    database.create_engine = _open_engine  # type: ignore[attr-defined]
    Flask.url_rule_class = KnownRule
    Flask.jinja_options = ImmutableDict(bytecode_cache=KnownTemplates())

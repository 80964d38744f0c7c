"""What every application of a test would work out anew, worked out once: how addresses are built, what templates say.

Some hundred tests build the whole application; reading its four hundred addresses and its templates again each time
would be a third of their work.
"""

from collections.abc import Callable
from typing import Any

from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from werkzeug.datastructures import ImmutableDict
from werkzeug.routing import Rule


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


def share() -> None:
    """Let every application of this process share what is the same in all of them."""
    Flask.url_rule_class = KnownRule
    Flask.jinja_options = ImmutableDict(bytecode_cache=KnownTemplates())

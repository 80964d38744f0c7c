"""What every command of the command line shares: how it fails in one line, its options, tables and JSON."""

import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


class Cannot(click.ClickException):
    """One clear line on stderr, exit 1."""

    def format_message(self) -> str:
        """The line as it is."""
        return self.message

    def show(self, file: Any = None) -> None:
        """Print it with our name before it."""
        click.echo(f"scrm: {self.message}", err=True)


def plainly(function: F) -> F:
    """Turn the errors a user can mend into one line."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        from sqlalchemy.exc import SQLAlchemyError

        from bot.settings import SettingsError
        from wecom.errors import WeComError

        try:
            return function(*args, **kwargs)
        except (SettingsError, WeComError) as error:
            raise Cannot(str(error)) from None
        except SQLAlchemyError as error:
            first = str(getattr(error, "orig", error)).strip().partition("\n")[0]
            raise Cannot(f"the database does not answer as it should: {first}; see `scrm check`") from None

    return run  # type: ignore[return-value]


def command(name: str | None = None) -> Callable[[F], click.Command]:
    """A command that also takes --config after its own name."""

    def make(function: F) -> click.Command:
        @wraps(function)
        @click.pass_context
        def run(context: click.Context, /, config: Path | None, **kwargs: Any) -> Any:
            context.obj = config or context.obj
            return plainly(function)(context.obj, **kwargs)

        option = click.option("--config", type=click.Path(path_type=Path), help="Settings file (config.toml).")
        return click.command(name)(option(run))

    return make


def json_option(function: F) -> F:
    """``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(function)


def say_json(value: Any) -> None:
    """One document on stdout."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def table(rows: list[list[str]], heads: list[str]) -> str:
    """Aligned columns; wide (Chinese) characters count twice."""
    from unicodedata import east_asian_width

    def width(text: str) -> int:
        return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)

    widths = [max(width(row[n]) for row in [heads, *rows]) for n in range(len(heads))]
    lines = [
        [cell + " " * (size - width(cell)) for cell, size in zip(row, widths, strict=True)] for row in [heads, *rows]
    ]
    rule = ["─" * size for size in widths]
    return "\n".join("  ".join(line).rstrip() for line in [lines[0], rule, *lines[1:]])


def ready(settings: Any) -> None:
    """The database of these settings with our schema; an empty one is set up, as at the first start.

    Raises ``Cannot`` where it has another version.
    """
    from bot import serve

    try:
        serve.ready_schema(settings)
    except serve.CannotServe as error:
        raise Cannot(str(error)) from None


def engine_of(config: Path | None) -> Any:
    """The database of the settings in this file. Raises ``SettingsError``."""
    from bot.settings import load
    from storage.database import open_engine

    return open_engine(load(config).storage.url)

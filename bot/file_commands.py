"""Commands that bring files in (``scrm import …``) and write them out (``scrm export``); thin, as those of ``cli``."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import click

from bot.commands import Cannot, F, command, engine_of, json_option, plainly, ready, say_json


@click.group("import")
def import_() -> None:
    """Bring in what other systems know.

    Example: scrm import orders orders.csv --dry-run
    """


def _pairs(_: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = [one.partition("=") for one in values]
    for ours, between, theirs in pairs:
        if not (ours and between and theirs):
            raise click.BadParameter("must be OUR=THEIRS", param=option)
    return {ours: theirs for ours, _, theirs in pairs}


@import_.command("orders")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--map", "renamed", multiple=True, metavar="OUR=THEIRS", callback=_pairs, help="What the file calls it.")
@click.option("--set", "same", multiple=True, metavar="OUR=VALUE", callback=_pairs, help="The same for all rows.")
@click.option("--match-refunds", "match", type=click.Choice(["same-amount", "latest"]),
              help="How to find the order of a refund that names none: see docs/orders.md.")  # fmt: skip
@click.option("--dry-run", "dry", is_flag=True, help="Do all of it and keep nothing.")
@click.option("--config", type=click.Path(path_type=Path), help="Settings file (config.toml).")
@json_option
@click.pass_context
def import_orders(
    context: click.Context,
    file: Path,
    renamed: dict[str, str],
    same: dict[str, str],
    match: str | None,
    dry: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Bring in orders and refunds from a CSV or XLSX file. The same file again changes nothing.

    Example: scrm import orders pos.csv --map order_no=OrderID --set source=pos-01
    """
    plainly(_import_orders)(config or context.obj, file, renamed, same, match, dry, as_json)


def _import_orders(
    config: Path | None,
    file: Path,
    renamed: dict[str, str],
    same: dict[str, str],
    match: str | None,
    dry: bool,
    as_json: bool,
) -> None:
    from bot import importing
    from bot.settings import load
    from handlers.row_files import Shape
    from storage.sheets import BadSheet

    settings = load(config)
    ready(settings)
    try:
        report = importing.import_orders(settings, file, Shape(renamed, same), dry=dry, match=match)
    except (BadSheet, OSError, importing.Storm) as error:
        raise Cannot(f"{file}: {error}") from None
    if as_json:
        say_json(report.as_json())
    else:
        click.echo(importing.as_text(report))
    _say_rejected(report.rejected, report.rejected_file)


def _row_import(what: str) -> Callable[[F], F]:
    """The arguments that files with one thing a row share."""

    def add(function: F) -> F:
        file = click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
        options = (
            click.option("--map", "renamed", multiple=True, metavar="OUR=THEIRS", callback=_pairs,
                         help="What the file calls it."),
            click.option("--set", "same", multiple=True, metavar="OUR=VALUE", callback=_pairs,
                         help="The same for all rows."),
            click.option("--dry-run", "dry", is_flag=True, help="Do all of it and keep nothing."),
            click.option("--config", type=click.Path(path_type=Path), help="Settings file (config.toml)."),
            json_option,
        )  # fmt: skip
        for option in reversed((file, *options)):
            function = option(function)
        return cast(F, import_.command(what)(click.pass_context(function)))

    return add


@_row_import("customers")
def import_customers(context: click.Context, config: Path | None, as_json: bool, **asked: Any) -> None:
    """Bring in customers: who they are known as, name, phone, birthday, tags. The same file again changes nothing.

    Example: scrm import customers members.csv --set source=old --set identity_type=old:member
    """
    from bot import row_imports

    def run(settings: Any, file: Path, shape: Any, dry: bool) -> Any:
        return row_imports.import_rows(settings, file, shape, row_imports.CUSTOMERS, dry=dry)

    plainly(_import_rows)(config or context.obj, as_json, run, **asked)


@_row_import("events")
def import_events(context: click.Context, config: Path | None, as_json: bool, **asked: Any) -> None:
    """Bring in what people did elsewhere. The same file again changes nothing.

    Example: scrm import events reviews.csv --set source=app --set kind=review
    """
    from bot import row_imports

    def run(settings: Any, file: Path, shape: Any, dry: bool) -> Any:
        return row_imports.import_rows(settings, file, shape, row_imports.EVENTS, dry=dry)

    plainly(_import_rows)(config or context.obj, as_json, run, **asked)


@_row_import("points")
@click.option("--take-over", "takes_over", is_flag=True, help="From a system that still runs: see docs/taking-over.md.")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="Taking over: balances at the end of this day.")
@click.option("--reason", default="", help="For whoever has to agree to balances that are awarded.")
def import_points(
    context: click.Context,
    config: Path | None,
    as_json: bool,
    takes_over: bool,
    as_of: datetime | None,
    reason: str,
    **asked: Any,
) -> None:
    """Bring in points: balances (awarded once others agree), or, taking over, balances of a day or a whole history.

    Example: scrm import points balances.csv --take-over --as-of 2026-11-30 --set source=old
    """
    from bot import row_imports
    from handlers import points_rows

    if as_of is not None and not takes_over:
        raise click.UsageError("--as-of belongs to --take-over")

    def run(settings: Any, file: Path, shape: Any, dry: bool) -> Any:
        if takes_over and as_of is None:
            return row_imports.import_rows(settings, file, shape, row_imports.points(points_rows.take_history), dry=dry)
        day = as_of.date() if as_of is not None else None
        return row_imports.import_balances(settings, file, shape, day=day, reason=reason, dry=dry)

    plainly(_import_rows)(config or context.obj, as_json, run, **asked)


def _import_rows(
    config: Path | None,
    as_json: bool,
    run: Callable[..., Any],
    file: Path,
    renamed: dict[str, str],
    same: dict[str, str],
    dry: bool,
) -> None:
    from bot.settings import load
    from handlers.row_files import Shape
    from loyalty.approvals import CannotDo
    from loyalty.takeover import NotNow
    from storage.sheets import BadSheet

    settings = load(config)
    ready(settings)
    try:
        report = run(settings, file, Shape(renamed, same), dry)
    except (BadSheet, OSError) as error:
        raise Cannot(f"{file}: {error}") from None
    except (NotNow, CannotDo) as error:
        raise Cannot(str(error)) from None
    if as_json:
        say_json(report.as_json())
    else:
        click.echo(report.as_text())
    if report.stopped:
        raise Cannot(report.stopped)
    _say_rejected(report.counts["rejected"], report.rejected_file)


def _say_rejected(count: int, file: Path | None) -> None:
    """Exit 1 where something of the file was not taken, so that a script sees it; the rest was."""
    if count:
        raise Cannot(f"{count:,} of the file were not taken; mend the rows in {file} and import that")


@command()
@click.argument("what", type=click.Choice(["customers", "interactions", "ledger", "orders"]))
@click.option("--out", type=click.Path(path_type=Path), help="A file instead of stdout.")
def export(config: Path | None, what: str, out: Path | None) -> None:
    """Write everything of one kind as CSV.

    Example: scrm export customers --out customers.csv
    """
    from bot import people_desk

    count = people_desk.export(engine_of(config), what, out)
    if out is not None:
        click.echo(f"{count} rows in {out}")

"""The command line. Each command is thin: it reads its arguments, calls the house, and says in one line what failed.

Exit 0 done, 1 could not, 2 wrong usage. Heavy parts are imported inside the commands, so that ``scrm --help`` is quick.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from bot import file_commands
from bot.commands import Cannot, command, engine_of, json_option, plainly, ready, say_json, table
from bot.seldom import seldom_collecting


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", type=click.Path(path_type=Path), envvar="SCRM_CONFIG", help="Settings file (config.toml).")
@click.option("--log-level", default="INFO", show_default=True, help="DEBUG, INFO, WARNING or ERROR.")
@click.version_option(package_name="wecom-scrm", prog_name="scrm")
@click.pass_context
def scrm(context: click.Context, config: Path | None, log_level: str) -> None:
    """wecom-scrm: a social CRM that lives in WeCom.

    Example: scrm demo
    """
    from bot import logs

    logs.configure(log_level.upper())
    context.obj = config


# --- running ---------------------------------------------------------------------------------------------------------


@command()
@click.option("--role", type=click.Choice(["all", "web", "worker"]), default="all", show_default=True)
@click.option("--port", type=int, help="Instead of [web] port.")
def serve(config: Path | None, role: str, port: int | None) -> None:
    """Run the product.

    Example: scrm serve --role all --port 8080
    """
    with seldom_collecting():
        from bot import serve as serving
        from bot.settings import load

    settings = load(config)
    if port is not None:
        settings = settings.model_copy(update={"web": settings.web.model_copy(update={"port": port})})
    try:
        serving.serve(settings, role)
    except serving.CannotServe as error:
        raise Cannot(str(error)) from None


@command()
@click.option("--port", type=int, default=8000, show_default=True, help="The console; the sandbox takes the next one.")
@click.option("--story", is_flag=True, help="Play a fixed story without a browser and check what was promised.")
@click.option("--seed", type=int, default=20261122, show_default=True)
def demo(config: Path | None, port: int, story: bool, seed: int) -> None:
    """Try everything without a WeCom account.

    Example: scrm demo --port 9000
    """
    from bot import demo as shop
    from bot import story as tale

    if story:
        sys.exit(0 if tale.play(seed) else 1)
    shop.run(port, seed)


@command()
@click.option("--port", type=int, default=8001, show_default=True)
@click.option("--callback-url", default="http://127.0.0.1:8000/wecom/callback", show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
def sandbox(config: Path | None, port: int, callback_url: str, seed: int) -> None:
    """Run the WeCom simulator alone.

    Example: scrm sandbox --port 8001
    """
    from bot import demo as shop

    shop.run_sandbox(port, callback_url, seed)


@command()
@json_option
def check(config: Path | None, as_json: bool) -> None:
    """Examine the installation; each failed line names the page that fixes it.

    Example: scrm check --json
    """
    from bot import doctor
    from bot.settings import load

    findings = doctor.examine(load(config))
    if as_json:
        say_json([finding.as_json() for finding in findings])
    else:
        click.echo(doctor.as_text(findings))
    sys.exit(0 if all(finding.ok is not False for finding in findings) else 1)


@command()
def migrate(config: Path | None) -> None:
    """Bring the database schema up to date.

    Example: scrm migrate
    """
    from bot.assembly import make_folder
    from bot.settings import load
    from storage import schema

    url = load(config).storage.url
    make_folder(url)
    before, after = schema.migrate(url)
    click.echo(f"schema {after}: nothing to do" if before == after else f"schema {before or 'empty'} → {after}")


@command()
@click.option("--at", "moment", help="Run what is due at this time (ISO 8601); a future one only in the sandbox.")
@json_option
def tick(config: Path | None, moment: str | None, as_json: bool) -> None:
    """Run once every job that is due, then stop.

    Example: scrm tick --at 2026-12-01T09:00+08:00
    """
    from bot import ticking
    from bot.settings import load

    settings = load(config)
    at = _moment(moment, settings) if moment else datetime.now(UTC)
    try:
        ran = ticking.tick(settings, at)
    except ticking.NotInTheSandbox as error:
        raise Cannot(str(error)) from None
    if as_json:
        say_json([{"job": name, "outcome": outcome} for name, outcome in ran])
    else:
        click.echo(
            table([[name, outcome] for name, outcome in ran], ["job", "what it did"]) if ran else "nothing was due"
        )


def _moment(text: str, settings: Any) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter("must be a time such as 2026-12-01T09:00+08:00", param_hint="--at") from None
    return at if at.tzinfo else at.replace(tzinfo=settings.timezone)


@command()
@click.option("--dry-run", "dry", is_flag=True, help="Only say what differs.")
@json_option
def sync(config: Path | None, dry: bool, as_json: bool) -> None:
    """Compare members, customers, tags, codes and groups with WeCom, and fix what differs.

    Example: scrm sync --dry-run
    """
    from bot import syncing
    from bot.settings import load
    from scheduler.reconcile import DONE, CannotSync

    try:
        run = syncing.sync(load(config), dry=dry)
    except CannotSync as error:
        raise Cannot(str(error)) from None
    if as_json:
        say_json(syncing.as_json(run))
    else:
        click.echo(syncing.as_text(run))
    sys.exit(0 if run.state == DONE else 1)


# --- looking and mending ---------------------------------------------------------------------------------------------


@command()
@click.option("--state", type=click.Choice(["waiting", "done", "aside"]), help="Only these.")
@click.option("--limit", type=int, default=50, show_default=True)
@json_option
def events(config: Path | None, state: str | None, limit: int, as_json: bool) -> None:
    """What came in and what became of it, newest first.

    Example: scrm events --state aside
    """
    from sqlalchemy import select

    from bot.settings import load
    from storage.database import open_engine, reading
    from storage.tables import InboxRow

    states = {"waiting": ("waiting", "taken"), "done": ("done",), "aside": ("aside",), None: None}[state]
    question = select(InboxRow).order_by(InboxRow.id.desc()).limit(limit)
    settings = load(config)
    with reading(open_engine(settings.storage.url)) as db:
        rows = list(db.scalars(question.where(InboxRow.state.in_(states)) if states else question))
    if as_json:
        names = ("id", "name", "state", "tries", "event_at", "received_at", "done_at", "outcome")
        say_json([{name: getattr(row, name) for name in names} for row in rows])
        return
    zone = settings.timezone
    cells = [
        [str(r.id), r.name, r.state, str(r.tries), f"{r.received_at.astimezone(zone):%m-%d %H:%M:%S}", r.outcome or ""]
        for r in rows
    ]
    click.echo(table(cells, ["id", "event", "state", "tries", "received", "outcome"]) if cells else "no events")


@command()
@click.argument("ids", nargs=-1, type=int)
@click.option("--all", "everything", is_flag=True, help="Every event that was set aside.")
def replay(config: Path | None, ids: tuple[int, ...], everything: bool) -> None:
    """Run set-aside events again.

    Example: scrm replay 17 18
    """
    from storage import audit, inbox
    from storage.database import transaction, utc_now

    if bool(ids) == everything:
        raise click.UsageError("name the events, or say --all")
    with transaction(engine_of(config)) as db:
        count = inbox.replay(db, None if everything else list(ids), utc_now())
        details = {"ids": list(ids) or "all", "count": count}
        audit.note(db, actor="command line", action="event.replay", details=details, at=utc_now())
    if ids and count < len(ids):
        raise Cannot(f"{count} of {len(ids)} run again; the others are not set aside (see `scrm events --state aside`)")
    click.echo(f"{count} events run again")


@click.group()
def customer() -> None:
    """One person."""


@customer.command("show")
@click.argument("person")
@json_option
@click.pass_context
@plainly
def show_customer(context: click.Context, person: str, as_json: bool) -> None:
    """Show a person as the API shows them; PERSON is p_17 or an external_userid.

    Example: scrm customer show p_17 --json
    """
    from bot import people_desk
    from bot.settings import load

    zone = load(context.obj).timezone
    found = people_desk.show(engine_of(context.obj), zone, person)
    if found is None:
        raise Cannot(f"nobody is known as {person}")
    if as_json:
        say_json(found)
    else:
        click.echo(people_desk.as_text(found))


@customer.command("export")
@click.argument("person")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="A file instead of stdout.")
@click.pass_context
@plainly
def export_customer(context: click.Context, person: str, out: Path | None) -> None:
    """Give out everything held about one person, as JSON; files they sent are in it as base64.

    Example: scrm customer export p_17 --out p_17.json
    """
    from bot import people_desk

    found = people_desk.hold_of(engine_of(context.obj), person)
    if found is None:
        raise Cannot(f"nobody is known as {person}")
    if out is None:
        say_json(found)
        return
    try:
        out.write_text(json.dumps(found, ensure_ascii=False, indent=2), encoding="utf-8")
    except OSError as error:
        raise Cannot(f"cannot write {out}: {error.strerror}") from None
    click.echo(f"{sum(map(len, found['tables'].values()))} rows in {out}")


@customer.command("erase")
@click.argument("person")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_context
@plainly
def erase_customer(context: click.Context, person: str, yes: bool, as_json: bool) -> None:
    """Erase one person for good, and give a receipt that a restored backup is held to.

    Example: scrm customer erase p_17
    """
    from bot import people_desk
    from bot.settings import load

    engine = engine_of(context.obj)
    shown = people_desk.show(engine, load(context.obj).timezone, person)
    if shown is None:
        raise Cannot(f"nobody is known as {person}")
    question = f"Erase {shown['id']} ({shown['name'] or 'no name'}), with all history? This cannot be taken back"
    if not yes and not click.confirm(question, err=True):
        raise Cannot("nothing was erased")
    receipt = people_desk.erase(engine, shown["id"])
    if receipt is None:
        raise Cannot(f"nobody is known as {person}")
    if as_json:
        say_json(receipt)
        return
    rows = sum(receipt["rows"].values())
    click.echo(f"erased {receipt['person']}: {rows} rows of {len(receipt['rows'])} tables, at {receipt['at']}")
    click.echo("WeCom and older backups still have them: delete the contact in WeCom too")


@click.group()
def key() -> None:
    """Keys for the open API."""


@key.command("create")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, help="all, or customers, customers:read, channels …")
@json_option
@click.pass_context
@plainly
def create_key(context: click.Context, name: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Make an API key; it is shown once.

    Example: scrm key create till --scope customers:read
    """
    from bot import people_desk

    try:
        plain = people_desk.create_key(engine_of(context.obj), name, list(scopes))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--scope") from None
    if as_json:
        say_json({"name": name, "scopes": list(scopes), "key": plain})
    else:
        click.echo(plain)


@click.group()
def user() -> None:
    """Who may use the console."""


@user.command("add")
@click.argument("userid")
@click.option("--role", type=click.Choice(["boss", "manager", "operator", "rep"]), required=True)
@click.option("--password", is_flag=True, help="Ask for a password instead of printing a one-time link.")
@click.pass_context
@plainly
def add_user(context: click.Context, userid: str, role: str, password: bool) -> None:
    """Let somebody use the console; prints a one-time sign-in link unless a password is asked for.

    Example: scrm user add zhangsan --role manager
    """
    from bot import people_desk
    from bot.settings import load

    secret = click.prompt("Password", hide_input=True, confirmation_prompt=True) if password else None
    try:
        token = people_desk.add_user(engine_of(context.obj), userid, role, secret)
    except ValueError as error:
        raise Cannot(str(error)) from None
    link = f"{load(context.obj).web.base_url}/sign-in/link/{token}"
    click.echo(f"{userid} is a {role} now" + (f"; sign in once with {link}" if token else ""))


@click.group()
def ledger() -> None:
    """The books of points.

    Example: scrm ledger verify
    """


@ledger.command("verify")
@json_option
@click.pass_context
@plainly
def verify_ledger(context: click.Context, as_json: bool) -> None:
    """Prove the books of points; exit 1 and a sentence for each thing that does not fit.

    Example: scrm ledger verify --json
    """
    from bot import ledger as books

    try:
        found, outside = books.verify(engine_of(context.obj))
    except books.Unreadable as error:
        raise Cannot(str(error)) from None
    if as_json:
        say_json(books.as_json(found, outside))
    else:
        click.echo(books.as_text(found, outside))
    sys.exit(0 if found.holds else 1)


@ledger.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.pass_context
@plainly
def import_ledger(context: click.Context, file: Path) -> None:
    """Take what `scrm export ledger` wrote into empty books; whole, or not at all.

    Example: scrm ledger import ledger.csv
    """
    from bot import ledger as books
    from bot.settings import load
    from loyalty.ledger import carrying

    ready(load(context.obj))
    try:
        found = books.take_in(engine_of(context.obj), file)
    except (carrying.NotEmpty, carrying.BadBooks, OSError) as error:
        raise Cannot(f"nothing was taken in: {error}") from None
    click.echo(f"{found.transactions} transactions, {found.entries} entries; head {found.head}; all of it holds")


@command()
@click.option("--as-of", "day", type=click.DateTime(["%Y-%m-%d"]), help="By what was recorded by the end of this day.")
@click.option("--csv", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write the journal lines here.")
@click.option(
    "--splits", type=click.Path(path_type=Path, dir_okay=False), help="Write by what it is split here, as CSV."
)
@json_option
def liability(config: Path | None, day: datetime | None, file: Path | None, splits: Path | None, as_json: bool) -> None:
    """The points liability: deferred revenue, expected cost, what will be redeemed and when.

    Example: scrm liability --as-of 2026-10-31 --csv journal.csv
    """
    from bot import liability as desk
    from bot.settings import load

    settings = load(config)
    zone = settings.timezone
    as_of = day.date() if day else datetime.now(zone).date()
    one, records, journal = desk.look(settings.storage.url, as_of, zone)
    try:
        desk.write(one, journal, file, splits)
    except OSError as error:
        raise Cannot(f"cannot write {error.filename}: {error.strerror}") from None
    if as_json:
        say_json(desk.as_json(one, records))
        return
    click.echo(desk.as_text(one, records))
    if file is not None:
        click.echo(f"{len(journal)} journal lines in {file}")


@command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def backup(config: Path | None, file: Path) -> None:
    """Copy everything into FILE, consistently, while the shop runs.

    Example: scrm backup scrm-2026-11-22.backup
    """
    from bot import backups
    from bot.settings import load

    try:
        click.echo(backups.write(load(config).storage.url, file))
    except backups.BackupError as error:
        raise Cannot(str(error)) from None


@command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--verify", is_flag=True, help="Restore beside the running database and compare; changes nothing.")
@click.option("--erased-in", metavar="URL", help="The database it replaces: who was erased there stays erased.")
def restore(config: Path | None, file: Path, verify: bool, erased_in: str | None) -> None:
    """Bring a backup back; with --verify only prove that it could be.

    Example: scrm restore scrm-2026-11-22.backup --erased-in sqlite:///data/old.db
    """
    from bot import backups
    from bot.assembly import make_folder
    from bot.settings import load

    url = load(config).storage.url
    if not verify:
        make_folder(url)
    try:
        click.echo(backups.restore(url, file, verify_only=verify, erased_in=erased_in))
    except backups.BackupError as error:
        raise Cannot(str(error)) from None


COMMANDS = (
    serve, demo, sandbox, check, migrate, tick, sync, file_commands.import_, events, replay, customer, key, user,
    file_commands.export, ledger, liability, backup, restore,
)  # fmt: skip
for _one in COMMANDS:
    scrm.add_command(_one)


def main() -> None:
    """Run the command line."""
    scrm(prog_name="scrm")

"""The command line as a person uses it: in a process of its own, on a real database."""

import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bot import demo, sandbox_settings
from bot.cli import scrm
from sandbox.web import running
from sandbox.world import AES_KEY, APP_SECRET, APP_TOKEN, World
from storage import schema
from tests.shop import Shop, build_shop, close_shop

CONFIG = f"""
[wecom]
corp_id = "wwsandbox000000001"
agent_id = 1000002
secret = "{APP_SECRET}"
token = "{APP_TOKEN}"
encoding_aes_key = "{AES_KEY}"
api_base = "API"
[storage]
url = "URL"
[web]
secret_key = "a-test-key-that-is-long-enough-to-be-one"
"""


@pytest.fixture
def config(tmp_path: Path, sqlite_url: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.replace("URL", sqlite_url).replace("API", "http://127.0.0.1:9/cgi-bin/"), encoding="utf-8")
    return path


def run(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(scrm, ["--log-level", "ERROR", *map(str, words)], prog_name="scrm")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_it_is_quick_to_say_what_it_can() -> None:
    shown = subprocess.run([sys.executable, "-X", "importtime", "-m", "bot", "--help"], capture_output=True, text=True)
    assert shown.returncode == 0
    assert "Example: scrm demo" in shown.stdout
    assert "sqlalchemy" not in shown.stderr
    assert "flask" not in shown.stderr


def test_every_command_has_help_with_an_example() -> None:
    def walk(command: object, path: tuple[str, ...]) -> list[tuple[str, ...]]:
        below = getattr(command, "commands", {})
        return [path] + [one for name, child in below.items() for one in walk(child, (*path, name))]

    for path in walk(scrm, ()):
        code, out, _ = run(*path, "--help")
        assert code == 0
        if path not in ((), ("customer",), ("key",), ("user",)):
            assert "Example: scrm" in out, path


def test_wrong_usage_exits_with_2() -> None:
    assert run("serve", "--role", "nobody")[0] == 2
    assert run("replay")[0] == 2
    assert run("no-such-command")[0] == 2


@pytest.mark.parametrize(
    "words",
    [("customer", "show", "1"), ("key", "create", "till", "--scope", "all"), ("user", "add", "lin", "--role", "rep")],
)
def test_the_commands_of_a_group_say_in_one_line_too_that_there_are_no_settings(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    shown = CliRunner().invoke(scrm, ["--config", str(tmp_path / "none.toml"), *words], prog_name="scrm")
    assert (shown.exit_code, shown.stdout, len(shown.stderr.splitlines())) == (1, "", 1)


def test_an_export_from_an_empty_database_writes_nothing_before_it_says_so(config: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.toml"
    lines = config.read_text().splitlines()
    url = f'url = "sqlite:///{tmp_path}/bare.db"'
    bare.write_text("\n".join(url if one.startswith("url = ") else one for one in lines))
    code, out, err = run("export", "customers", "--config", bare)
    assert (code, out, len(err.splitlines())) == (1, "", 1)


def test_without_settings_one_line_says_what_to_do(tmp_path: Path) -> None:
    code, out, err = run("events", "--config", tmp_path / "none.toml")
    assert (code, out) == (1, "")
    assert re.fullmatch(r"scrm: there is no .*none\.toml; copy config\.example\.toml .*\n", err)


def test_migrate_brings_an_empty_database_up_to_date_and_then_has_nothing_to_do(tmp_path: Path, config: Path) -> None:
    text = config.read_text(encoding="utf-8")
    config.write_text(re.sub(r'url = "sqlite.*"', f'url = "sqlite:///{tmp_path}/new/scrm.db"', text), encoding="utf-8")
    assert run("migrate", "--config", config)[:2] == (0, f"schema empty → {schema.newest()}\n")
    assert run("migrate", "--config", config)[:2] == (0, f"schema {schema.newest()}: nothing to do\n")


def test_serve_refuses_an_older_schema_and_says_so(config: Path, sqlite_url: str) -> None:
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as db:
        db.execute("UPDATE alembic_version SET version_num = '0000'")
    db.close()
    code, _, err = run("serve", "--config", config)
    assert code == 1
    assert f"has schema 0000, this program needs {schema.newest()}: run `scrm migrate`" in err


def test_serve_of_one_role_needs_postgresql(config: Path) -> None:
    code, _, err = run("serve", "--role", "web", "--config", config)
    assert code == 1
    assert "need PostgreSQL" in err


def test_a_user_gets_a_one_time_link(config: Path) -> None:
    result = CliRunner().invoke(scrm, ["--config", str(config), "user", "add", "zhangsan", "--role", "manager"])
    assert result.exit_code == 0, result.output
    assert "sign in once with http://127.0.0.1:8000/sign-in/link/" in result.stdout
    again = CliRunner().invoke(scrm, ["--config", str(config), "user", "add", "zhangsan", "--role", "rep"])
    assert again.exit_code == 1
    assert again.stderr.startswith("scrm: ")


def test_a_key_is_shown_once_and_only_its_digest_is_kept(config: Path, sqlite_url: str) -> None:
    made = CliRunner().invoke(
        scrm, ["--config", str(config), "key", "create", "till", "--scope", "customers:read", "--json"]
    )
    assert made.exit_code == 0, made.output
    key = json.loads(made.stdout)["key"]
    assert key.startswith("scrm_")
    assert key.encode() not in Path(sqlite_url.removeprefix("sqlite:///")).read_bytes()
    bad = CliRunner().invoke(scrm, ["--config", str(config), "key", "create", "till", "--scope", "everything"])
    assert bad.exit_code == 2


def test_looking_ahead_is_only_for_the_sandbox(config: Path) -> None:
    text = config.read_text(encoding="utf-8").replace("http://127.0.0.1:9/", "https://qyapi.weixin.qq.com/")
    config.write_text(text, encoding="utf-8")
    code, _, err = run("tick", "--at", "2099-01-01T00:00", "--config", config)
    assert code == 1
    assert "only for the sandbox" in err
    assert run("tick", "--at", "tomorrow", "--config", config)[0] == 2


@pytest.fixture
def open_shop(sqlite_url: str) -> Shop:
    shop = build_shop(sqlite_url)
    shop.open_for_business()
    channel = shop.channel()
    shop.world.scan(channel.code, name="小雨", userid="lisi")
    shop.catch_up()
    close_shop(shop)
    return shop


def test_events_and_customers_can_be_looked_at(open_shop: Shop, config: Path) -> None:
    code, out, _ = run("events", "--config", config)
    assert code == 0
    assert "change_external_contact.add_external_contact" in out
    assert "11-22 18:00:00" in out  # 10:00 UTC, in the shop's time
    rows = json.loads(run("events", "--state", "done", "--json", "--config", config)[1])
    assert rows[0]["state"] == "done"
    shown = CliRunner().invoke(scrm, ["--config", str(config), "customer", "show", "p_1", "--json"])
    person = json.loads(shown.stdout)
    assert (person["id"], person["name"]) == ("p_1", "小雨")
    assert person["tags"][0]["because"] == "扫描渠道码“抖音直播间”添加了李四"
    nobody = CliRunner().invoke(scrm, ["--config", str(config), "customer", "show", "p_99"])
    assert (nobody.exit_code, nobody.stderr) == (1, "scrm: nobody is known as p_99\n")


def test_exports_are_csv_and_noted(open_shop: Shop, config: Path, tmp_path: Path) -> None:
    out = tmp_path / "customers.csv"
    assert run("export", "customers", "--out", out, "--config", config)[1] == f"1 rows in {out}\n"
    assert "小雨" in out.read_text(encoding="utf-8-sig")
    code, text, _ = run("export", "interactions", "--config", config)
    assert code == 0
    assert "welcomed" in text


def test_the_doctor_names_the_page_that_mends_each_failure(config: Path) -> None:
    world = World.small_shop()
    with running(world) as address:
        text = config.read_text(encoding="utf-8").replace("http://127.0.0.1:9", address)
        config.write_text(text, encoding="utf-8")
        code, out, _ = run("check", "--config", config)
        assert code == 0, out
        world.trusted_ips = ("203.0.113.9",)
        findings = {one["name"]: one for one in json.loads(run("check", "--json", "--config", config)[1])}
        assert findings["credentials"]["ok"] is False
        assert "企业可信IP" in findings["credentials"]["mend"]
        world.trusted_ips = None


def test_the_sandbox_prints_settings_with_which_an_instance_is_all_right(config: Path, sqlite_url: str) -> None:
    world = World.small_shop()
    with running(world) as address:
        told = sandbox_settings.words(address, "http://127.0.0.1:8010/wecom/callback")
        config.write_text(f"{told}\n[storage]\nurl = '{sqlite_url}'\n", encoding="utf-8")
        code, out, _ = run("check", "--json", "--config", config)
    assert code == 0, out
    assert "http://127.0.0.1:8010/wecom/callback" in {one["name"]: one["words"] for one in json.loads(out)}["callback"]


@pytest.mark.parametrize(("ours", "wrong"), [("wwsandbox000000001", "ww0000000000000000"), (APP_SECRET, "wrong")])
def test_where_the_sandbox_does_not_know_us_the_doctor_says_who_prints_the_settings(
    config: Path, ours: str, wrong: str
) -> None:
    with running(World.small_shop()) as address:
        text = config.read_text(encoding="utf-8").replace("http://127.0.0.1:9", address)
        config.write_text(text.replace(ours, wrong), encoding="utf-8")
        code, out, _ = run("check", "--json", "--config", config)
    assert code == 1
    assert "scrm sandbox" in {one["name"]: one for one in json.loads(out)}["credentials"]["mend"]


def test_the_demo_names_the_command_as_it_works_from_where_it_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / ".venv" / "bin" / "scrm"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(program)])
    assert demo.as_started() == [".venv/bin/scrm"]
    monkeypatch.setenv("PATH", str(program.parent))
    assert demo.as_started() == ["scrm"]
    monkeypatch.setattr(sys, "argv", ["/anywhere/bot/__main__.py"])
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    assert demo.as_started() == [".venv/bin/python", "-m", "bot"]


def on_customer(config: Path, *words: str, answer: str | None = None) -> tuple[int, str, str]:
    shown = CliRunner().invoke(scrm, ["--config", str(config), "customer", *words], prog_name="scrm", input=answer)
    return shown.exit_code, shown.stdout, shown.stderr


def test_everything_held_about_a_customer_is_given_out(open_shop: Shop, config: Path, tmp_path: Path) -> None:
    code, out, _ = on_customer(config, "export", "p_1")
    assert code == 0
    found = json.loads(out)
    assert (found["person"], found["tables"]["person"][0]["name"]) == ("p_1", "小雨")
    assert found["tables"]["welcome"][0]["outcome"] == "sent"
    file = tmp_path / "p_1.json"
    code, out, _ = on_customer(config, "export", "p_1", "--out", str(file))
    assert re.fullmatch(r"\d+ rows in .*p_1\.json\n", out)
    assert json.loads(file.read_text(encoding="utf-8"))["person"] == "p_1"
    assert on_customer(config, "export", "p_9")[::2] == (1, "scrm: nobody is known as p_9\n")
    code, _, err = on_customer(config, "export", "p_1", "--out", str(tmp_path / "no" / "where.json"))
    assert (code, len(err.splitlines())) == (1, 1)


def test_an_erasure_asks_first_and_gives_a_receipt(open_shop: Shop, config: Path) -> None:
    code, out, err = on_customer(config, "erase", "p_1", answer="n\n")
    assert (code, out) == (1, "")
    assert "Erase p_1 (小雨), with all history? This cannot be taken back" in err
    assert err.endswith("scrm: nothing was erased\n")
    assert on_customer(config, "show", "p_1")[0] == 0
    code, out, _ = on_customer(config, "erase", "p_1", answer="y\n")
    assert code == 0
    assert re.match(r"erased p_1: \d+ rows of \d+ tables, at ", out)
    assert on_customer(config, "show", "p_1")[0] == 1
    assert on_customer(config, "erase", "p_1", "--yes")[::2] == (1, "scrm: nobody is known as p_1\n")


def test_the_receipt_can_be_kept_as_json(open_shop: Shop, config: Path) -> None:
    code, out, err = on_customer(config, "erase", "p_1", "--yes", "--json")
    assert (code, err) == (0, "")
    receipt = json.loads(out)
    assert (receipt["person"], receipt["by"], receipt["rows"]["person"]) == ("p_1", "command line", 1)
    assert all(re.fullmatch(r"[0-9a-f]{64}", one) for one in receipt["digests"])
    assert "小雨" not in out


def test_a_restore_names_the_database_it_replaces(open_shop: Shop, config: Path, tmp_path: Path) -> None:
    file, new = tmp_path / "shop.backup", tmp_path / "new.toml"
    assert run("backup", file, "--config", config)[0] == 0
    old = next(line for line in config.read_text().splitlines() if line.startswith("url = ")).split('"')[1]
    assert on_customer(config, "erase", "p_1", "--yes")[0] == 0
    new.write_text(config.read_text().replace(old, f"sqlite:///{tmp_path}/new.db"))
    code, out, _ = run("restore", file, "--erased-in", old, "--config", new)
    assert code == 0
    assert "erased again: 1" in out
    assert on_customer(new, "show", "p_1")[0] == 1


def test_on_a_fresh_machine_what_is_missing_is_made(open_shop: Shop, config: Path, tmp_path: Path) -> None:
    """Not even the folder of the database is there: after a fire nobody wants to guess."""
    backup, books, new = tmp_path / "shop.backup", tmp_path / "ledger.csv", tmp_path / "new.toml"
    assert run("backup", backup, "--config", config)[0] == 0
    assert run("--config", config, "export", "ledger", "--out", books)[0] == 0
    old = next(line for line in config.read_text().splitlines() if line.startswith("url = ")).split('"')[1]
    orders = tmp_path / "orders.csv"
    orders.write_text("source,order_no,paid_at,amount\npos,A1,2026-11-01,5.00\n", encoding="utf-8")
    for name, words in (
        ("a", ("restore", backup)),
        ("b", ("ledger", "import", books)),
        ("c", ("import", "orders", orders)),
    ):
        new.write_text(config.read_text().replace(old, f"sqlite:///{tmp_path}/{name}/data/scrm.db"))
        code, _, trouble = run("--config", new, *words)
        assert code == 0, trouble
    assert run("--config", new, "restore", backup, "--verify")[0] == 0


def test_an_older_schema_takes_no_file_and_says_what_to_do(config: Path, sqlite_url: str, tmp_path: Path) -> None:
    orders = tmp_path / "orders.csv"
    orders.write_text("source,order_no,paid_at,amount\npos,A1,2026-11-01,5.00\n", encoding="utf-8")
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    code, _, trouble = run("--config", config, "import", "orders", orders)
    assert (code, trouble.count("\n")) == (1, 1)
    assert "scrm migrate" in trouble


def test_a_file_of_which_some_was_not_taken_ends_in_1_and_names_the_file(config: Path, tmp_path: Path) -> None:
    orders = tmp_path / "orders.csv"
    head = "source,order_no,paid_at,amount,identity_type,identity_value\n"
    orders.write_text(f"{head}pos,A1,2026-11-01,5.00,,\npos,A2,2026-11-01,-5.00,,\n", encoding="utf-8")
    code, out, trouble = run("--config", config, "import", "orders", orders, "--json")
    assert (code, json.loads(out)["orders"]) == (1, {"accepted": 1, "duplicate": 0, "nobodys": 1, "rejected": 1})
    assert f"1 of the file were not taken; mend the rows in {orders}.rejected.csv" in trouble

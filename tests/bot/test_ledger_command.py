"""``scrm ledger`` and ``scrm export ledger`` as a person runs them."""

from pathlib import Path

from tests import databases
from tests.bot.test_command_line import CONFIG, run
from tests.loyalty.books import Books


def settings(folder: Path, url: str, name: str = "config.toml") -> Path:
    path = folder / name
    path.write_text(CONFIG.replace("URL", url).replace("API", "http://127.0.0.1:9/cgi-bin/"), encoding="utf-8")
    return path


def test_i34_the_books_go_out_come_back_into_an_empty_database_and_hold(
    tmp_path: Path, database_url: str, sqlite_template: Path
) -> None:
    books = Books(database_url)
    books.award(100, campaign="=双倍")
    books.redeem(30)
    books.close()
    here, file = settings(tmp_path, database_url), tmp_path / "ledger.csv"
    assert run("--config", here, "export", "ledger", "--out", file)[0] == 0
    there = settings(tmp_path, databases.fresh_sqlite(tmp_path, sqlite_template), "other.toml")
    code, said, _ = run("--config", there, "ledger", "import", file)
    assert code == 0
    assert said.startswith("2 transactions, 4 entries; head 000")
    assert run("--config", there, "ledger", "verify")[:2] == run("--config", here, "ledger", "verify")[:2]
    code, _, trouble = run("--config", there, "ledger", "import", file)
    assert code == 1
    assert "nothing was taken in: there are points here already" in trouble


def test_a_file_that_is_no_ledger_is_refused_in_one_line(tmp_path: Path, sqlite_url: str) -> None:
    file = tmp_path / "other.csv"
    file.write_text("a,b\n1,2\n")
    code, _, trouble = run("--config", settings(tmp_path, sqlite_url), "ledger", "import", file)
    assert (code, trouble.count("\n")) == (1, 1)


def test_empty_books_hold(tmp_path: Path, sqlite_url: str) -> None:
    code, said, _ = run("--config", settings(tmp_path, sqlite_url), "ledger", "verify")
    assert code == 0
    assert "all of it holds" in said

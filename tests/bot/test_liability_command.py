"""``scrm liability`` as a person runs it: tables, one document, a journal for accountants."""

import csv
import json
from pathlib import Path

from loyalty.liability import parameters
from loyalty.liability.parameters import Parameters
from tests.bot.test_command_line import run
from tests.bot.test_ledger_command import settings
from tests.loyalty.books import Books
from tests.loyalty.test_liability_facts import order


def test_the_report_is_printed_as_tables_and_as_json_and_its_journal_balances(
    tmp_path: Path, database_url: str
) -> None:
    books = Books(database_url)
    order(books, "1", 10_000, 100)
    books.redeem(40)
    with books.work() as work:
        parameters.decide(work, Parameters(10_000, 5_000), "boss")
    books.close()
    config, file = settings(tmp_path, database_url), tmp_path / "journal.csv"
    code, said, _ = run("--config", config, "liability", "--as-of", "2026-01-31", "--csv", file)
    assert code == 0
    lines = said.splitlines()
    assert lines[0].rstrip() == "as of 2026-01-31"
    assert [line.split()[-1] for line in lines if line.startswith("open points")] == ["67"]
    assert "too few months for an estimate: every open point counts as one that will be redeemed" in lines
    head, *rows = list(csv.reader(file.read_text(encoding="utf-8-sig").splitlines()))
    assert head == ["日期", "科目", "借方", "贷方", "批次", "摘要"]
    debit, credit = (sum(float(row[n] or 0) for row in rows) for n in (2, 3))
    assert debit == credit > 0
    assert f"{len(rows)} journal lines in {file}" in said
    code, said, _ = run("--config", config, "liability", "--as-of", "2026-01-31", "--json")
    told = json.loads(said)
    assert (code, told["open_points"], told["expected_redemptions"], told["redemption_rate"]) == (0, 67, 67, 1.0)
    assert told["deferred_revenue"] == f"{100 * 100 / 10_100 * told['cohorts'][0]['open'] / 100:.2f}"
    assert [one["kind"] for one in told["cohorts"]] == ["purchase", "other"]
    assert run("--config", config, "liability", "--as-of", "2026-01-31", "--json")[1] == said


def test_books_without_points_say_so_and_a_day_that_is_none_is_wrong_usage(tmp_path: Path, sqlite_url: str) -> None:
    config = settings(tmp_path, sqlite_url)
    code, said, _ = run("--config", config, "liability", "--as-of", "2026-01-31")
    assert (code, said) == (0, "as of 2026-01-31: no points have come in yet\n")
    assert run("--config", config, "liability", "--as-of", "gestern")[0] == 2
    missing = tmp_path / "none" / "journal.csv"
    code, _, trouble = run("--config", config, "liability", "--csv", missing)
    assert (code, trouble) == (1, f"scrm: cannot write {missing}: No such file or directory\n")

"""``scrm sync`` as a person runs it, beside a WeCom that listens on a port."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.clock import ManualClock
from sandbox.web import running
from sandbox.world import World
from storage.tables import Relation, SyncRun
from tests.bot.test_command_line import CONFIG, run
from tests.shop import START, Shop, build_shop, close_shop


@dataclass
class Office:
    """A shop that has missed something, and the settings to reach it by."""

    shop: Shop
    config: Path


@pytest.fixture
def office(tmp_path: Path, sqlite_url: str) -> Iterator[Office]:
    world = World.small_shop(ManualClock(START), seed=7)
    world.populate(30)
    config = tmp_path / "config.toml"
    with running(world) as address:
        shop = build_shop(sqlite_url, world)
        shop.open_for_business()
        with world.unheard():
            for name in ("甲", "乙"):
                world.add_by_phone("lisi", name)
            rows = [row for row in world.relations.all() if row.userid == "wangwu"]
            world.member_deletes("wangwu", rows[0].external_userid)
        api = f"{address}/cgi-bin/"
        config.write_text(CONFIG.replace("URL", sqlite_url).replace("API", api), encoding="utf-8")
        yield Office(shop, config)
        close_shop(shop)


def test_a_dry_run_says_what_differs_and_leaves_it(office: Office) -> None:
    code, said, _ = run("sync", "--dry-run", "--config", office.config)
    assert code == 0
    assert "customers: WeCom 31, here 30: 3 different" in said
    assert "nothing was changed: run without --dry-run to fix it" in said
    assert len(office.shop.rows(Relation, Relation.state == "active")) == 30


def test_a_run_fixes_it_and_says_how_much(office: Office) -> None:
    code, said, progress = run("sync", "--config", office.config)
    assert code == 0
    assert said.splitlines() == [
        "members: WeCom 5, here 5: the same",
        "departments: WeCom 3, here 3: the same",
        "corp tags: WeCom 0, here 0: the same",
        "channel codes: WeCom 0, here 0: the same",
        "customers: WeCom 31, here 30: fixed 3",
        "profiles: WeCom 31, here 31: the same",
        "customer groups: WeCom 0, here 0: the same",
    ]
    assert "comparing customers" in progress
    code, said, _ = run("sync", "--config", office.config)
    assert (code, "fixed" in said) == (0, False)


def test_it_says_the_same_as_one_json_document(office: Office) -> None:
    code, said, _ = run("sync", "--json", "--config", office.config)
    told = json.loads(said)
    assert code == 0
    assert (told["state"], told["different"], told["fixed"]) == ("done", 3, 3)
    assert told["subjects"]["relations"]["wecom"] == 31
    assert {one["kind"] for one in told["subjects"]["relations"]["examples"]} == {"arrived", "gone"}


def test_a_wecom_that_refuses_us_is_one_line_and_an_exit_code(office: Office) -> None:
    office.shop.world.fail_next("department/list", 60020)
    code, said, complaint = run("sync", "--config", office.config)
    assert (code, said) == (1, "")
    assert "60020" in complaint
    assert [one.state for one in office.shop.rows(SyncRun)] == ["failed"]


def test_before_the_first_fill_there_is_nothing_to_compare(tmp_path: Path, sqlite_url: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.replace("URL", sqlite_url).replace("API", "http://127.0.0.1:9/"), encoding="utf-8")
    code, _, complaint = run("sync", "--config", config)
    assert code == 1
    assert "still being taken over" in complaint

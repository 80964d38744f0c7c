"""F19: an import of orders is killed again and again; what was begun is finished by the same command, once."""

import random
import re
import signal
import time
from pathlib import Path

from sqlalchemy import Engine, func, select

from bot.cli import scrm
from soak import many
from storage.database import open_engine, reading
from storage.tables import Interaction, PointsEntry, PointsTxn, Refund, ShopOrder
from tests.bot.test_command_line import CONFIG, run
from tests.forks import Fork

ROWS = many(700, 10_000)
KILLS = many(3, 20)
EACH = 5
"""Orders of a buyer; every tenth order is half refunded."""


def written(folder: Path) -> tuple[Path, int]:
    """The file, and the points that must stand in the books at the end."""
    rows, points = ["source,order_no,paid_at,amount,identity_type,identity_value,kind,refund_no"], 0
    chance = random.Random(19)
    for number in range(ROWS):
        fen = chance.randrange(100, 30_000)
        who = f"pos:member,m{number // EACH}"
        rows.append(f"pos,A{number},2026-11-01 10:00,{fen // 100}.{fen % 100:02d},{who},order,")
        back = fen // 2 if number % 10 == 0 else 0
        if back:
            rows.append(f"pos,A{number},2026-11-02 10:00,-{back // 100}.{back % 100:02d},{who},refund,R{number}")
        points += (fen - back) // 100
    path = folder / "orders.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    return path, points


def test_f19_an_import_that_is_killed_again_and_again_takes_every_order_once(database_url: str, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.replace("URL", database_url).replace("API", "http://127.0.0.1:9/"), encoding="utf-8")
    path, points = written(tmp_path)
    killed, chance, engine = 0, random.Random(7), open_engine(database_url)
    command = ["--config", str(config), "import", "orders", str(path)]
    for _ in range(KILLS):
        before, deadline = kept(engine), time.monotonic() + 60
        process = Fork(_run, command)
        while kept(engine) == before and process.running() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.3))
        process.kill()
        killed += process.end() == -signal.SIGKILL
    assert killed
    code, said, trouble = run("--config", config, "import", "orders", path)
    assert code == 0, said + trouble
    assert not re.search(r"not taken", said), said
    assert run("--config", config, "ledger", "verify")[0] == 0
    with reading(engine) as db:
        assert db.scalar(select(func.count()).select_from(ShopOrder)) == ROWS
        assert db.scalar(select(func.count()).select_from(Interaction).where(Interaction.kind == "bought")) == ROWS
        assert db.scalar(select(func.count()).where(PointsTxn.kind == "award")) == ROWS
        assert set(db.scalars(select(Refund.state))) == {"done"}
        left = select(func.sum(PointsEntry.amount)).where(PointsEntry.bucket.in_(["pending", "available"]))
        assert db.scalar(left) == points
    engine.dispose()


def _run(command: list[str]) -> None:
    scrm(command)


def kept(engine: Engine) -> int:
    with reading(engine) as db:
        return db.scalar(select(func.count()).select_from(ShopOrder)) or 0

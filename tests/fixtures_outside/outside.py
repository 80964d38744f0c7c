"""Samples and vectors that other projects published. They are read where they lie and never become part of this one."""

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.databases import required

FOLDER = Path(os.environ.get("SCRM_FIXTURES", Path(__file__).resolve().parents[2].parent / "shared" / "fixtures"))
Json = dict[str, Any]


@dataclass(frozen=True)
class Sample:
    """One callback body as somebody published it."""

    name: str
    xml: str
    well_formed: bool
    event: str
    """``event.change_type`` in lower case, as far as it has them."""
    norm: Json


def need() -> None:
    """Skip where the samples are not at hand, or fail where they are required."""
    if not (FOLDER / "index.json").is_file():
        (pytest.fail if required("fixtures") else pytest.skip)(f"no samples of other projects in {FOLDER.name}/")


def there() -> bool:
    """Whether the samples are at hand, for collecting."""
    return (FOLDER / "index.json").is_file()


@cache
def vectors() -> Json:
    """The crypto vectors; empty lists where there are none."""
    if not there():
        return {"vectors": [], "generated": [], "hostile": [], "bad_aes_keys": [], "good_aes_keys": []}
    return dict(json.loads((FOLDER / "crypto.json").read_text(encoding="utf-8")))


def verified(part: str, *expect: str) -> list[Json]:
    """The vectors of a part whose expectation was reproduced by their collectors."""
    return [one for one in vectors()[part] if one.get("verified") and one["expect"] in expect]


@cache
def incoming() -> list[Sample]:
    """Every decrypted incoming callback."""
    if not there():
        return []
    index = json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))
    return [_sample(one) for one in index["callbacks"] if one["direction"] == "in"]


def _sample(one: Json) -> Sample:
    kind = one.get("event") or one.get("infotype") or ""
    change = (one.get("expect") or {}).get("ChangeType") or ""
    return Sample(
        name=Path(one["file"]).stem,
        xml=(FOLDER / one["file"]).read_bytes().decode("utf-8-sig"),
        well_formed=one["well_formed"],
        event=f"{kind}.{change}".lower().strip("."),
        norm=one["norm"],
    )

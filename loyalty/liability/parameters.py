"""What a point is worth to a customer, what it costs the shop, and tax: set by the shop, in versions, never guessed.

Until somebody has set them the report counts points and no money. A version holds from the moment it was set; what
happened before the first one goes by the first.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from fractions import Fraction
from typing import Any

from sqlalchemy.orm import Session

from loyalty.liability.accounting import WHOLE
from storage import shop_settings
from storage.work import Work

SETTING = "liability"
MOST = 1_000_000 * WHOLE
"""No point is worth more: ten thousand yuan."""


class BadParameters(ValueError):
    """A number that cannot be; ``name`` says which."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is out of bounds")
        self.name = name


@dataclass(frozen=True)
class Parameters:
    """Whole numbers, so that they are exact in JSON too."""

    face: int
    """What a point saves a customer: fen, in ten-thousandths."""
    cost: int
    """What redeeming a point costs the shop, likewise."""
    tax: int = 0
    """The rate in a price (VAT), in ten-thousandths: 13 % is 1,300."""
    since: str = ""
    """When it was set, ISO 8601."""
    by: str = ""

    @property
    def face_value(self) -> Fraction:
        """Fen a point."""
        return Fraction(self.face, WHOLE)

    @property
    def unit_cost(self) -> Fraction:
        """Fen a point."""
        return Fraction(self.cost, WHOLE)

    @property
    def tax_rate(self) -> Fraction:
        """Of the price without tax."""
        return Fraction(self.tax, WHOLE)

    def as_json(self) -> dict[str, Any]:
        """As it is kept."""
        return asdict(self)


def versions(db: Session) -> list[Parameters]:
    """All that was ever set, the oldest first."""
    return [Parameters(**one) for one in shop_settings.read(db, SETTING).get("versions", [])]


def held(some: Sequence[Parameters], before: datetime) -> Parameters | None:
    """The version that held just before a moment; the first there is where none did; none where nothing was set."""
    then = [one for one in some if datetime.fromisoformat(one.since) < before]
    return then[-1] if then else (some[0] if some else None)


def decide(work: Work, wanted: Parameters, by: str) -> Parameters | None:
    """Let these hold from now on; none where they hold already. Raises ``BadParameters``.

    Where the shop wants a second person's word for it (loyalty.md §2.9: L2), an approval carries this out.
    """
    for name, value, most in (("face", wanted.face, MOST), ("cost", wanted.cost, MOST), ("tax", wanted.tax, WHOLE)):
        if not 0 <= value <= most or (name == "face" and not value):
            raise BadParameters(name)
    before = versions(work.db)
    now = replace(wanted, since=work.now.isoformat(), by=by)
    if before and replace(before[-1], since="", by="") == replace(wanted, since="", by=""):
        return None
    kept = {"versions": [one.as_json() for one in (*before, now)]}
    shop_settings.keep(work.db, SETTING, kept, by=by, at=work.now)
    return now

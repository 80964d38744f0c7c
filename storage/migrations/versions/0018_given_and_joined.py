"""Gifts to a number whoever has it; a code by which others find a group"""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""As codes were made when this was written (``loyalty.rewards.new_code``)."""
SIGNS = 8


def upgrade() -> None:
    """Bring the schema to this version."""
    with op.batch_alter_table("gift") as gift:
        gift.alter_column(
            "receiver_id", existing_type=sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        )
        gift.add_column(sa.Column("named", sa.String(length=20), nullable=False, server_default=""))
    op.add_column("group_buy", sa.Column("code", sa.String(length=SIGNS), nullable=True))
    _codes()
    with op.batch_alter_table("group_buy") as group:
        group.alter_column("code", existing_type=sa.String(length=SIGNS), nullable=False)
        group.create_unique_constraint(op.f("uq_group_buy_code"), ["code"])


def _codes() -> None:
    """Groups that there are get a code each."""
    table = sa.table("group_buy", sa.column("id", sa.Integer()), sa.column("code", sa.String()))
    connection, given = op.get_bind(), set[str]()
    for (number,) in connection.execute(sa.select(table.c.id)).all():
        while (code := _new()) in given:
            continue
        given.add(code)
        connection.execute(sa.update(table).where(table.c.id == number).values(code=code))


def _new() -> str:
    """Seven signs by chance and one that checks them."""
    own = [secrets.randbelow(len(LETTERS)) for _ in range(SIGNS - 1)]
    total = sum(place * one for place, one in enumerate(own, start=1))
    check = -total * pow(SIGNS, -1, len(LETTERS)) % len(LETTERS)
    return "".join(LETTERS[one] for one in [*own, check])

"""The points liability: published forecasts and how they did"""

import sqlalchemy as sa
from alembic import op

from storage import guards
from storage.database import UtcTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the schema to this version."""
    op.create_table(
        "points_forecast",
        sa.Column("id", KEY, nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("published_at", UtcTime(timezone=True), nullable=False),
        sa.Column("published_by", sa.String(length=100), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("positions", sa.JSON(), nullable=False),
        sa.Column("months", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_points_forecast")),
        sa.UniqueConstraint("as_of", name=op.f("uq_points_forecast_as_of")),
    )
    op.create_table(
        "points_forecast_score",
        sa.Column("forecast_id", KEY, autoincrement=False, nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("expected", sa.BigInteger(), nullable=False),
        sa.Column("actual", sa.BigInteger(), nullable=False),
        sa.Column("scored_at", UtcTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["forecast_id"], ["points_forecast.id"], name=op.f("fk_points_forecast_score_forecast_id_points_forecast")
        ),
        sa.PrimaryKeyConstraint("forecast_id", "month", name=op.f("pk_points_forecast_score")),
    )
    guards.append_only(op.get_bind(), "points_forecast")
    guards.append_only(op.get_bind(), "points_forecast_score")

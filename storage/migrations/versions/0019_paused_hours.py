"""The hours in which a campaign was paused; what came of each part of a forecast"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""
    for table, column in (("points_campaign", "pauses"), ("points_forecast_score", "splits")):
        op.add_column(table, sa.Column(column, sa.JSON(), server_default=sa.text("'[]'"), nullable=False))

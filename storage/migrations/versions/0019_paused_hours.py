"""The hours in which a campaign was paused"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""
    op.add_column("points_campaign", sa.Column("pauses", sa.JSON(), server_default=sa.text("'[]'"), nullable=False))

"""What leaves and what comes in: webhooks, inbound doors, points of an older system"""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Bring the schema to this version."""

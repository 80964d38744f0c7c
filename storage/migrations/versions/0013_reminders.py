"""Reminders of points: what was told before points end, and what the shop calls a holder of many"""

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""

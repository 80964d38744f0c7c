"""Rewards: a catalogue, what was redeemed, gifts of points between people, points put together"""

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""

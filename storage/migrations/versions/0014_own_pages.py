"""Own pages: where customers see their points, and how they prove who they are"""

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema to this version."""

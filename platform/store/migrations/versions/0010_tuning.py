"""what was tuned for a collection

Revision 0010, after 0009.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    value = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    op.add_column("collections", sa.Column("tuning", value, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("collections") as table:
        table.drop_column("tuning")

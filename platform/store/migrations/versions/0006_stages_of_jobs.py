"""stages of jobs, when they are tried again, and why they failed

Revision 0006, after 0005.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    with op.batch_alter_table("jobs") as table:
        table.add_column(
            sa.Column("stage", sa.String(length=32), nullable=False, server_default=sa.text("''"))
        )
        table.add_column(
            sa.Column("checkpoint", _JSON, nullable=False, server_default=sa.text("'{}'"))
        )
        table.add_column(
            sa.Column("fruitful_attempt", sa.Integer(), nullable=False, server_default=sa.text("0"))
        )
        table.add_column(sa.Column("error_code", sa.String(length=64), nullable=True))
        table.add_column(sa.Column("not_before", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    # An older version knows neither status.
    op.execute("UPDATE jobs SET status = 'failed' WHERE status IN ('paused', 'cancelled')")
    with op.batch_alter_table("jobs") as table:
        table.drop_column("not_before")
        table.drop_column("error_code")
        table.drop_column("fruitful_attempt")
        table.drop_column("checkpoint")
        table.drop_column("stage")

"""passages around chunks, and groups of near duplicates

Revision 0007, after 0006.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("chunks", sa.Column("parent_start", sa.Integer(), nullable=True))
    op.add_column("chunks", sa.Column("parent_end", sa.Integer(), nullable=True))
    op.add_column("chunks", sa.Column("twins", sa.Uuid(), nullable=True))
    op.create_index(op.f("ix_chunks_collection_id_twins"), "chunks", ["collection_id", "twins"])
    op.create_table(
        "chunk_bands",
        sa.Column("collection_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("chunk_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["chunk_id"],
            ["chunks.id"],
            name=op.f("fk_chunk_bands_chunk_id_chunks"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["collection_id"],
            ["collections.id"],
            name=op.f("fk_chunk_bands_collection_id_collections"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("collection_id", "key", "chunk_id", name=op.f("pk_chunk_bands")),
    )
    op.create_index(op.f("ix_chunk_bands_chunk_id"), "chunk_bands", ["chunk_id"])


def downgrade() -> None:
    op.drop_table("chunk_bands")
    op.drop_index(op.f("ix_chunks_collection_id_twins"), table_name="chunks")
    with op.batch_alter_table("chunks") as table:
        table.drop_column("twins")
        table.drop_column("parent_end")
        table.drop_column("parent_start")

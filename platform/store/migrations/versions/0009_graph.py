"""a graph of entities for each collection that wants one

Revision 0009, after 0008.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "graphs",
        sa.Column("collection_id", sa.Uuid(), nullable=False),
        sa.Column("recipe", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column("entities", sa.Integer(), nullable=False),
        sa.Column("relations", sa.Integer(), nullable=False),
        sa.Column("communities", sa.Integer(), nullable=False),
        sa.Column("built_at", sa.DateTime(timezone=True), nullable=False),
        _to("graphs", "collection_id", "collections"),
        sa.PrimaryKeyConstraint("collection_id", name=op.f("pk_graphs")),
    )
    op.create_table(
        "graph_reads",
        sa.Column("chunk_id", sa.Uuid(), nullable=False),
        sa.Column("collection_id", sa.Uuid(), nullable=False),
        sa.Column("recipe", sa.String(length=64), nullable=False),
        sa.Column("found", sa.LargeBinary(), nullable=False),
        _to("graph_reads", "chunk_id", "chunks"),
        _to("graph_reads", "collection_id", "collections"),
        sa.PrimaryKeyConstraint("chunk_id", name=op.f("pk_graph_reads")),
    )
    op.create_index(
        op.f("ix_graph_reads_collection_id_recipe"), "graph_reads", ["collection_id", "recipe"]
    )
    op.create_table(
        "graph_entities",
        sa.Column("id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("collection_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("df", sa.Integer(), nullable=False),
        _to("graph_entities", "collection_id", "collections"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_graph_entities")),
        sa.UniqueConstraint(
            "collection_id", "key", name=op.f("uq_graph_entities_collection_id_key")
        ),
    )
    op.create_table(
        "graph_mentions",
        sa.Column("entity_id", sa.BigInteger(), nullable=False),
        sa.Column("chunk_id", sa.Uuid(), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        _to("graph_mentions", "entity_id", "graph_entities"),
        _to("graph_mentions", "chunk_id", "chunks"),
        sa.PrimaryKeyConstraint("entity_id", "chunk_id", name=op.f("pk_graph_mentions")),
    )
    op.create_index(op.f("ix_graph_mentions_chunk_id"), "graph_mentions", ["chunk_id"])
    op.create_table(
        "graph_relations",
        sa.Column("source_id", sa.BigInteger(), nullable=False),
        sa.Column("target_id", sa.BigInteger(), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        _to("graph_relations", "source_id", "graph_entities"),
        _to("graph_relations", "target_id", "graph_entities"),
        sa.PrimaryKeyConstraint("source_id", "target_id", name=op.f("pk_graph_relations")),
    )
    op.create_index(op.f("ix_graph_relations_target_id"), "graph_relations", ["target_id"])
    op.create_table(
        "graph_communities",
        sa.Column("id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("collection_id", sa.Uuid(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        _to("graph_communities", "collection_id", "collections"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_graph_communities")),
    )
    op.create_index(
        op.f("ix_graph_communities_collection_id"), "graph_communities", ["collection_id"]
    )
    op.create_table(
        "graph_members",
        sa.Column("community_id", sa.BigInteger(), nullable=False),
        sa.Column("entity_id", sa.BigInteger(), nullable=False),
        _to("graph_members", "community_id", "graph_communities"),
        _to("graph_members", "entity_id", "graph_entities"),
        sa.PrimaryKeyConstraint("community_id", "entity_id", name=op.f("pk_graph_members")),
    )
    op.create_index(op.f("ix_graph_members_entity_id"), "graph_members", ["entity_id"])
    op.create_table(
        "graph_passages",
        sa.Column("community_id", sa.BigInteger(), nullable=False),
        sa.Column("chunk_id", sa.Uuid(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("end", sa.Integer(), nullable=False),
        _to("graph_passages", "community_id", "graph_communities"),
        _to("graph_passages", "chunk_id", "chunks"),
        sa.PrimaryKeyConstraint("community_id", "chunk_id", name=op.f("pk_graph_passages")),
    )
    op.create_index(op.f("ix_graph_passages_chunk_id"), "graph_passages", ["chunk_id"])


def downgrade() -> None:
    for table in (
        "graph_passages",
        "graph_members",
        "graph_communities",
        "graph_relations",
        "graph_mentions",
        "graph_entities",
        "graph_reads",
        "graphs",
    ):
        op.drop_table(table)


def _to(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    """A foreign key whose rows go with the other table's."""
    return sa.ForeignKeyConstraint(
        [column], [f"{other}.id"], name=op.f(f"fk_{table}_{column}_{other}"), ondelete="CASCADE"
    )

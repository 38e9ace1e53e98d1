"""Names: every constraint and index is named by the convention, so that migrations can name it."""

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, PrimaryKeyConstraint, UniqueConstraint
from sqlalchemy.sql.schema import ColumnCollectionConstraint, Constraint

from rostra.store.tables import Base


def expected(table: str, constraint: Constraint) -> str:
    assert isinstance(constraint, ColumnCollectionConstraint)
    columns = "_".join(column.name for column in constraint.columns)
    match constraint:
        case PrimaryKeyConstraint():
            return f"pk_{table}"
        case UniqueConstraint():
            return f"uq_{table}_{columns}"
        case ForeignKeyConstraint():
            return f"fk_{table}_{columns}_{constraint.referred_table.name}"
        case CheckConstraint():
            assert constraint.name is not None
            return str(constraint.name)
        case _:
            raise AssertionError(f"{constraint!r} has no convention")


def test_every_constraint_and_index_has_its_conventional_name() -> None:
    seen = 0
    for table in Base.metadata.tables.values():
        for constraint in table.constraints:
            assert constraint.name == expected(table.name, constraint)
            seen += 1
        for index in table.indexes:
            columns = "_".join(column.name for column in index.columns)
            assert index.name == f"ix_{table.name}_{columns}"
            seen += 1
    assert seen > 25


def test_names_fit_postgresql() -> None:
    for table in Base.metadata.tables.values():
        for item in [*table.constraints, *table.indexes]:
            assert len(str(item.name)) <= 63


def test_every_foreign_key_that_is_deleted_by_is_indexed() -> None:
    """A cascade without an index on the referring column reads the whole table."""
    missing = []
    for table in Base.metadata.tables.values():
        keys = [index.columns.keys() for index in table.indexes]
        keys += [
            constraint.columns.keys()
            for constraint in table.constraints
            if isinstance(constraint, UniqueConstraint | PrimaryKeyConstraint)
        ]
        for constraint in table.foreign_key_constraints:
            column = constraint.column_keys[0]
            if constraint.ondelete and not any(key[0] == column for key in keys):
                missing.append(f"{table.name}.{column}")
    assert missing == []

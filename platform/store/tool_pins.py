"""Tools of servers as a person approved them, by their digests.

What always holds: a tool has one pin; another digest under its name is another tool, which nobody
has approved.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.store.tables import ToolPinRow, utc_now


@dataclass(frozen=True, slots=True)
class StoredPin:
    """A tool that was approved; `digest` is sha256 in hexadecimal.

    Attributes:
        told: what it said of itself then, for people who see it change; empty where nobody kept it.
    """

    server: str
    tool: str
    digest: str
    approved_by: str
    approved_at: datetime
    told: str = ""


async def get_pins(session: AsyncSession, server: str) -> dict[str, str]:
    """The approved digests of a server's tools, by the tools' names."""
    rows = await session.execute(
        select(ToolPinRow.tool, ToolPinRow.digest).where(ToolPinRow.server == server)
    )
    return {row.tool: row.digest for row in rows}


async def list_pins(session: AsyncSession, server: str | None = None) -> list[StoredPin]:
    """All pins, or those of one server, by name."""
    query = select(ToolPinRow).order_by(ToolPinRow.server, ToolPinRow.tool)
    if server is not None:
        query = query.where(ToolPinRow.server == server)
    rows = await session.scalars(query.execution_options(populate_existing=True))
    return [
        StoredPin(row.server, row.tool, row.digest, row.approved_by, row.approved_at, row.told)
        for row in rows
    ]


async def approve_tools(
    session: AsyncSession,
    server: str,
    digests: Mapping[str, str],
    by: str = "",
    *,
    told: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Takes these digests for the tools' from now on; other tools' stay.

    Args:
        told: what each said of itself, where that is to be kept.
    """
    now = utc_now()
    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    for tool, digest in digests.items():
        said = {
            "digest": digest,
            "approved_by": by,
            "approved_at": now,
            "told": told.get(tool, ""),
        }
        query = make(ToolPinRow).values(server=server, tool=tool, **said)
        await session.execute(
            query.on_conflict_do_update(index_elements=["server", "tool"], set_=said)
        )


async def revoke_tools(session: AsyncSession, server: str, tool: str | None = None) -> int:
    """Forgets a tool's pin, or all of a server; how many there were."""
    query = delete(ToolPinRow).where(ToolPinRow.server == server)
    if tool is not None:
        query = query.where(ToolPinRow.tool == tool)
    return len((await session.execute(query.returning(ToolPinRow.tool))).all())

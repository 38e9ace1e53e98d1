"""Pins of tools: one a tool, changed by approval alone."""

from rostra.store import Database, approve_tools, get_pins, list_pins, revoke_tools


async def test_a_pin_is_what_was_approved_last(database: Database) -> None:
    async with database.write() as session:
        assert await get_pins(session, "files") == {}
        await approve_tools(session, "files", {"read": "a" * 64, "write": "b" * 64}, "ada")
        await approve_tools(session, "mail", {"read": "c" * 64})
        await approve_tools(
            session, "files", {"read": "d" * 64}, "bob", told={"read": "Reads a file."}
        )
    async with database.read() as session:
        assert await get_pins(session, "files") == {"read": "d" * 64, "write": "b" * 64}
        found = await list_pins(session)
    assert [(pin.server, pin.tool, pin.approved_by, pin.told) for pin in found] == [
        ("files", "read", "bob", "Reads a file."),
        ("files", "write", "ada", ""),
        ("mail", "read", "", ""),
    ]


async def test_a_revoked_tool_is_as_if_never_approved(database: Database) -> None:
    async with database.write() as session:
        await approve_tools(session, "files", dict.fromkeys(("x", "y", "z"), "a" * 64))
        await approve_tools(session, "mail", {"x": "a" * 64})
        assert await revoke_tools(session, "files", "x") == 1
        assert await revoke_tools(session, "files", "x") == 0
        assert set(await get_pins(session, "files")) == {"y", "z"}
        assert await revoke_tools(session, "files") == 2
        assert await get_pins(session, "files") == {}
        assert set(await get_pins(session, "mail")) == {"x"}

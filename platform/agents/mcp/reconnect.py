"""The one connection to a server: opened when it is first needed, and again after it has gone.

What always holds: there is at most one open connection; where opening is given up, nobody else
waits for what did not come; once closed, no other is opened.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from rostra.agents.mcp.auth import Login
from rostra.agents.mcp.config import ServerConfig
from rostra.agents.mcp.connection import Connection
from rostra.agents.tools.tool import ToolFailure


class Reconnecting:
    """See this module; who asks for a connection asks alone, under a lock of the caller's.

    Args:
        config: of the server.
        token_file: where tokens of OAuth are kept.
        login: shows a person an address to log in at; None where nobody is there.
        on_give_up: told when whoever waits for a connection no longer does.
    """

    def __init__(
        self,
        config: ServerConfig,
        token_file: Path,
        login: Login | None,
        on_give_up: Callable[[], None],
    ) -> None:
        self._on_give_up = on_give_up
        self._config = config
        self._token_file = token_file
        self._connection: Connection | None = None
        self.login = login
        self.closed = False

    @property
    def current(self) -> Connection | None:
        """The last connection that was opened or tried, whether it still is open or not."""
        return self._connection

    async def connected(self) -> Connection:
        """The open connection, a new one where there is none.

        Raises:
            ToolFailure: there is none to be had.
        """
        if self.closed:
            raise ToolFailure(f"Server {self._config.name!r}: the toolset is closed.", began=False)
        connection = self._connection
        if connection is not None and connection.usable:
            return connection
        if connection is not None:
            await connection.close()
        connection = self._connection = Connection(self._config, self._token_file, self.login)
        try:
            await connection.open()
        except asyncio.CancelledError:
            self._on_give_up()
            # Whoever asked has given up; nobody else is to wait for what did not come in time.
            await connection.close()
            raise
        return connection

    async def close(self) -> None:
        """Ends the connection; calls under way fail."""
        self.closed = True
        if self._connection is not None:
            await self._connection.close()

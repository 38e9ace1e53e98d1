"""The sandbox as agents of the platform are handed it.

What always holds: whether it works here is found out by running a line in it, once; calls that code
makes go to whoever runs it, who says which are allowed.
"""

import asyncio

from mcp_servers.python.sandbox import MIB, CallRefused, Sandbox, SandboxUnavailable
from rostra.agents import CallFromCode, CodeRefused, CodeRun


class SandboxRunner:
    """See `rostra.agents.CodeRunner`.

    Args:
        sandbox: by default one with the usual limits.
    """

    def __init__(self, sandbox: Sandbox | None = None) -> None:
        self._sandbox = sandbox or Sandbox()
        self._probing = asyncio.Lock()
        self._why: list[str | None] = []

    @property
    def limits(self) -> str:
        """See `CodeRunner.limits`."""
        most = self._sandbox.limits
        return (
            "It has the standard library, no network and no files but an empty working folder, "
            f"starts no programs, keeps nothing for the next call, and has {most.seconds:g} s "
            f"beside the time of the tools it calls, and {most.memory // MIB} MiB."
        )

    async def unavailable(self) -> str | None:
        """See `CodeRunner.unavailable`."""
        async with self._probing:
            if not self._why:
                self._why.append(await self._probe())
            return self._why[0]

    async def run(self, code: str, call_tool: CallFromCode | None) -> CodeRun:
        """See `CodeRunner.run`.

        Raises:
            SandboxUnavailable: nothing was run.
        """

        async def call(name: str, arguments: dict[str, object]) -> object:
            if call_tool is None:
                raise CallRefused("there are no tools to call from here")
            try:
                return await call_tool(name, arguments)
            except CodeRefused as refusal:
                raise CallRefused(str(refusal)) from refusal

        ran = await self._sandbox.run(code, call)
        return CodeRun(ran.stdout, ran.stderr, ran.value, ran.error)

    async def _probe(self) -> str | None:
        try:
            ran = await self._sandbox.run("print('here')")
        except SandboxUnavailable as error:
            hint = f" {error.hint}" if error.hint else ""
            return f"{error.message}.{hint}"
        except OSError as error:
            return f"no process can be started: {error}"
        return None if ran.stdout == "here\n" else f"a line of code did not run: {ran.error}"

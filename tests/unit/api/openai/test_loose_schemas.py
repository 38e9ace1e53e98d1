"""Schemas that are not strict, whose check at the end of a text never hurts anyone else."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from rostra.core import JsonSchema
from rostra.serving import GrammarCompiler, Vocabulary
from tests.scripted_engine import VOCAB_SIZE, ScriptedEngine
from tests.unit.api.openai.conftest import Serve

DEADLINE_SECONDS = 1.0
# To see that the text does not match, a backtracking matcher tries some 2 ** 40 ways.
CATASTROPHE = {"type": "string", "pattern": "^(a+)+$"}
TEXT = json.dumps("a" * 40 + "!")
ASK = [{"role": "user", "content": "hi"}]
CHAT, COMPLETIONS, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"


class WatchedEngine(ScriptedEngine):
    """Tells when it begins to check a text."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.checking = asyncio.Event()

    async def violations(self, schema: JsonSchema, text: str) -> list[str]:
        self.checking.set()
        return await super().violations(schema, text)


@pytest.fixture
async def engine() -> AsyncIterator[WatchedEngine]:
    """Says what does not match; its compiler is a real one."""
    tokens = [bytes([byte]) for byte in range(VOCAB_SIZE)]
    compiler = GrammarCompiler(
        Vocabulary([*tokens, b"<end>"], (VOCAB_SIZE,), named={}), deadline=DEADLINE_SECONDS
    )
    yield WatchedEngine(pieces=(TEXT[:20], TEXT[20:]), compiler=compiler)
    await compiler.close()


async def test_a_catastrophic_pattern_is_reported_and_holds_up_nobody(
    serve: Serve, engine: WatchedEngine
) -> None:
    named = {"name": "s", "schema": CATASTROPHE, "strict": False}
    held = {"response_format": {"type": "json_schema", "json_schema": named}}
    bodies: list[tuple[str, dict[str, Any]]] = [
        (CHAT, {"messages": ASK, **held}),
        (CHAT, {"messages": ASK, "stream": True, **held}),
        (COMPLETIONS, {"prompt": "hi", "max_tokens": 100, **held}),
        (COMPLETIONS, {"prompt": "hi", "max_tokens": 100, "stream": True, **held}),
        (RESPONSES, {"input": "hi", "text": {"format": {"type": "json_schema", **named}}}),
    ]
    async with serve(engine) as url, httpx.AsyncClient(base_url=url, timeout=60) as http:
        slow = [asyncio.create_task(http.post(path, json=body)) for path, body in bodies]
        await engine.checking.wait()
        other = await http.post(CHAT, json={"messages": ASK})
        assert other.json()["choices"][0]["message"]["content"] == TEXT
        assert not all(task.done() for task in slow)
        responses = await asyncio.gather(*slow)
    for response in responses:
        assert response.status_code == 200, response.text
        assert '"schema_errors":["Checking the text took over 1 seconds."]' in response.text

"""A thousand requests at a real engine process and a real server, a third of them given up early.

What always holds: none hangs, none leaks a block, and the engine answers as before.
"""

import asyncio
import json
import re
from contextlib import aclosing
from pathlib import Path
from random import Random

import httpx
import pytest

from rostra.serving import AsyncEngine, EngineConfig, FinishReason, SamplingParams
from tests.checkpoints import make_checkpoint
from tests.integration.api.conftest import serving

REQUESTS = 1000
TIMEOUT = 600


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny", "llama3")


@pytest.mark.timeout(TIMEOUT)
async def test_random_cancels_and_abandoned_streams_leak_nothing(folder: Path) -> None:
    config = EngineConfig(
        dtype="float32", device="cpu", kv_memory_bytes=1 << 19, max_running=16, max_step_tokens=64
    )
    random = Random(1)
    endings: list[str] = []
    engine = AsyncEngine(str(folder), config)

    async def one(number: int, leave_after: int | None) -> None:
        prompt = [16 + (number * 7 + i) % 300 for i in range(random.randint(1, 60))]
        params = SamplingParams(
            max_tokens=random.randint(1, 24), temperature=1.0, seed=number, ignore_eos=True
        )
        outputs = engine.generate(prompt, params, n=random.choice((1, 1, 1, 2)))
        seen, ended = 0, 0
        async with aclosing(outputs):
            async for output in outputs:
                seen += 1
                ended += output.finish_reason is not None
                assert output.finish_reason is not FinishReason.ABORT
                if leave_after is not None and seen > leave_after:
                    endings.append("left")
                    return
        endings.append("done")
        assert ended

    try:
        await engine.start()
        tasks = []
        for number in range(REQUESTS):
            leave_after = random.randint(0, 8) if random.random() < 0.2 else None
            task = asyncio.create_task(one(number, leave_after))
            tasks.append(task)
            if random.random() < 0.2:
                asyncio.get_running_loop().call_later(random.random(), task.cancel)
            if number % 40 == 0:
                await asyncio.sleep(0.05)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        failures = [
            r for r in results if r is not None and not isinstance(r, asyncio.CancelledError)
        ]
        assert not failures
        assert endings.count("done") > REQUESTS // 3
        assert endings.count("left") > REQUESTS // 20
        # One more: an answer, and with it the loop's last look at its numbers.
        text = [o async for o in engine.generate([20, 21, 22], SamplingParams(max_tokens=4))]
        assert text
        async with asyncio.timeout(60):
            # The loop's numbers come now and then; nothing tells of their coming.
            while (stats := engine.stats()).used_blocks or stats.running or stats.waiting:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert stats.preemptions, "the memory was meant to be too small"
    finally:
        await engine.close()


@pytest.mark.timeout(TIMEOUT)
async def test_clients_that_disconnect_free_what_they_used(folder: Path, tmp_path: Path) -> None:
    random = Random(2)
    settings = {
        "ROSTRA_MODEL": str(folder),
        "ROSTRA_DTYPE": "float32",
        "ROSTRA_KV_MEMORY_BYTES": str(1 << 20),
    }
    with serving(tmp_path, **settings) as served:
        async with httpx.AsyncClient(base_url=served.url, timeout=120) as http:

            async def one(number: int) -> None:
                body = {
                    "model": "default",
                    "prompt": [16 + (number + i) % 300 for i in range(random.randint(1, 40))],
                    "max_tokens": 40,
                    "ignore_eos": True,
                    "stream": True,
                }
                leave_after = random.randint(0, 10) if number % 3 == 0 else None
                async with http.stream("POST", "/v1/completions", json=body) as response:
                    assert response.status_code == 200
                    lines = 0
                    async for line in response.aiter_lines():
                        lines += line.startswith("data: ")
                        if leave_after is not None and lines > leave_after:
                            return
                        if line == "data: [DONE]":
                            return
                        if line.startswith("data: "):
                            assert "error" not in json.loads(line[6:])
                    raise AssertionError("the stream ended without its end")

            limit = asyncio.Semaphore(24)

            async def bounded(number: int) -> None:
                async with limit:
                    await one(number)

            await asyncio.gather(*(bounded(number) for number in range(200)))
            names = "num_requests_running|num_requests_waiting|kv_cache_usage_perc"
            async with asyncio.timeout(60):
                while True:
                    text = (await http.get("/metrics")).text
                    if len(re.findall(rf"^rostra_({names})\S* 0.0$", text, re.M)) == 3:
                        break
                    await asyncio.sleep(0.1)

"""Plans agree with what is allocated."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from rostra.core import ConfigError
from rostra.serving.attention.backend import allocate_cache, bytes_per_block
from rostra.serving.config import EngineConfig
from rostra.serving.engine.memory import GIB, Memory, activation_bytes, kv_blocks, main_memory
from rostra.serving.errors import BrokenCheckpoint
from rostra.serving.models.config import read_config
from rostra.serving.models.load import load_decoder
from rostra.serving.plan import Machine, make_plan, this_machine, weight_bytes
from tests.checkpoints import FAMILIES

CPU = torch.device("cpu")
Checkpoint = Callable[..., Path]
HOST = Machine(CPU, "processor", Memory(8 * GIB, 6 * GIB))


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_take_what_the_plan_says(checkpoint: Checkpoint, family: str) -> None:
    folder = checkpoint(family)
    decoder = load_decoder(folder, dtype=torch.float32, device=CPU)
    assert weight_bytes(read_config(folder), torch.float32, CPU) == decoder.weight_bytes


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("weights", ["none", "int8", "int4"])
@pytest.mark.parametrize("family", ["llama3", "llama3_tied"])
def test_formats_take_what_the_plan_says(
    checkpoint: Checkpoint, family: str, weights: Any, dtype: torch.dtype
) -> None:
    folder = checkpoint(family)
    decoder = load_decoder(folder, dtype=dtype, device=CPU, weights=weights)
    assert weight_bytes(read_config(folder), dtype, CPU, weights=weights) == decoder.weight_bytes


def test_the_engine_allocates_what_was_planned(checkpoint: Checkpoint) -> None:
    from rostra.serving.engine.core import EngineCore

    folder = checkpoint("llama3")
    config = EngineConfig(kv_memory_bytes=3_000_000, max_context=200, dtype="bfloat16")
    planned = make_plan(folder, config)
    info = EngineCore(folder, config).describe()
    assert planned.fits
    assert (planned.blocks, planned.kv_bytes) == (info.blocks, info.kv_bytes)
    assert (planned.weight_bytes, planned.max_context) == (info.weight_bytes, info.max_context)
    assert (planned.dtype, planned.device) == (info.dtype, info.device)


def test_blocks_take_the_bytes_that_are_counted(checkpoint: Checkpoint) -> None:
    model = read_config(checkpoint("llama3"))
    cache = allocate_cache(model, blocks=7, block_size=16, dtype=torch.bfloat16, device=CPU)
    assert cache.bytes == 7 * bytes_per_block(model, torch.bfloat16, 16)


def test_sequences_are_those_that_fit(checkpoint: Checkpoint) -> None:
    config = EngineConfig(kv_memory_bytes=2_000_000, max_context=100, dtype="float32")
    planned = make_plan(checkpoint("llama3"), config, HOST)
    # 100 tokens take 7 blocks of 16.
    assert planned.kv_bytes_per_sequence == 7 * 16 * planned.kv_bytes_per_token
    assert planned.sequences == planned.blocks // 7 == 2_000_000 // planned.kv_bytes_per_sequence
    few = msgspec.structs.replace(config, max_running=3)
    assert make_plan(checkpoint("llama3"), few, HOST).sequences == 3
    assert planned.kv_bytes <= 2_000_000 < planned.kv_bytes + 16 * planned.kv_bytes_per_token


def test_a_model_that_does_not_fit_says_why(checkpoint: Checkpoint) -> None:
    folder = checkpoint("llama3")
    small = dataclasses.replace(HOST, memory=Memory(100_000, 50_000))
    planned = make_plan(folder, EngineConfig(), small)
    assert not planned.fits
    assert planned.problem is not None
    assert "weights" in planned.problem
    tight = dataclasses.replace(HOST, memory=Memory(GIB, planned.weight_bytes + 10))
    problem = make_plan(folder, EngineConfig(), tight).problem
    assert problem is not None
    assert "keys and values" in problem
    asked = make_plan(folder, EngineConfig(kv_memory_bytes=10**12), HOST).problem
    assert asked is not None
    assert "free" in asked


def test_no_more_context_than_the_model_has(checkpoint: Checkpoint) -> None:
    folder = checkpoint("llama3")
    most = read_config(folder).max_context
    assert make_plan(folder, EngineConfig(max_context=most), HOST).max_context == most
    message = f"max_context: the model's context is {most} tokens, {most + 1} were asked for"
    with pytest.raises(ConfigError, match=message):
        make_plan(folder, EngineConfig(max_context=most + 1), HOST)


def test_a_folder_without_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(BrokenCheckpoint, match=r"config\.json"):
        make_plan(tmp_path, EngineConfig(), HOST)


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(ConfigError, match="device"):
        this_machine("cuda:17")


def test_more_blocks_than_can_be_used_are_not_taken(checkpoint: Checkpoint) -> None:
    model = read_config(checkpoint("llama3"))
    config = EngineConfig(max_running=4)
    blocks = kv_blocks(model, config, torch.float32, 10 * GIB, max_context=64, device="cpu")
    assert blocks == 2 * 4 * 4
    assert activation_bytes(model, config, torch.float32) > 0


def test_less_than_a_block_is_refused(checkpoint: Checkpoint) -> None:
    model = read_config(checkpoint("llama3"))
    for config, free in ((EngineConfig(), 0), (EngineConfig(kv_memory_bytes=100), GIB)):
        with pytest.raises(ConfigError, match="keys and values"):
            kv_blocks(model, config, torch.float32, free, max_context=64, device="cpu")


MEMINFO = "MemTotal: 1000 kB\nMemFree: 10 kB\nMemAvailable: 800 kB\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, Memory(1_024_000, 819_200)),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/memory.max": "500000",
                "sys/fs/cgroup/a/memory.current": "400000",
                "sys/fs/cgroup/a/memory.stat": "anon 5\nactive_file 100\ninactive_file 50000\n",
                "sys/fs/cgroup/a/b/memory.max": "max",
                "sys/fs/cgroup/a/b/memory.current": "7",
            },
            Memory(500_000, 150_100),
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/x\n3:cpu:/y\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "300000",
                "sys/fs/cgroup/memory/memory.usage_in_bytes": "400000",
                "sys/fs/cgroup/memory/x/memory.limit_in_bytes": str(2**63 - 4096),
                "sys/fs/cgroup/memory/x/memory.usage_in_bytes": "1",
            },
            Memory(300_000, 0),
        ),
    ],
    ids=["machine", "version 2", "version 1"],
)
def test_control_groups_are_respected(
    tmp_path: Path, files: dict[str, str], expected: Memory
) -> None:
    for name, text in ({"proc/meminfo": MEMINFO} | files).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert main_memory(tmp_path) == expected

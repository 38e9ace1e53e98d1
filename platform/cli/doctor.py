"""`rostra doctor`: what is installed, what loads, and what to do about what is missing."""

import asyncio
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator

import click
from rich.markup import escape
from sqlalchemy import make_url

from mcp_servers import SandboxRunner
from rostra.cli.doctor_checks import Check, chat_checks, server_checks, shipped_checks
from rostra.cli.doctor_models import maker_checks
from rostra.cli.output import console, json_option, print_json, print_table, settings_of_process
from rostra.core import RostraError, Settings, pick_device, pick_dtype
from rostra.ingest import has_ocr
from rostra.retrieval import load_embedder, load_reranker
from rostra.store import current, head, open_database

_LITTLE_DISK = 2 * 1024**3
_COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}


@click.command("doctor")
@click.option("--settings", "show_settings", is_flag=True, help="List every setting instead.")
@json_option
def command(show_settings: bool, as_json: bool) -> int:
    """Say what is installed, which device is used, which models load, and what is missing."""
    settings = settings_of_process()
    if show_settings:
        _print_settings(settings, as_json)
        return 0
    checks: list[Check] = []
    for check in _checks(settings):
        checks.append(check)
        if not as_json:
            _print(check)
    ok = all(check.status != "error" for check in checks)
    if as_json:
        print_json({"ok": ok, "checks": checks})
    return 0 if ok else 1


def _checks(settings: Settings) -> Iterator[Check]:
    yield Check("rostra", "ok", importlib.metadata.version("rostra"))
    yield Check("python", "ok", f"{platform.python_version()} on {platform.machine()}")
    yield _torch(settings)
    yield _faiss()
    yield _dense_index(settings)
    yield _ocr()
    yield _home(settings)
    database = asyncio.run(_database(settings))
    yield database
    yield from shipped_checks()
    yield _embedder(settings)
    yield _reranker(settings)
    yield asyncio.run(_generator(settings))
    yield from asyncio.run(chat_checks(settings))
    if database.status != "error":
        yield from asyncio.run(maker_checks(settings))
        yield from asyncio.run(server_checks(settings))
    yield asyncio.run(_sandbox(settings))
    yield _web()


def _torch(settings: Settings) -> Check:
    import torch

    try:
        device = pick_device(settings.device)
    except RostraError as error:
        return Check("torch", "error", error.message, error.hint or "Set ROSTRA_DEVICE=auto.")
    dtype = str(pick_dtype(settings.embedding_dtype, device)).removeprefix("torch.")
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else "processor"
    return Check(
        "torch",
        "ok",
        f"{torch.__version__}, {device} ({name}), {dtype}, {torch.get_num_threads()} threads",
    )


def _faiss() -> Check:
    try:
        import faiss
    except ImportError:
        return Check("faiss", "error", "not installed", "pip install 'rostra[cpu]'")
    gpus = faiss.get_num_gpus() if hasattr(faiss, "get_num_gpus") else 0
    return Check("faiss", "ok", f"{faiss.__version__}, {f'{gpus} GPUs' if gpus else 'CPU'}")


def _dense_index(settings: Settings) -> Check:
    kind = settings.dense_index
    if kind == "milvus" and importlib.util.find_spec("pymilvus") is None:
        return Check(
            "dense index",
            "warning",
            "milvus is set and not installed; every vector is looked at",
            "pip install 'rostra[milvus]'",
        )
    if kind.startswith("gpu"):
        import torch

        if not torch.cuda.is_available():
            return Check(
                "dense index",
                "warning",
                f"{kind} is set and there is no GPU; every vector is looked at",
                "Set ROSTRA_DENSE_INDEX=auto.",
            )
    return Check("dense index", "ok", kind)


def _ocr() -> Check:
    if not has_ocr():
        return Check(
            "text recognition",
            "ok",
            "not installed; images and scanned pages are not read",
            "pip install 'rostra[ocr]'",
        )
    version = importlib.metadata.version("rapidocr")
    return Check("text recognition", "ok", f"rapidocr {version}, models included")


def _home(settings: Settings) -> Check:
    home = settings.home.absolute()
    existing = next(path for path in (home, *home.parents) if path.exists())
    if not os.access(existing, os.W_OK):
        return Check("data folder", "error", f"{home} is not writable", "Set ROSTRA_HOME.")
    free = shutil.disk_usage(existing).free
    detail = f"{home}, {free / 1024**3:.0f} GiB free"
    if free < _LITTLE_DISK:
        return Check("data folder", "warning", detail, "Free some disk space.")
    return Check("data folder", "ok", detail)


async def _database(settings: Settings) -> Check:
    url = settings.resolved_database_url
    try:
        shown = make_url(url).render_as_string(hide_password=True)
        async with await open_database(url) as database:
            revision = await current(database.writer)
    except RostraError as error:
        return Check("database", "error", error.message, error.hint or "Check ROSTRA_DATABASE_URL.")
    return Check("database", "ok", f"{shown}, schema {revision} of {head()}")


def _embedder(settings: Settings) -> Check:
    began = time.perf_counter()
    try:
        embedder = load_embedder(settings)
        embedder.embed_query("Is anybody there?")
    except RostraError as error:
        return Check("embedding model", "error", error.message, error.hint or "")
    space = embedder.space
    rotated = ", rotated" if space.rotation else ""
    return Check(
        "embedding model",
        "ok",
        f"{space.model}, {space.dimensions} dimensions{rotated}, reads {embedder.max_tokens} "
        f"tokens, loaded in {time.perf_counter() - began:.1f} s",
    )


def _reranker(settings: Settings) -> Check:
    try:
        reranker = load_reranker(settings)
    except RostraError as error:
        return Check("reranker", "error", error.message, error.hint or "")
    if reranker is None:
        return Check(
            "reranker", "ok", "none", "Set ROSTRA_RERANKER_MODEL to a cross-encoder to use one."
        )
    return Check("reranker", "ok", reranker.name)


async def _generator(settings: Settings) -> Check:
    if not settings.model:
        return Check(
            "generator",
            "ok",
            "none is set",
            "Set ROSTRA_MODEL to a decoder's folder or hub id to have answers written.",
        )
    from rostra.serving import AsyncEngine, engine_config

    engine = AsyncEngine(settings.model, engine_config(settings))
    began = time.perf_counter()
    try:
        info = await engine.start()
    except RostraError as error:
        return Check("generator", "error", error.message, error.hint or "")
    finally:
        await engine.close()
    weights = info.dtype if info.weights == "none" else f"{info.dtype} with {info.weights} weights"
    return Check(
        "generator",
        "ok",
        f"{engine.name} ({info.architecture}), {weights}, {info.device}, "
        f"{info.weight_bytes / 1024**3:.2f} GiB of weights, context of {info.max_context} tokens, "
        f"{info.kv_bytes / 1024**3:.2f} GiB for keys and values "
        f"({info.blocks * info.block_size} tokens), "
        f"loaded in {time.perf_counter() - began:.1f} s",
    )


async def _sandbox(settings: Settings) -> Check:
    if not settings.agent_python:
        return Check("python sandbox", "ok", "switched off", "ROSTRA_AGENT_PYTHON=true has it.")
    why = await SandboxRunner().unavailable()
    if why is None:
        return Check("python sandbox", "ok", "agents can run Python")
    return Check("python sandbox", "warning", f"agents do not run Python: {why}")


def _web() -> Check:
    from rostra.api import page_folder

    if (page_folder() / "index.html").is_file():
        return Check("web page", "ok", "built")
    return Check("web page", "warning", "not built", "Run `make web`; the API works without it.")


def _print(check: Check) -> None:
    out = console()
    out.print(
        f"[{_COLOURS[check.status]}]{check.status:>7}[/]  {check.name:<16} {escape(check.detail)}"
    )
    if check.hint and (check.status != "ok" or sys.stdout.isatty()):
        out.print(f"{'':>27}[dim]{escape(check.hint)}[/]")


def _print_settings(settings: Settings, as_json: bool) -> None:
    values = settings.model_dump(mode="json")
    if values["database_url"]:
        values["database_url"] = make_url(values["database_url"]).render_as_string(
            hide_password=True
        )
    if as_json:
        print_json(values)
        return
    print_table(
        ("variable", "value", "meaning"),
        (
            (f"ROSTRA_{name.upper()}", values[name], field.description or "")
            for name, field in Settings.model_fields.items()
        ),
    )

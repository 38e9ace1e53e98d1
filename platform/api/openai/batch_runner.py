"""Runs batches in the background, one at a time, some requests of it at once.

What always holds: requests of batches go to the engine behind those that somebody waits for; what
is done is on disk, so a batch that a restart interrupts goes on with the requests that are left;
one that is cancelled or out of time keeps what is done.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from rostra.api.openai.batch_input import BatchLine, check_input, read_requests
from rostra.api.openai.batch_output import BatchOutput
from rostra.api.openai.batches import WINDOW_SECONDS
from rostra.api.openai.body import convert
from rostra.api.openai.chat import ChatBody, complete_chat
from rostra.api.openai.completions import CompletionBody, complete_text
from rostra.api.openai.embeddings import EmbeddingBody, embed
from rostra.api.openai.errors import UnsupportedParameter, error_of
from rostra.api.openai.generation import BATCH
from rostra.api.openai.responses import ResponseBody, complete_response
from rostra.api.turns import take_turns
from rostra.core import ModelUnavailable, Overloaded, RostraError, get_logger
from rostra.store import (
    Batch,
    BatchClaim,
    FileNotFound,
    add_file,
    claim_batch,
    get_file,
    report_batch,
    writes_to,
)

if TYPE_CHECKING:
    from rostra.api.openai.surface import Surface

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BatchPace:
    """How batches are run. Seconds.

    Attributes:
        lease: how long a batch stays ours without a report.
        beat: time between reports, well below the lease.
        poll: time between looks for batches that other processes left.
        at_once: requests of a batch that run at the same time.
        retries: how often a request is tried again that the engine had no room for.
        retry_after: time before it is.
    """

    lease: float = 30.0
    beat: float = 2.0
    poll: float = 10.0
    at_once: int = 16
    retries: int = 30
    retry_after: float = 2.0


class BatchRunner:
    """Runs batches until it is cancelled."""

    def __init__(self, surface: "Surface", pace: BatchPace | None = None) -> None:
        self._surface = surface
        self._database = surface.runtime.database
        self._pace = pace or BatchPace()
        self._lease = timedelta(seconds=self._pace.lease)
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Says that a batch was taken or is to be cancelled."""
        self._woken.set()

    async def run(self) -> None:
        """Takes batches as they come; ends only by being cancelled."""
        await take_turns(
            "batch", self._woken, self._pace.poll, sweep=self._sweep, take=self._run_next
        )

    async def _run_next(self) -> bool:
        """Runs a batch if there is one."""
        async with self._database.write() as session:
            held = await claim_batch(session, self._lease)
        if held is None:
            return False
        await self._see_through(held)
        return True

    async def _see_through(self, held: BatchClaim) -> None:
        """Works on a batch until it ends.

        Raises:
            LostLease: another process has it now.
            StoreUnavailable: nothing could be reported; it is claimed again later.
        """
        work = _Work(self._surface, held.batch, self._pace)
        try:
            await asyncio.to_thread(work.open)
            ended = await self._supervise(held, work)
            await asyncio.to_thread(work.close)
            await self._finish(held, work, ended)
        except asyncio.CancelledError:
            await self._let_go(held, work)
            raise
        finally:
            work.close()

    async def _supervise(self, held: BatchClaim, work: "_Work") -> str:
        """Runs the work and reports on it; returns the status that it ends with."""
        doing = asyncio.create_task(work.run(), name=f"batch {held.batch.id}")
        try:
            status = held.batch.status
            while not doing.done() and status != "cancelling" and not work.is_expired:
                self._woken.clear()
                waking = asyncio.create_task(self._woken.wait())
                await asyncio.wait(
                    {doing, waking},
                    timeout=self._pace.beat,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                waking.cancel()
                status = await self._report(held, work)
        finally:
            if not doing.done():
                doing.cancel()
            await asyncio.wait({doing})
        if not doing.cancelled() and (error := doing.exception()) is not None:
            raise error
        if work.errors:
            return "failed"
        if not doing.cancelled():
            return "completed"
        return "cancelled" if status == "cancelling" else "expired"

    async def _report(self, held: BatchClaim, work: "_Work") -> str:
        status = "in_progress" if work.is_checked else None
        async with self._database.write() as session:
            batch = await report_batch(
                session, held, self._lease, status=status, counts=work.counts
            )
        return batch.status

    async def _finish(self, held: BatchClaim, work: "_Work", ended: str) -> None:
        batch = held.batch
        async with self._database.write() as session:
            if ended != "failed":
                await report_batch(session, held, self._lease, status="finalizing")
                name = f"batch_{batch.id.hex}"
                for file_id, kind, size in (
                    (batch.output_file_id, "output", work.output_size),
                    (batch.error_file_id, "error", work.error_size),
                ):
                    if size:
                        await add_file(
                            session, file_id, f"{name}_{kind}.jsonl", "batch_output", size
                        )
            await report_batch(
                session, held, None, status=ended, counts=work.counts, errors=work.errors
            )
        for file_id, size in (
            (batch.output_file_id, work.output_size),
            (batch.error_file_id, work.error_size),
        ):
            if not size:
                await asyncio.to_thread(self._surface.files.remove_all, [file_id])

    async def _let_go(self, held: BatchClaim, work: "_Work") -> None:
        """Gives the batch back at once instead of when the lease runs out."""
        try:
            async with self._database.write() as session:
                await report_batch(session, held, None, counts=work.counts)
        except RostraError as error:
            log.warning("batch not given back", batch=str(held.batch.id), reason=error.message)

    async def _sweep(self) -> None:
        """Removes bytes that an earlier process left without a row."""
        files = self._surface.files
        for file_id in await asyncio.to_thread(files.stale):
            async with self._database.read() as session:
                try:
                    await get_file(session, file_id)
                except FileNotFound:
                    if not await writes_to(session, file_id):
                        await asyncio.to_thread(files.remove_all, [file_id])


class _Work:
    """One batch while it runs."""

    def __init__(self, surface: "Surface", batch: Batch, pace: BatchPace) -> None:
        self.errors: list[dict[str, Any]] = []
        self.is_checked = False
        self._surface = surface
        self._batch = batch
        self._pace = pace
        self._total = int(batch.counts.get("total", 0))
        self._outputs: list[BatchOutput] = []
        self._done: frozenset[str] = frozenset()
        self._turn = asyncio.Lock()
        self._sizes = (0, 0)
        self._counts = (0, 0)

    @property
    def counts(self) -> dict[str, int]:
        """Requests in all, done well, and failed."""
        if self._outputs:
            self._counts = (len(self._outputs[0].done), len(self._outputs[1].done))
        return {"total": self._total, "completed": self._counts[0], "failed": self._counts[1]}

    @property
    def output_size(self) -> int:
        """Bytes of what succeeded."""
        return self._sizes[0]

    @property
    def error_size(self) -> int:
        """Bytes of what failed."""
        return self._sizes[1]

    @property
    def is_expired(self) -> bool:
        """Whether the batch's time is up."""
        return time.time() > self._batch.created_at.timestamp() + WINDOW_SECONDS

    def open(self) -> None:
        """Opens the output files, with what an earlier run left in them. Blocks."""
        files = self._surface.files
        files.make_folder()
        for file_id in (self._batch.output_file_id, self._batch.error_file_id):
            self._outputs.append(BatchOutput(files.path(file_id)))

    def close(self) -> None:
        """Sees that all is on the disk, and closes the files. Blocks."""
        if not self._outputs:
            return
        _ = self.counts
        self._sizes = (self._outputs[0].size, self._outputs[1].size)
        for output in self._outputs:
            output.sync()
            output.close()
        self._outputs = []

    async def run(self) -> None:
        """Checks the input, then runs what is left of it."""
        path = self._surface.files.path(self._batch.input_file_id)
        if not await asyncio.to_thread(path.is_file):
            self.errors = [_gone()]
            return
        checked = await asyncio.to_thread(check_input, path, self._batch.endpoint)
        self._total = checked.total
        if checked.errors:
            self.errors = checked.errors
            return
        self.is_checked = True
        self._done = frozenset().union(*(output.done for output in self._outputs))
        requests = read_requests(path)
        async with asyncio.TaskGroup() as group:
            for _ in range(self._pace.at_once):
                group.create_task(self._take(requests))

    async def _take(self, requests: Iterator[BatchLine]) -> None:
        """One of those who run requests: takes the next until there is none."""
        while True:
            async with self._turn:
                request = await asyncio.to_thread(self._next, requests)
            if request is None:
                return
            await self._answer(request)

    def _next(self, requests: Iterator[BatchLine]) -> BatchLine | None:
        """The next request that has no answer yet. Blocks."""
        done = self._done
        return next((one for one in requests if one.custom_id not in done), None)

    async def _answer(self, request: BatchLine) -> None:
        output, errors = self._outputs
        try:
            body = msgspec.to_builtins(await self._run_one(request))
        except Exception as error:  # whatever a request fails with is its own answer
            status, told = error_of(error)
            errors.add(request.custom_id, _line(request, status, msgspec.to_builtins(told)))
        else:
            output.add(request.custom_id, _line(request, 200, body))

    async def _run_one(self, request: BatchLine) -> msgspec.Struct:
        tries = 0
        while True:
            try:
                return await self._dispatch(request)
            except (Overloaded, ModelUnavailable):
                tries += 1
                if tries > self._pace.retries:
                    raise
                await asyncio.sleep(self._pace.retry_after)

    async def _dispatch(self, request: BatchLine) -> msgspec.Struct:
        surface, body = self._surface, request.body
        if body.get("stream"):
            raise UnsupportedParameter("stream: a batch has nobody to stream to", field="stream")
        match request.url:
            case "/v1/chat/completions":
                return await complete_chat(surface, convert(body, ChatBody), BATCH)
            case "/v1/completions":
                return await complete_text(surface, convert(body, CompletionBody), BATCH)
            case "/v1/responses":
                return await complete_response(surface, convert(body, ResponseBody), BATCH)
            case _:
                return await embed(surface, convert(body, EmbeddingBody))


def _line(request: BatchLine, status: int, body: Any) -> dict[str, Any]:
    response = {"status_code": status, "request_id": f"req_{uuid4().hex}", "body": body}
    return {
        "id": f"batch_req_{uuid4().hex}",
        "custom_id": request.custom_id,
        "response": response,
        "error": None,
    }


def _gone() -> dict[str, Any]:
    return {
        "code": "file_not_found",
        "message": "the input file is gone",
        "line": None,
        "param": "input_file_id",
    }

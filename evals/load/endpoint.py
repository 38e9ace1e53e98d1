"""What is measured: somebody's endpoint, our own server with a model, or with random weights."""

import ipaddress
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from evals.load.client import LoadClient
from evals.load.own_server import serve_model

# By which our own server calls whatever it serves.
_OWN_NAME = "default"

Kind = Literal["endpoint", "own server", "own server, random weights"]


@dataclass(frozen=True, slots=True)
class LoadEndpoint:
    """An OpenAI-compatible endpoint.

    Attributes:
        url: usually ends in `/v1`.
        model: as the endpoint calls it.
        shown_model: as reports call it.
        ignore_eos: it takes the parameter of this name, and is to be sent it.
        notes: what a reader of its figures has to know.
    """

    url: str
    model: str
    shown_model: str
    kind: Kind = "endpoint"
    key: str = field(default="", repr=False)
    ignore_eos: bool = False
    notes: tuple[str, ...] = ()

    def client(self, timeout: float) -> LoadClient:
        """A client of it; see `LoadClient`."""
        return LoadClient(
            self.url,
            self.model,
            key=self.key,
            timeout=timeout,
            ignore_eos=self.ignore_eos,
            direct=self.is_here,
        )

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine, whose device and energy are then its own."""
        host = urlsplit(self.url).hostname or ""
        if host == "localhost":
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False


@asynccontextmanager
async def own_endpoint(model: str, *, ignore_eos: bool) -> AsyncIterator[LoadEndpoint]:
    """Our own server with this model, while the context lasts.

    Raises:
        EndpointUnusable: it does not start.
    """
    async with serve_model(model) as url:
        yield LoadEndpoint(url, _OWN_NAME, model, "own server", ignore_eos=ignore_eos)


@asynccontextmanager
async def random_endpoint(*, ignore_eos: bool) -> AsyncIterator[LoadEndpoint]:
    """Our own server with a few million random weights.

    Raises:
        EndpointUnusable: it does not start.
    """
    # Here, because it imports torch, which an endpoint elsewhere does not need.
    from evals.speed.checkpoints import write_random_checkpoint

    with tempfile.TemporaryDirectory(prefix="rostra-load-model-") as folder:
        model = write_random_checkpoint(
            Path(folder) / "random",
            hidden=128,
            layers=4,
            heads=4,
            kv_heads=2,
            intermediate=384,
            vocab_size=4096,
            max_context=8192,
        )
        async with serve_model(str(model)) as url:
            yield LoadEndpoint(
                url,
                _OWN_NAME,
                "random weights",
                "own server, random weights",
                ignore_eos=ignore_eos,
                notes=(
                    "no model is set: the figures are those of a tiny model with random weights "
                    "and say nothing of any model that you would use",
                ),
            )

"""The OpenAPI document at /schema, as JSON and as YAML.

What always holds: operation ids are written by hand and do not change with the code; nothing here
loads from another host, which is why there is no HTML renderer: Litestar's all come from a CDN.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from litestar import Response, Router
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin, YamlRenderPlugin
from litestar.openapi.spec import (
    Example,
    License,
    OpenAPIFormat,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    RequestBody,
    Schema,
    Tag,
)

from rostra.api.about import own_version
from rostra.api.errors import PROBLEM_JSON, problem_of, respond
from rostra.api.schemas import Problem

_TAGS = {
    "collections": "Sets of documents that are searched as one.",
    "documents": "Stored documents and uploads.",
    "jobs": "What is being read: uploads, pages, watched folders.",
    "search": "Passages for a query.",
    "ask": "Answers with citations.",
    "chats": "Conversations of several turns.",
    "runs": "Agents at work: tasks of several steps that call tools.",
    "memories": "What is remembered about the user between runs.",
    "evals": "Runs of evaluations and their reports.",
    "server": "Health and facts of this server.",
}


def openapi_config() -> OpenAPIConfig:
    """What Litestar needs to know for the document."""
    return OpenAPIConfig(
        title="Rostra",
        version=own_version(),
        description=(
            "Ask questions of your own documents. Every offset counts Unicode code points; every "
            "failure is a problem document (RFC 9457) whose `code` tells it apart."
        ),
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        tags=[Tag(name=name, description=text) for name, text in _TAGS.items()],
        openapi_router=Router(
            "/schema", route_handlers=[], include_in_schema=False, after_request=_as_problem
        ),
        render_plugins=[JsonRenderPlugin(path=["/", "/openapi.json"]), YamlRenderPlugin()],
        use_handler_docstrings=True,
    )


def problems(*statuses: int) -> Mapping[int, ResponseSpec]:
    """The failures of an operation, for its `responses`."""
    return {
        status: ResponseSpec(
            Problem,
            description=HTTPStatus(status).phrase,
            media_type=PROBLEM_JSON,
            generate_examples=False,
        )
        for status in statuses
    }


async def _as_problem(response: Response[Any]) -> Response[Any]:
    """Litestar answers unknown paths below /schema with a page of its own."""
    if response.status_code == HTTPStatus.NOT_FOUND:
        return respond(problem_of(NotFoundException()))
    return response


@dataclass
class UploadOperation(Operation):
    """An operation whose body is a form of files, which the handler reads by itself."""

    def __post_init__(self) -> None:
        files = Schema(
            type=OpenAPIType.ARRAY,
            items=Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY),
            min_items=1,
            description="Documents, or zip archives of documents.",
        )
        form = Schema(type=OpenAPIType.OBJECT, properties={"files": files}, required=["files"])
        self.request_body = RequestBody(
            content={"multipart/form-data": OpenAPIMediaType(schema=form)}, required=True
        )


@dataclass
class AskOperation(Operation):
    """An operation that also answers as a stream of events."""

    def __post_init__(self) -> None:
        answer = (self.responses or {}).get("200")
        content: Any = getattr(answer, "content", None)
        if content is not None:
            content["text/event-stream"] = OpenAPIMediaType(
                schema=Schema(
                    type=OpenAPIType.STRING,
                    description=(
                        "With `Accept: text/event-stream`: the events status, passages, delta, "
                        "citation, and at the end done or error."
                    ),
                ),
                examples={
                    "delta": Example(value='event: delta\ndata: {"text":"CREATE INDEX"}\n\n')
                },
            )


@dataclass
class RunOperation(Operation):
    """An operation that answers as the stream of a run, alone or if asked for."""

    def __post_init__(self) -> None:
        for status, response in (self.responses or {}).items():
            content: Any = getattr(response, "content", None)
            if status.startswith("2") and content is not None:
                content["text/event-stream"] = OpenAPIMediaType(
                    schema=Schema(
                        type=OpenAPIType.STRING,
                        description=(
                            "The AI SDK's UI message stream, version 1: parts as JSON, then "
                            "`[DONE]`. Plans, approvals, verifications and the like are `data-` "
                            "parts."
                        ),
                    ),
                    examples={
                        "step": Example(value='id: 3\ndata: {"type":"start-step"}\n\n'),
                    },
                )

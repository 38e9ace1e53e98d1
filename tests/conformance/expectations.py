"""What is not asked of each of our sides, and why: nothing fails here without a written reason.

`NOT_APPLICABLE` scenarios are shown and not counted, whether they pass or not. `EXPECTED` ones are
counted and must fail in exactly as many checks, so that a check that begins to pass, or another one
that fails, is seen. Extensions of the protocol that we do not speak are the suite's own category.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Expected:
    """A failure that is known.

    Attributes:
        failed: checks that fail.
        warned: checks that warn.
    """

    reason: str
    failed: int = 0
    warned: int = 0


_FIXTURES = (
    "It calls a tool, prompt or resource that only a server made for the suite has; the same "
    "library passes it in the everything-server."
)
_NO_SESSIONS = (
    "No tool remembers anything, so the server has no sessions to end or to come back to."
)
_ASKS = (
    "Until 2025-11-25 a server asks its client in a session, and `/mcp` has none; its own tools "
    "ask nothing."
)
_NO_QUESTIONS = (
    "It needs a client that answers a server's questions to the user. Ours runs unattended, "
    "declares that it does not, and a server must then not ask (MCP, Elicitation)."
)

# For each target the scenarios, by exact name or by a prefix that ends in `*`.
NOT_APPLICABLE: Mapping[str, Mapping[str, str]] = {
    "everything-server": {},
    "/mcp": {
        **dict.fromkeys(
            (
                "completion-complete",
                "elicitation-*",
                "http-custom-header-server-validation",
                "input-required-result-*",
                "json-schema-2020-12",
                "prompts-get-*",
                "resources-read-*",
                "resources-templates-read",
                "tools-call-*",
            ),
            _FIXTURES,
        ),
        "logging-set-level": "The server logs nothing to clients and does not declare logging.",
        "resources-*subscribe": "The server has no resources and does not declare subscriptions.",
        "server-session-lifecycle": _NO_SESSIONS,
        "server-sse-polling": _NO_SESSIONS,
    },
    "/mcp+fixtures": {
        **dict.fromkeys(("elicitation-*", "tools-call-elicitation", "tools-call-sampling"), _ASKS),
        "server-session-lifecycle": _NO_SESSIONS,
        "server-sse-polling": _NO_SESSIONS,
    },
    "client": {
        "elicitation-sep1034-client-defaults": _NO_QUESTIONS,
        "sep-2322-client-request-state": _NO_QUESTIONS,
    },
}

EXPECTED: Mapping[str, Mapping[str, Expected]] = {
    "everything-server": {},
    "/mcp": {
        "server-stateless": Expected(
            "Two checks call `test_missing_capability`, a tool made for the suite, which passes "
            "them in the everything-server; ours ask nothing of clients.",
            failed=2,
        )
    },
    "/mcp+fixtures": {},
    "client": {
        "auth/basic-cimd": Expected(
            "A client may name itself by the URL of a document about it (SHOULD). A program on a "
            "user's machine has no such URL, so it registers itself as the specification allows.",
            warned=1,
        )
    },
}

"""The catalog: unique names, arguments checked, and what is wrong said instead of raised."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.agents.events import Effect
from rostra.agents.tools.catalog import LOCAL, MAX_TOOLS, Catalog, qualified
from rostra.agents.tools.functions import function_toolset
from rostra.agents.tools.select import SEARCH_TOOLS, ToolIndex, ToolVectors, searchable
from rostra.agents.tools.tool import (
    NAME_PATTERN,
    CallContext,
    StaticToolset,
    ToolFailure,
    ToolInfo,
    ToolResult,
)
from rostra.core import Embedder, FloatMatrix, FloatVector, ModelUnavailable
from tests.fakes import FakeEmbedder

CONTEXT = CallContext(run="r", call="r:1", timeout=5)


def info(name: str, description: str = "", parameters: dict[str, Any] | None = None) -> ToolInfo:
    return ToolInfo(name, description, {"type": "object"} if parameters is None else parameters)


def toolset(*tools: ToolInfo) -> StaticToolset:
    def answering(name: str) -> Any:
        async def answer(arguments: dict[str, Any], context: CallContext) -> ToolResult:
            return ToolResult(f"{name} {arguments}")

        return answer

    return StaticToolset(tuple((each, answering(each.name)) for each in tools))


class Failing(StaticToolset):
    """Cannot say what it has."""

    async def list(self) -> Sequence[ToolInfo]:
        raise ToolFailure("the server is down")


class Silent(StaticToolset):
    """Never answers."""

    async def list(self) -> Sequence[ToolInfo]:
        await asyncio.Event().wait()
        raise RuntimeError("unreachable")

    async def call(self, name: str, arguments: dict[str, Any], context: CallContext) -> ToolResult:
        await asyncio.Event().wait()
        raise RuntimeError("unreachable")


async def test_tools_of_servers_are_namespaced_and_call_the_right_one() -> None:
    catalog = await Catalog.open(
        {LOCAL: toolset(info("search")), "a": toolset(info("search")), "b": toolset(info("search"))}
    )
    assert [each.name for each in catalog.tools] == ["search", "a__search", "b__search"]
    assert catalog.problems == ()
    assert (await catalog.call("b__search", {"x": 1}, CONTEXT)).text == "search {'x': 1}"
    assert catalog.find("a__search") is catalog.tools[1]
    assert catalog.find("c__search") is None


async def test_what_is_wrong_is_said_and_the_rest_works() -> None:
    catalog = await Catalog.open(
        {
            "down": Failing(),
            "silent": Silent(),
            "odd": toolset(
                info("good"),
                info("good", "another"),
                info("bad schema", parameters={"type": "array"}),
                info("broken", parameters={"properties": {"a": {"type": "text"}}}),
                info("refused"),
            ),
        },
        approved=lambda server, each: each.name != "odd__refused",
        seconds=0.05,
    )
    assert [each.name for each in catalog.tools] == ["odd__good"]
    said = "\n".join(catalog.problems)
    assert "down: its tools are left out: the server is down" in said
    assert "silent: its tools are left out: no answer within 0.05 s" in said
    assert "'good' is left out: another tool of it has this name; the first is kept" in said
    assert "'bad schema' is left out: arguments are an object" in said
    assert "'broken' is left out: the schema is not valid at /properties/a/type" in said
    assert "'refused' is left out: nobody has approved it as it is now" in said
    assert len(catalog.problems) == 6


async def test_arguments_are_checked_before_the_tool_is_called() -> None:
    calls: list[int] = []

    def add(a: int, b: int = 0) -> int:
        """Adds."""
        calls.append(a)
        return a + b

    catalog = await Catalog.open({LOCAL: function_toolset(add)})
    for wrong in ({}, {"a": "1"}, {"a": 1, "c": 2}, {"a": None}):
        with pytest.raises(ToolFailure, match="do not match the schema of add") as failure:
            await catalog.call("add", wrong, CONTEXT)
        assert not failure.value.began
    assert calls == []
    assert (await catalog.call("add", {"a": 1, "b": 2}, CONTEXT)).structured == 3


async def test_a_schema_that_cannot_be_enforced_is_checked_afterwards() -> None:
    either = {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}
    catalog = await Catalog.open({LOCAL: toolset(info("t", parameters=either))})
    assert (await catalog.call("t", {"a": 1}, CONTEXT)).text == "t {'a': 1}"
    with pytest.raises(ToolFailure):
        await catalog.call("t", {"a": 1, "b": 2}, CONTEXT)


async def test_unknown_tools_are_answered_with_close_ones() -> None:
    catalog = await Catalog.open({"docs": toolset(info("search"), info("read"))})
    with pytest.raises(ToolFailure, match="Did you mean docs__search") as failure:
        await catalog.call("docs_search", {}, CONTEXT)
    assert not failure.value.began
    with pytest.raises(ToolFailure, match=r"There is no tool 'x{64}'\.$"):
        await catalog.call("x" * 10_000, {}, CONTEXT)


async def test_a_tool_that_never_answers_is_given_up() -> None:
    silent = Silent(((info("t"), toolset(info("t")).tools[0][1]),))
    catalog = Catalog([(info("t"), "t", silent)])
    with pytest.raises(ToolFailure, match=r"t did not answer within 0\.02 s") as failure:
        await catalog.call("t", {}, CallContext(run="r", call="c", timeout=0.02))
    assert failure.value.began


async def test_our_own_mistakes_are_not_hidden() -> None:
    async def wrong(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        raise ZeroDivisionError

    catalog = await Catalog.open({LOCAL: StaticToolset(((info("t"), wrong),))})
    with pytest.raises(ZeroDivisionError):
        await catalog.call("t", {}, CONTEXT)


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=80), st.text(max_size=80))
def test_names_of_servers_tools_are_valid_and_their_own(a: str, b: str, c: str, d: str) -> None:
    one, other = qualified(a, b), qualified(c, d)
    assert re.fullmatch(NAME_PATTERN, one)
    if f"{a}__{b}" != f"{c}__{d}":
        assert one != other


def many(count: int) -> list[ToolInfo]:
    verbs = ("create", "delete", "list", "update", "archive", "export", "lock", "share")
    things = ("invoice", "ticket", "user", "report", "backup", "calendar", "repository", "shipment")
    return [
        info(
            f"{verbs[at % 8]}_{things[at // 8 % 8]}_{at}",
            f"{verbs[at % 8].title()}s the {things[at // 8 % 8]} of department {at // 64}.",
        )
        for at in range(count)
    ]


async def test_five_thousand_tools_are_catalogued_and_found() -> None:
    catalog, index = await searchable(await Catalog.open({"erp": toolset(*many(5000))}))
    assert len(catalog.tools) == 5001
    assert catalog.problems == ()
    best = await index.best("Please export a backup for department 31", 20)
    assert len(best) == 20
    assert best[0].name.startswith("erp__export_backup")
    assert best[0].description.endswith("department 31.")
    assert best[-1].name == SEARCH_TOOLS
    found = await catalog.call(SEARCH_TOOLS, {"query": "lock the calendar", "limit": 3}, CONTEXT)
    assert len(found.structured) == 3
    assert not found.citable
    for name in found.structured:
        assert name.startswith("erp__lock_calendar")
        assert f"- {name}: Locks the calendar" in found.text
        assert catalog.find(name) is not None


async def test_more_tools_than_a_catalog_takes_are_said() -> None:
    catalog = await Catalog.open({"x": toolset(*many(MAX_TOOLS + 5))})
    assert len(catalog.tools) == MAX_TOOLS
    assert catalog.problems == (f"5 tools over {MAX_TOOLS} are left out",)


async def test_few_tools_are_shown_whole_and_need_no_search() -> None:
    opened = await Catalog.open({LOCAL: toolset(*many(20))})
    catalog, index = await searchable(opened)
    assert catalog is opened
    assert await index.best("anything", 20) == list(catalog.tools)
    assert (await index.best("anything", 5))[-1].name == SEARCH_TOOLS
    assert await ToolIndex(()).best("anything") == []
    assert await ToolIndex(many(30)).find("", 3) == many(3)


async def test_a_choice_stays_among_the_given_tools() -> None:
    tools = many(100)
    index = ToolIndex(tools)
    chosen = await index.choose("export the report", tools[40:60])
    assert len(chosen) == 19
    assert {each.name for each in chosen} <= {each.name for each in tools[40:60]}
    assert await index.choose("export the report", tools[40:60]) == chosen


class Synonyms:
    """Knows which words mean the same; stands for a model that does."""

    MEANINGS = (("erase", "delete"), ("bill", "invoice"), ("staff", "user"))

    def vector(self, text: str) -> FloatVector:
        found = [sum(word in text.casefold() for word in words) for words in self.MEANINGS]
        vector = np.array([*found, 0.1], np.float32)
        return np.asarray(vector / np.linalg.norm(vector), np.float32)

    def embed_documents(self, texts: Sequence[str], on_batch: object = None) -> FloatMatrix:
        return np.stack([self.vector(text) for text in texts])

    def embed_query(self, text: str) -> FloatVector:
        return self.vector(text)


async def test_an_embedder_finds_what_words_do_not() -> None:
    tools = many(640)
    query = "erase a bill"
    by_words = await ToolIndex(tools).best(query, 10)
    by_both = await (await ToolIndex.build(tools, Synonyms())).best(query, 10)  # type: ignore[arg-type]
    assert sum("delete_invoice" in each.name for each in by_words) < 2
    assert all("delete_invoice" in each.name for each in by_both[:9])


async def test_the_same_tools_are_embedded_once_and_only_where_they_are_many() -> None:
    embedder, loaded = FakeEmbedder(), []

    def load() -> Embedder:
        loaded.append(1)
        return embedder

    vectors = ToolVectors(load, most=60)
    few = await Catalog.open({LOCAL: toolset(*many(20))})
    assert (await searchable(few, vectors.index))[0] is few
    assert not loaded
    more = await Catalog.open({LOCAL: toolset(*many(40))})
    catalog, _ = await searchable(more, vectors.index)
    assert len(embedder.embedded) == 40
    first = await vectors.index(catalog.tools)
    fresh = await ToolIndex.build(catalog.tools, FakeEmbedder())
    for query in ("export a backup", "lock"):
        assert await first.best(query) == await fresh.best(query)
    assert len(embedder.embedded) == 40
    await vectors.index(many(80)[60:])  # forgets nothing: 60 texts
    await vectors.index(many(40))
    assert len(embedder.embedded) == 60
    await vectors.index(many(80))  # more than are remembered
    await vectors.index(many(80))
    assert len(embedder.embedded) > 80
    assert await vectors.index(()) is not None


async def test_without_an_embedder_words_have_to_do() -> None:
    def load() -> Embedder:
        raise ModelUnavailable("no such folder")

    tools = many(100)
    index = await ToolVectors(load).index(tools)
    assert await index.best("export the backup") == await ToolIndex(tools).best("export the backup")


async def test_a_search_tool_that_a_server_has_does_not_take_ours_away() -> None:
    own = info(SEARCH_TOOLS, "the server's own")
    catalog, _ = await searchable(await Catalog.open({LOCAL: toolset(own, *many(30))}))
    names = [each.name for each in catalog.tools]
    assert len(names) == len(set(names)) == 31
    assert catalog.problems == (
        f"'{SEARCH_TOOLS}' is left out: a tool of 'local' has this name and is kept",
    )


async def test_long_words_of_a_server_are_cut() -> None:
    catalog = await Catalog.open({"x": toolset(info("t", "d" * 1_000_000))})
    assert len(catalog.tools[0].description) == 8000
    assert catalog.tools[0].effect is Effect.UNKNOWN

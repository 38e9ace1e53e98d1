"""The decoder with random weights under query strategies: whatever it samples has the form."""

import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

import jsonschema  # type: ignore[import-untyped]

from evals.agents.random_runs import random_engine
from rostra.core import (
    ChatEvent,
    ChatMessage,
    ChatModel,
    Delta,
    GenerationOptions,
    JsonSchema,
    Role,
)
from rostra.retrieval.queries.expansion import Asked, Budget, Outcome
from rostra.retrieval.queries.running import STRATEGIES, run_strategies
from rostra.store import Facet, FacetKind
from rostra.store.filters import filter_conditions

FACETS = (
    Facet("lang", FacetKind.TEXT, ("de", "en", 'it\'s "quoted"')),
    Facet("published", FacetKind.DATE, ("2019-01-02", "2024-05-06")),
    Facet("year", FacetKind.NUMBER, (1999.0, 2024.0)),
    Facet("draft", FacetKind.BOOLEAN, (False, True)),
)
ASKED = Asked(
    "Which pumps need oil?",
    (ChatMessage(Role.USER, "What is a pump?"), ChatMessage(Role.ASSISTANT, "A machine.")),
    FACETS,
)


class Sampled:
    """The engine at a high temperature; keeps what was said and what it was held to."""

    name = "sampled"

    def __init__(self, model: ChatModel) -> None:
        self._model = model
        self.seed = 0
        self.said: list[tuple[str, str]] = []

    async def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> AsyncGenerator[ChatEvent, None]:
        assert isinstance(options.constraint, JsonSchema)
        # Strict: the engine would refuse a schema that it cannot enforce in full.
        held = JsonSchema(options.constraint.schema, strict=True)
        text = ""
        async for event in self._model.stream(
            messages, replace(options, constraint=held, temperature=1.0, seed=self.seed)
        ):
            if isinstance(event, Delta):
                text += event.text
            yield event
        self.said.append((options.constraint.schema, text))


async def test_random_weights_are_held_to_the_form() -> None:
    budget = Budget(seconds=120, tokens=6 * 48, queries=6)
    async with random_engine() as engine:
        model = Sampled(engine)
        for model.seed in range(2):
            plan = await run_strategies(
                list(STRATEGIES.values()), model, ASKED, ASKED.question, budget
            )
            for one in plan.report.strategies:
                # A line of letters may still be no word: then it is nonsense, and never an error.
                assert one.outcome in (Outcome.USED, Outcome.NOTHING, Outcome.NONSENSE)
                assert 0 < one.spent.completion_tokens <= 48
                assert not one.spent.estimated
            assert len(plan.queries) <= budget.queries
            assert set(plan.filters) <= {facet.field for facet in FACETS}
            filter_conditions(plan.filters, "sqlite")
    assert len(model.said) == 2 * len(STRATEGIES)
    for schema, text in model.said:
        jsonschema.validate(json.loads(text), json.loads(schema))

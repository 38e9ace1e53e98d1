"""Strategies side by side within one budget.

What always holds: nothing that a model does or fails to do is an error here: a strategy whose model
fails, writes nonsense or is not done in time adds nothing, and the report says so. A budget of
tokens is shared out evenly; queries are taken in turn, so that no strategy crowds out another.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, zip_longest

from rostra.core import ChatModel, QueryStrategyName, RostraError, collapse_whitespace, get_logger
from rostra.retrieval.queries.decompose import Decomposition
from rostra.retrieval.queries.expansion import (
    Asked,
    Budget,
    Expansion,
    ExpansionReport,
    Nonsense,
    Outcome,
    Query,
    QueryStrategy,
    Spent,
    StrategyReport,
)
from rostra.retrieval.queries.hyde import Hyde
from rostra.retrieval.queries.metered import MeteredModel
from rostra.retrieval.queries.multi import MultiQuery
from rostra.retrieval.queries.narrowing import Narrowing
from rostra.retrieval.queries.rewrite import Rewriting
from rostra.retrieval.queries.step_back import StepBack
from rostra.store import Filters

log = get_logger(__name__)

STRATEGIES: Mapping[QueryStrategyName, QueryStrategy] = {
    strategy.name: strategy
    for strategy in (
        *(Rewriting(), Narrowing(), Hyde()),
        *(MultiQuery(), StepBack(), Decomposition()),
    )
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to search for beside the question, and how that came about."""

    report: ExpansionReport
    queries: tuple[Query, ...] = ()
    filters: Filters = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Ended:
    """One strategy's end."""

    name: QueryStrategyName
    outcome: Outcome
    spent: Spent
    expansion: Expansion = field(default_factory=Expansion)


async def run_strategies(
    strategies: Sequence[QueryStrategy],
    model: ChatModel,
    follow_up: Asked,
    searched: str,
    budget: Budget,
) -> Plan:
    """Asks the model for all of them, rewriting first, as the others work on what comes of it.

    Args:
        strategies: each once.
        model: asked.
        follow_up: the question as it was asked, with the turns before it.
        searched: the question as it is searched for without any of this.
        budget: for all together.
    """
    clock = asyncio.get_running_loop().time
    began = clock()
    deadline = began + budget.seconds
    # Whether one applies does not depend on how the question is worded.
    asking = sum(strategy.applies(follow_up) for strategy in strategies)
    tokens = budget.tokens // max(1, asking)
    ended: dict[QueryStrategyName, _Ended] = {}
    standalone = searched
    for strategy in strategies:
        if strategy.name == "rewrite":
            done = await _run(strategy, follow_up, model, tokens, 1, deadline)
            ended[strategy.name] = done
            if done.expansion.queries:
                standalone = done.expansion.queries[0].text
    asked = replace(follow_up, question=standalone, turns=())
    others = [strategy for strategy in strategies if strategy.name != "rewrite"]
    for done in await asyncio.gather(
        *(_run(one, asked, model, tokens, budget.queries, deadline) for one in others)
    ):
        ended[done.name] = done
    in_order = [ended[strategy.name] for strategy in strategies]
    taken = _taken(in_order, searched, budget.queries)
    reports = []
    filters: Filters = {}
    for done in in_order:
        queries = tuple(query.text for query in done.expansion.queries if query in taken)
        outcome = done.outcome
        if outcome is Outcome.USED and not queries and not done.expansion.filters:
            outcome = Outcome.NOTHING
        reports.append(StrategyReport(done.name, outcome, queries, done.spent))
        filters |= done.expansion.filters
    report = ExpansionReport(tuple(reports), dict(filters), seconds=round(clock() - began, 4))
    return Plan(report, taken, filters)


async def _run(
    strategy: QueryStrategy,
    asked: Asked,
    model: ChatModel,
    tokens: int,
    queries: int,
    deadline: float,
) -> _Ended:
    if not strategy.applies(asked):
        return _Ended(strategy.name, Outcome.SKIPPED, Spent())
    metered = MeteredModel(model, tokens)
    try:
        async with asyncio.timeout_at(deadline):
            expansion = await strategy.expand(asked, metered, queries)
        return _Ended(strategy.name, Outcome.USED, metered.spent, expansion)
    except TimeoutError:
        outcome, reason = Outcome.TIMEOUT, "not done in time"
    except Nonsense as error:
        outcome, reason = Outcome.NONSENSE, str(error)
    except RostraError as error:
        outcome, reason = Outcome.FAILED, error.message
    log.info("query strategy left out", strategy=strategy.name, outcome=outcome, reason=reason)
    return _Ended(strategy.name, outcome, metered.spent)


def _taken(ended: Sequence[_Ended], searched: str, most: int) -> tuple[Query, ...]:
    """Queries by turns, each wording once, none that is the question itself."""
    known = {_wording(searched)}
    taken: list[Query] = []
    in_turn = zip_longest(*(done.expansion.queries for done in ended))
    for query in chain.from_iterable(in_turn):
        if query is None or _wording(query.text) in known or len(taken) == most:
            continue
        known.add(_wording(query.text))
        taken.append(query)
    return tuple(taken)


def _wording(text: str) -> str:
    return collapse_whitespace(text).strip(" ?.!").casefold()

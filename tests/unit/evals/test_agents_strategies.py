"""Strategies side by side: the tasks, the script, and the closed form of their tokens."""

import pytest

from evals.agents.chains import LENGTHS, OBSERVATION, make_chains
from evals.agents.strategies import COMPARED, compare_strategies
from rostra.core import sentence_spans


def test_twenty_tasks_of_known_length_and_size() -> None:
    chains = make_chains()
    assert len(chains) == len(LENGTHS) == 20
    assert {chain.length for chain in chains} == set(range(2, 9))
    for chain in chains:
        assert len(chain.records) == chain.length
        for text in chain.records.values():
            assert len(text.split()) + len(sentence_spans(text)) == OBSERVATION
    assert make_chains() == chains


async def test_every_strategy_does_every_task_and_costs_what_the_closed_form_says() -> None:
    report = await compare_strategies(make_chains([2, 3, 5, 8]))
    assert len(report.rows) == 12
    assert all(row.right for row in report.rows)
    assert {row.strategy for row in report.rows} == set(COMPARED)
    for row in report.rows:
        # A chain can neither be shortened nor be looked up side by side.
        assert row.calls == row.length
        expected = {"react": row.length + 1, "rewoo": 2, "plan": 3 * row.length + 2}
        assert row.steps == expected[row.strategy]
    for ratio in report.ratios:
        assert ratio.measured == pytest.approx(ratio.closed, rel=0.02)
    rewoo = [ratio.measured for ratio in report.ratios if ratio.other == "rewoo"]
    assert rewoo == sorted(rewoo)
    assert rewoo[-1] > 4


async def test_a_wrong_answer_is_not_right() -> None:
    chains = make_chains([2, 3])
    text = chains[1].records["K1-2"]
    records = dict(chains[1].records) | {"K1-2": text.replace(chains[1].value, "V1")}
    broken = type(chains[1])(chains[1].task, 3, chains[1].value, records)
    report = await compare_strategies([chains[0], broken])
    assert [row.right for row in report.rows] == [True, False] * len(COMPARED)

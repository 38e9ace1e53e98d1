"""The decoder with random weights as a judge: whatever it samples is a verdict."""

from evals.agents.random_runs import random_engine
from evals.judge.ask import ask
from evals.judge.model import ModelJudge
from evals.judge.rubrics import find_rubric

VALUES = {
    "support": {"claim": "The pump needs oil.", "evidence": "Every month."},
    "pairwise": {"question": "How often?", "answer_a": "Monthly.", "answer_b": "Never."},
}


async def test_random_weights_are_held_to_the_form() -> None:
    seen = set()
    async with random_engine() as model:
        judge = ModelJudge(model, temperature=1.0, attempts=1, max_tokens=40)
        for name, values in VALUES.items():
            for seed in range(2):
                verdict = await ask(judge, name, values, seed=seed)
                assert verdict.choice in find_rubric(name).verdicts
                assert verdict.usage.completion_tokens <= 40
                seen.add(verdict.reason)
    assert len(seen) > 1

"""Our own server with random weights as a judge: it keeps to the form, so all it says counts."""

from evals.core import Sample, State
from evals.judge.compare import PairwiseJudge
from evals.judge.model import ModelJudge
from evals.judge.pairs import Pair
from evals.judge.scorers import RubricScorer
from evals.load.endpoint import random_endpoint
from rostra.models import OpenAIModel

PAIR = Pair(id="1", question="Which?", first="red", second="blue", labels=[], label=None)
STATE = State(sample=Sample(id="1", input="Which?"), output="red")


async def test_one_answer_and_two_in_both_orders() -> None:
    async with random_endpoint(ignore_eos=False) as server:
        model = OpenAIModel(server.url, server.model, retries=0)
        judge = ModelJudge(model, temperature=1.0, attempts=1, max_tokens=40)
        (score,) = await RubricScorer(judge)(STATE, 1)
        assert score.value is not None
        for swapped in (False, True):
            ballot = await PairwiseJudge(judge).compare(PAIR, swapped=swapped, seed=1)
            assert ballot.winner in ("first", "second", "tie")
            assert 0 < ballot.usage.completion_tokens <= 40
            assert not ballot.usage.estimated
        await model.close()

"""The first, lone requests: does the endpoint answer, and how many tokens are our words?"""

from random import Random

from evals.load.client import LoadClient
from evals.load.clock import LoopClock
from evals.load.errors import EndpointUnusable
from evals.load.plan import PlannedRequest, TokenRuler, text_of, user_message
from evals.load.records import EMPTY, RequestRecord

_FEW_WORDS, _MANY_WORDS = 16, 256
_NEW_TOKENS = 8


async def try_endpoint(client: LoadClient) -> None:
    """Waits for an answer, which may take until a model has loaded.

    Raises:
        EndpointUnusable: there is none.
    """
    await _ask(client, _FEW_WORDS)


async def measure_ruler(client: LoadClient) -> TokenRuler:
    """From the counts that the endpoint tells of two prompts.

    What is not told, or makes no sense, is estimated as a token a word.

    Raises:
        EndpointUnusable: the shorter prompt has no answer.
    """
    few = (await _ask(client, _FEW_WORDS)).prompt
    try:
        many = (await _ask(client, _MANY_WORDS)).prompt
    except EndpointUnusable:  # perhaps it is too long; what is sent later shows
        return TokenRuler()
    per_word = (many.tokens - few.tokens) / (_MANY_WORDS - _FEW_WORDS)
    if few.estimated or many.estimated or per_word <= 0:
        return TokenRuler()
    return TokenRuler(per_word, max(0.0, few.tokens - _FEW_WORDS * per_word), measured=True)


async def _ask(client: LoadClient, words: int) -> RequestRecord:
    """An answer; one without text is good enough here.

    Raises:
        EndpointUnusable: there is none.
    """
    message = user_message(text_of(words, Random(f"probe {words}")))
    record = await client.ask(PlannedRequest(0.0, (message,), _NEW_TOKENS), LoopClock())
    if record.failure not in (None, EMPTY):
        raise EndpointUnusable(
            f"{client.url} does not answer a first request: {record.failure}: {record.words}",
            hint="Check the address, the model's name and the key.",
        )
    return record

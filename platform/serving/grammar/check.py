"""Parameters that contradict a grammar."""

from rostra.serving.errors import InvalidParameter
from rostra.serving.request import SamplingParams


def check_against_grammar(params: SamplingParams) -> None:
    """Refuses what could keep a constrained text from being whole.

    Raises:
        InvalidParameter: `field` names the parameter.
    """
    if params.constraint is None:
        return
    contradicting = {
        "min_tokens": (params.min_tokens > 0, "the grammar says when the text may end"),
        "ignore_eos": (params.ignore_eos, "the text ends where the grammar ends"),
        "stop": (bool(params.stop), "a stop string would cut the text off"),
        "stop_token_ids": (bool(params.stop_token_ids), "a stop token would cut the text off"),
        "logit_bias": (bool(params.logit_bias), "it could forbid all that the grammar allows"),
    }
    for name, (present, why) in contradicting.items():
        if present:
            raise InvalidParameter(
                f"{name} cannot be combined with a grammar: {why}.",
                hint=f"Leave out {name}, or the grammar.",
                field=name,
            )

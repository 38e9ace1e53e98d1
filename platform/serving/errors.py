"""What the decoder refuses, and what can go wrong with it."""

from rostra.core import InvalidRequest, ModelUnavailable, Overloaded, RostraError


class UnsupportedModel(ModelUnavailable):
    """A checkpoint of an architecture, or with a feature, that the decoder does not know."""

    code = "unsupported_model"


class BrokenCheckpoint(ModelUnavailable):
    """A checkpoint with a missing, truncated or contradictory file; the message says which."""

    code = "broken_checkpoint"


class EngineDied(ModelUnavailable):
    """The engine's process ended while the request ran; it restarts by itself."""

    code = "engine_died"


class InvalidParameter(InvalidRequest):
    """A sampling parameter out of its range; `field` names it."""

    code = "invalid_parameter"


class PromptTooLong(InvalidRequest):
    """Prompt and new tokens together exceed the model's context length."""

    code = "context_length_exceeded"


class NeverFits(InvalidRequest):
    """The request at its longest needs more key/value memory than there is."""

    code = "never_fits"


class InvalidGrammar(InvalidRequest):
    """A grammar, pattern or schema that cannot be read, takes too long, or has no bounded end."""

    code = "invalid_grammar"


class UnsupportedSchema(InvalidRequest):
    """A strict schema with a keyword that the grammar cannot enforce; the message names it."""

    code = "unsupported_schema"


class GrammarBroken(RostraError):
    """Mask and closing guard of a grammar disagree: a defect of ours that ends this request."""

    status = 500
    code = "grammar_broken"


class QueueFull(Overloaded):
    """More requests wait than the queue holds."""

    status = 429
    code = "queue_full"


class WaitedTooLong(Overloaded):
    """The request was not begun within the longest wait."""

    code = "waited_too_long"


class EngineOutOfMemory(ModelUnavailable):
    """The device had no memory for a step; the requests of that step end, the engine goes on."""

    code = "engine_out_of_memory"

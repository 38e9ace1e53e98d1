"""What can be wrong with making a set."""

from rostra.core import ConfigError, Conflict, InvalidRequest


class SetExists(Conflict):
    """A file is there already and is not written over."""

    code = "set_exists"


class SetConflict(Conflict):
    """A file of made questions was begun with other settings, or another process writes it."""

    code = "set_conflict"


class SetBroken(InvalidRequest):
    """A file that is to be gone on with is no file of made questions, or is damaged inside."""

    code = "set_broken"


class NoModel(ConfigError):
    """Questions are made by a model, and none is set."""

    code = "no_model"


class NothingToAsk(InvalidRequest):
    """A collection has no passage that a question could be made of."""

    code = "nothing_to_ask"

"""What can be wrong with a training: its configuration, its examples, its checkpoint."""

from rostra.core import ConfigError, Conflict, InvalidRequest, NotFound, RostraError


class RecipeInvalid(ConfigError):
    """A configuration of a training cannot be read, or has a value that cannot work."""

    code = "invalid_recipe"


class ModelNotTrainable(NotFound):
    """No model of this name can be trained here."""

    code = "model_not_trainable"


class ExamplesMissing(NotFound):
    """There are no examples, or they are incomplete; they have to be built first."""

    code = "examples_missing"


class SourcesMissing(InvalidRequest):
    """There is nothing that examples could be built of."""

    code = "training_sources_missing"


class CheckpointBroken(InvalidRequest):
    """A checkpoint cannot be read."""

    code = "checkpoint_broken"


class CheckpointOfAnother(Conflict):
    """A checkpoint belongs to another recipe, other examples or another net."""

    code = "checkpoint_of_another"


class TrainingNotDone(NotFound):
    """There are no trained weights yet."""

    code = "training_not_done"


class TrainingDiverged(RostraError):
    """The loss is no longer a number; the last checkpoint stays."""

    code = "training_diverged"

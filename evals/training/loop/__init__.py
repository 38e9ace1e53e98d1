"""The loop that all trainings share: steps, checkpoints, progress.

`train(trainee, plan, folder, ...)` is all that a model needs of it; see `Trainee` for what it
brings.
"""

from evals.training.loop.batches import Draws, bucketed
from evals.training.loop.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from evals.training.loop.plan import Plan
from evals.training.loop.progress import ProgressLog
from evals.training.loop.training import Piece, Trainee, load_trained, train

__all__ = [
    "Checkpoint",
    "Draws",
    "Piece",
    "Plan",
    "ProgressLog",
    "Trainee",
    "bucketed",
    "load_checkpoint",
    "load_trained",
    "save_checkpoint",
    "train",
]

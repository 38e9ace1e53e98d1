"""A question set over pages that were never trained on, for `rostra eval run`.

`python -m evals.training heldout --out FOLDER` writes it in ClapNQ's layout.
"""

from evals.training.heldout.questions import HeldOutSize, held_out_questions
from evals.training.heldout.writing import write_held_out

__all__ = ["HeldOutSize", "held_out_questions", "write_held_out"]

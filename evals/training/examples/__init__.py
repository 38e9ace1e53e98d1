"""Examples: a question, passages, and which sentences of the first one answer it.

Built once, read often; evidence scorer and reranker learn from the same ones.
"""

from evals.training.examples.building import Building, build_examples
from evals.training.examples.command import build_for
from evals.training.examples.records import Example, ExampleSet
from evals.training.examples.storing import Manifest, read_examples, write_examples

__all__ = [
    "Building",
    "Example",
    "ExampleSet",
    "Manifest",
    "build_examples",
    "build_for",
    "read_examples",
    "write_examples",
]

"""Questions that a program makes: of sentences, of headings, of the terms of an index.

They are no questions that people would ask; a net that was trained on them, from exact phrases to a
few words with others in their place, reads those of people as well.
"""

from evals.training.clozes.headings import heading_question
from evals.training.clozes.index_terms import IndexTerm, read_index_terms
from evals.training.clozes.sentences import ClozeMaker
from evals.training.clozes.substitutes import Substitutes, near_words
from evals.training.clozes.words import content_words, is_prose, words

__all__ = [
    "ClozeMaker",
    "IndexTerm",
    "Substitutes",
    "content_words",
    "heading_question",
    "is_prose",
    "near_words",
    "read_index_terms",
    "words",
]

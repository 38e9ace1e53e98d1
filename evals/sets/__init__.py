"""Sets of one's own: files of questions, what users asked and rated, questions made by a model."""

"""Questions made of stored documents by a model, each checked before it is taken.

What always holds: the evidence of a question is verbatim text at its place in a stored document;
every question that was not taken is counted with its reason; what a model costs is known.
"""

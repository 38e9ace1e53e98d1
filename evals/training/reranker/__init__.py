"""The reranker's training: a cross-encoder on the packaged encoder, a pair of texts to a score.

It learns from the same examples as the evidence scorer. What is exported is a folder that
`reranker_model` takes.
"""

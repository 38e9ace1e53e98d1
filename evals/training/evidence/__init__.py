"""The evidence scorer's training: which sentences of a passage answer a question, if any does.

The net and what it reads are `rostra.answer`'s; here are its loss and its validation.
"""

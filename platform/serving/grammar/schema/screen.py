"""What the keywords beside a type do to it: refused, without effect here, or excluding types."""

from rostra.serving.grammar.schema.atoms import Atom, types_of
from rostra.serving.grammar.schema.context import Context
from rostra.serving.grammar.schema.keywords import ANNOTATIONS, REFUSED, TYPE_OF


def screen(context: Context, atom: Atom, types: frozenset[str]) -> frozenset[str]:
    """The types that a schema leaves of these; refuses what cannot be kept for them."""
    for keyword in atom.value:
        if keyword in REFUSED:
            about = TYPE_OF.get(keyword)
            if (about is None or about in types) and not _means_nothing(atom, keyword):
                context.refuse(atom, keyword, REFUSED[keyword])
        elif keyword == "nullable" and atom.value[keyword] is True:
            context.refuse(atom, keyword, "it is OpenAPI's; use a type list with null")
    return _without_excluded(context, atom, types) if "not" in atom.value else types


def _means_nothing(atom: Atom, keyword: str) -> bool:
    """Whether a refused keyword excludes nothing as it stands here."""
    value = atom.value[keyword]
    match keyword:
        case "minContains" | "maxContains":
            return "contains" not in atom.value
        case "contains":
            return atom.value.get("minContains") == 0 and "maxContains" not in atom.value
        case "if":
            then, other = atom.value.get("then", True), atom.value.get("else", True)
            return then in (True, {}) and other in (True, {})
        case "dependentSchemas" | "dependencies":
            return not value
        case "unevaluatedProperties" | "unevaluatedItems":
            return value is True or value == {}
        case _:
            return False


def _without_excluded(context: Context, atom: Atom, types: frozenset[str]) -> frozenset[str]:
    """The types that `not` leaves; anything but types is more than a grammar can exclude."""
    flat = context.flatten([atom.child("not")])
    if flat is None:
        return types
    if not flat:
        return frozenset()
    if len(flat) == 1 and set(flat[0].value) - ANNOTATIONS == {"type"}:
        gone = types_of(flat)
        if "integer" in gone and "number" not in gone and "number" in types:
            context.refuse(atom, "not", "integers cannot be taken from numbers")
        return types - gone
    context.refuse(atom, "not", "the complement of a schema is no grammar")
    return types

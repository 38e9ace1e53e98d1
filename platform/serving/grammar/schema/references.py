"""Ids, anchors and references of one schema; `flatten` follows them until only assertions are left.

What always holds: references are followed within the schema only, nothing is ever fetched; those
that only lead back to themselves are refused. `$ref` and `allOf` only add to a conjunction, so no
keyword is silently dropped beside them (drafts up to 7 aside, which ignore what stands beside a
`$ref`).
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from rostra.serving.errors import InvalidGrammar
from rostra.serving.grammar.schema.atoms import Atom
from rostra.serving.grammar.schema.keywords import ANNOTATIONS

_OLD_DRAFTS = ("draft-03", "draft-04", "draft-06", "draft-07")


class References:
    """Where the references of a schema lead.

    Attributes:
        top: the whole schema.
    """

    def __init__(self, root: Any) -> None:
        base, self._old = "", False
        if isinstance(root, dict):
            named = root.get("$schema", "")
            self._old = isinstance(named, str) and any(draft in named for draft in _OLD_DRAFTS)
            base = urldefrag(str(root.get("$id", root.get("id", ""))))[0]
        self.top = Atom(root, "", base)
        self._targets: dict[str, Atom] = {}
        self._find_targets()

    def _find_targets(self) -> None:
        """Notes the ids and anchors of the schema and where they stand."""
        stack = [self.top]
        while stack:
            atom = stack.pop()
            if isinstance(atom.value, dict):
                own = atom.value.get("$id", atom.value.get("id") if self._old else None)
                if isinstance(own, str) or atom is self.top:
                    if self._old and isinstance(own, str) and own.startswith("#"):
                        self._targets.setdefault(urljoin(atom.base, own), atom)
                    else:
                        self._targets.setdefault(atom.base, atom)
                for keyword in ("$anchor", "$dynamicAnchor"):
                    if isinstance(atom.value.get(keyword), str):
                        self._targets.setdefault(f"{atom.base}#{atom.value[keyword]}", atom)
                stack += [atom.child(key) for key in atom.value if key not in ("enum", "const")]
            elif isinstance(atom.value, list):
                stack += [atom.child(index) for index in range(len(atom.value))]

    def flatten(self, atoms: Sequence[Atom]) -> list[Atom] | None:
        """Resolves references and `allOf`; None if a part is `false`.

        Raises:
            InvalidGrammar: if a reference leads nowhere or only back to itself.
        """
        found: dict[str, Atom] = {}
        stack = list(atoms)[::-1]
        passed: set[str] = set()
        while stack:
            atom = stack.pop()
            if atom.name in passed:
                continue
            passed.add(atom.name)
            if atom.value is True or atom.value == {}:
                continue
            if atom.value is False:
                return None
            if not isinstance(atom.value, dict):
                raise InvalidGrammar(f"{atom.pointer or 'The schema'} is neither object nor bool.")
            if "$ref" in atom.value:
                target = self._resolve(atom)
                if not self._old:
                    stack.append(atom.without("$ref"))
                stack.append(target)
                continue
            if "allOf" in atom.value:
                stack.append(atom.without("allOf"))
                stack += [atom.child("allOf", i) for i in range(len(atom.value["allOf"]))][::-1]
                continue
            if any(key not in ANNOTATIONS for key in atom.value):
                found[atom.name] = atom
        if (
            not found
            and len(passed) > 1
            and all(isinstance(atom.value, dict) and "$ref" in atom.value for atom in atoms)
            and self._only_circles(atoms)
        ):
            raise InvalidGrammar("A reference in the schema only leads back to itself.")
        return list(found.values())

    def _only_circles(self, atoms: Sequence[Atom]) -> bool:
        for atom in atoms:
            seen: set[str] = set()
            at = atom
            while isinstance(at.value, dict) and set(at.value) - ANNOTATIONS == {"$ref"}:
                if at.pointer in seen:
                    return True
                seen.add(at.pointer)
                at = self._resolve(at)
        return False

    def _resolve(self, atom: Atom) -> Atom:
        reference = atom.value["$ref"]
        if not isinstance(reference, str):
            raise InvalidGrammar(f"{atom.pointer}/$ref must be a string.")
        full = urljoin(atom.base, reference)
        address, fragment = urldefrag(full)
        if full in self._targets and fragment:
            return self._targets[full]
        target = self._targets.get(address)
        if target is None:
            raise InvalidGrammar(
                f"{atom.pointer}/$ref points to {reference!r}, which is not part of the schema.",
                hint="Put it into $defs; references are never fetched.",
            )
        if not fragment:
            return target
        if not fragment.startswith("/"):
            raise InvalidGrammar(f"{atom.pointer}/$ref points to {reference!r}: no such anchor.")
        for step in fragment[1:].split("/"):
            key: str | int = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(target.value, list) and str(key).isdecimal():
                key = int(key)
            try:
                target = target.child(key)
            except (KeyError, IndexError, TypeError) as error:
                raise InvalidGrammar(
                    f"{atom.pointer}/$ref points to {reference!r}, where nothing is."
                ) from error
        return target

"""Examples as JSON lines in a folder, with a manifest that says of what they were built.

What always holds: the manifest is written last and has the sha256 of each file, so a folder that
was half built, or changed since, is refused; equal examples make equal bytes.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from evals.training.atomic import replacing, write_whole
from evals.training.errors import ExamplesMissing
from evals.training.examples.records import Example, ExampleSet
from evals.training.pages import Passage
from rostra.core import file_digest

PASSAGES, TRAIN, VALIDATION = "passages.jsonl", "train.jsonl", "validation.jsonl"
_MANIFEST = "manifest.json"
_Record = TypeVar("_Record", bound=msgspec.Struct)
_HINT = "Run `python -m evals.training build` first."


class Manifest(msgspec.Struct, frozen=True):
    """Of what examples were built.

    Attributes:
        recipe: digest of the configuration's part that decides them.
        sources: what they were made of, for people: names, counts, digests.
        counts: examples of each kind, by file.
        files: sha256 of each file, hexadecimal.
    """

    recipe: str
    sources: dict[str, Any]
    counts: dict[str, dict[str, int]]
    files: dict[str, str]

    @property
    def fingerprint(self) -> str:
        """Of the files' content."""
        return hashlib.sha256(repr(sorted(self.files.items())).encode()).hexdigest()[:32]


def write_examples(
    folder: Path, examples: ExampleSet, recipe: str, sources: dict[str, Any]
) -> Manifest:
    """Replaces a folder's examples.

    Args:
        recipe: see `Manifest`; so is `sources`.

    Raises:
        OSError: the disk is full or not writable; then the folder may count as not built.
    """
    (folder / _MANIFEST).unlink(missing_ok=True)
    files = {
        name: write_lines(folder / name, records)
        for name, records in (
            (PASSAGES, examples.passages),
            (TRAIN, examples.train),
            (VALIDATION, examples.validation),
        )
    }
    counts = {
        name: dict(sorted(Counter(one.kind for one in records).items()))
        for name, records in ((TRAIN, examples.train), (VALIDATION, examples.validation))
    }
    manifest = Manifest(recipe, sources, counts, files)
    body = msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=2)
    write_whole(folder / _MANIFEST, body + b"\n")
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Of what a folder's examples were built.

    Raises:
        ExamplesMissing: there are none, or they were not built to the end.
    """
    try:
        return msgspec.json.decode((folder / _MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError):
        raise ExamplesMissing(f"there are no whole examples in {folder}", hint=_HINT) from None


def read_examples(folder: Path, recipe: str | None = None) -> tuple[Manifest, ExampleSet]:
    """Reads what `write_examples` wrote.

    Args:
        recipe: that they have to be built by; None takes any.

    Raises:
        ExamplesMissing: they are not there, changed since, or built by another recipe.
    """
    manifest = read_manifest(folder)
    if recipe is not None and manifest.recipe != recipe:
        raise ExamplesMissing(f"the examples in {folder} are of another recipe", hint=_HINT)
    for name, digest in manifest.files.items():
        path = folder / name
        if not path.is_file() or file_digest(path) != digest:
            raise ExamplesMissing(f"{path} is not what was built", hint=_HINT)
    return manifest, ExampleSet(
        read_lines(folder / PASSAGES, Passage),
        read_lines(folder / TRAIN, Example),
        read_lines(folder / VALIDATION, Example),
    )


def write_lines(path: Path, records: Iterable[msgspec.Struct]) -> str:
    """Writes records as JSON lines, whole or not at all; returns the file's sha256."""
    encoder = msgspec.json.Encoder()
    with replacing(path) as draft, draft.open("wb") as file:
        for one in records:
            file.write(encoder.encode(one) + b"\n")
    return file_digest(path)


def read_lines(path: Path, kind: type[_Record]) -> list[_Record]:
    """Reads what `write_lines` wrote.

    Raises:
        ExamplesMissing: the file is missing, or a line is not such a record.
    """
    decoder = msgspec.json.Decoder(kind)
    try:
        return [decoder.decode(line) for line in path.read_bytes().splitlines() if line]
    except OSError as error:
        raise ExamplesMissing(f"{path}: {error.strerror}", hint=_HINT) from None
    except msgspec.MsgspecError as error:
        raise ExamplesMissing(f"{path}: {error}", hint=_HINT) from None


def texts_digest(texts: Sequence[str]) -> str:
    """sha256 of texts in their order, hexadecimal."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()

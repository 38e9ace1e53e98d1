"""Which model files ship with the package: a manifest with the size and sha256 of each.

What always holds: the manifest names only files under the folder of a known model; it is replaced
whole, so a reader sees the old one or the new one. A model's card is prose for people, may be
mended at any time, and is not in it.
"""

import os
import tempfile
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec

from rostra.core import InvalidRequest, file_digest
from rostra.shipped.errors import ShippedModelBroken

ShippedName = Literal["evidence", "rotation", "reader", "reranker"]

ROOM = Path(__file__).resolve().parent
CARD = "card.md"
# Bytes that a model may have; those that are not named share what is under None.
MOST_BYTES: dict[ShippedName | None, int] = {"reader": 80_000_000, None: 60_000_000}

_MANIFEST = "manifest.json"
_WEIGHTS = "weights"
# Neither hidden nor outside of the model's folder.
_Inside = Annotated[str, msgspec.Meta(pattern=r"^([\w-][\w.-]*/)*[\w-][\w.-]*\Z")]
_Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class SealedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file as it was sealed.

    Attributes:
        bytes: its size.
        sha256: hexadecimal.
    """

    bytes: Annotated[int, msgspec.Meta(ge=0)]
    sha256: _Digest


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ships.

    Attributes:
        models: for each model its files, by their path inside the model's folder.
    """

    models: dict[ShippedName, Annotated[dict[_Inside, SealedFile], msgspec.Meta(min_length=1)]]


def model_folder(name: ShippedName, room: Path = ROOM) -> Path:
    """Where a model's files are, whether it ships or not."""
    return room / _WEIGHTS / name


def read_manifest(room: Path = ROOM) -> Manifest:
    """The manifest of what ships.

    Raises:
        ShippedModelBroken: it is missing, or not one.
    """
    path = room / _MANIFEST
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise ShippedModelBroken.at(path, "is missing") from None
    except OSError as error:
        raise ShippedModelBroken.at(path, f"cannot be read: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise ShippedModelBroken.at(path, f"is altered: {error}") from None


def seal(name: ShippedName, room: Path = ROOM) -> Manifest:
    """Writes down a model's files as they are now; without any, that it does not ship.

    For who trains models: nothing else may call it.

    Raises:
        InvalidRequest: the model has no card, a file has a name that cannot ship, or they are
            larger than may ship.
        ShippedModelBroken: the manifest so far is damaged.
    """
    folder = model_folder(name, room)
    files = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / CARD
    }
    models = dict(read_manifest(room).models) if (room / _MANIFEST).exists() else {}
    models.pop(name, None)
    if files:
        if not (folder / CARD).is_file():
            raise InvalidRequest(f"the model {name!r} has no {CARD}", hint=f"Write {folder / CARD}")
        models[name] = {
            inside: SealedFile(path.stat().st_size, file_digest(path))
            for inside, path in files.items()
        }
    body = msgspec.json.encode(Manifest(models), order="sorted")
    try:
        manifest = msgspec.json.decode(body, type=Manifest)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"the files of the model {name!r} cannot ship: {error}") from None
    _check_sizes(manifest)
    _replace(room / _MANIFEST, msgspec.json.format(body, indent=2) + b"\n")
    return manifest


def _check_sizes(manifest: Manifest) -> None:
    totals = dict.fromkeys(MOST_BYTES, 0)
    for name in get_args(ShippedName):
        share: ShippedName | None = name if name in MOST_BYTES else None
        totals[share] += sum(file.bytes for file in manifest.models.get(name, {}).values())
    for share, total in totals.items():
        if total > MOST_BYTES[share]:
            raise InvalidRequest(
                f"{share or 'all others together'}: {total:,} bytes, "
                f"at most {MOST_BYTES[share]:,} ship"
            )


def _replace(path: Path, body: bytes) -> None:
    """Writes a file whole or not at all."""
    descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        Path(made).replace(path)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise

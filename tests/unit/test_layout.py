"""Guards of the layout: the folder named platform, rooms entered by their face, pinned versions.

Which room may import which is import-linter's part (`[tool.importlinter]` in pyproject.toml).
"""

import ast
import importlib.util
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
TOPS = ("rostra", "mcp_servers", "evals")


def python_files() -> list[Path]:
    """Ours, by their import path: `rostra/...`, never `platform/...`."""
    return sorted(path for top in TOPS for path in (ROOT / top).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module: str) -> str:
    """`rostra.store.tables` -> `rostra.store`; `evals` and `mcp_servers` are one room each."""
    return ".".join(module.split(".")[: 2 if module.startswith("rostra.") else 1])


def exported(face: str) -> set[str]:
    """What the `__all__` of a room's `__init__.py` lists."""
    path = ROOT.joinpath(*face.split("."), "__init__.py")
    if not path.is_file():
        return set()
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "__all__" for target in statement.targets
        ):
            return set(ast.literal_eval(statement.value))
    return set()


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def imported(source: str) -> Iterator[tuple[int, str]]:
    """Line and full name of each module of ours that `source` imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
            for alias in node.names:
                # A face may export a name that a module has too; then the name is meant.
                if alias.name not in exported(node.module):
                    inner = f"{node.module}.{alias.name}"
                    if inner.startswith(TOPS) and is_module(inner):
                        yield node.lineno, inner


def reaches_past(module: str, source: str) -> list[str]:
    """The imports in `source` that go past another room's face."""
    return [
        f"{module}, line {line}: {name} (import it from {room(name)})"
        for line, name in imported(source)
        if name.split(".")[0] in TOPS and room(name) not in (room(module), name)
    ]


def test_platform_is_the_standard_librarys() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists(), "torch imports the library's platform"
    found = importlib.util.find_spec("platform")
    assert found is not None
    assert found.origin is not None
    assert Path(found.origin).is_relative_to(sysconfig.get_path("stdlib"))


def test_rostra_is_a_relative_link_to_platform() -> None:
    assert (ROOT / "rostra").is_symlink()
    assert (ROOT / "rostra").readlink() == Path("platform")


def test_every_room_has_a_face_and_a_place_in_the_import_order() -> None:
    rooms = {room(module_name(path)) for path in python_files()}
    assert "rostra.core" in rooms
    faceless = [
        name for name in rooms if not (ROOT / name.replace(".", "/") / "__init__.py").is_file()
    ]
    assert not faceless, "each room exports its face from __init__.py"
    contracts = pyproject()["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    ordered = {name.strip(" ()") for layer in layers for name in layer.split("|")}
    assert rooms <= ordered, "import-linter does not watch a room that no layer names"


def test_rooms_are_entered_by_their_face() -> None:
    found = [
        line
        for path in python_files()
        for line in reaches_past(module_name(path), path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("source", "past"),
    [
        ("from rostra.core import Settings", False),
        ("import rostra.core", False),
        ("import rostra.store.anything", False),
        ("import torch.nn", False),
        ("from rostra.core.settings import Settings", True),
        ("import rostra.core.settings", True),
        ("def later():\n    import rostra.core.settings as s", True),
        ("from rostra.core import settings", True),
    ],
)
def test_the_guard_tells_faces_from_inner_modules(source: str, past: bool) -> None:
    assert bool(reaches_past("rostra.store.tables", source)) is past


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    split = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in split}


def test_constraints_are_exact_versions_that_any_index_has() -> None:
    assert pins()
    assert not [name for name, version in pins().items() if set(version) & set("+@/ *,;")]


def test_constraints_pin_a_version_of_every_requirement_that_it_allows() -> None:
    project = pyproject()
    wanted = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *(line for extra in project["project"]["optional-dependencies"].values() for line in extra),
        *project["dependency-groups"]["dev"],
        *project["dependency-groups"]["dev-cpu"],
    ]
    for requirement in map(Requirement, wanted):
        pinned = pins().get(canonicalize_name(requirement.name))
        assert pinned is not None, f"{requirement.name} is not pinned: run `make lock`"
        assert requirement.specifier.contains(pinned), f"{requirement} against {pinned}"

"""A training's configuration: one TOML file with what holds always and what a recipe changes.

    seed = 7
    [build]
    clozes = 60000
    [train]
    learning_rate = 1e-4
    [cpu.train]         # what the recipe `cpu` says instead
    minutes = 90

What always holds: an unknown key is an error that names it; a recipe only overrides.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from evals.training.errors import RecipeInvalid

RECIPES = ("cpu", "gpu")
_Section = TypeVar("_Section")


@dataclass(frozen=True, slots=True)
class Config:
    """See this module. Made by `read_config`.

    Attributes:
        recipe: one of `RECIPES`.
        seed: of everything that is drawn.
        sections: the tables, the recipe's values over the common ones.
    """

    recipe: str
    seed: int
    sections: Mapping[str, Mapping[str, Any]]

    def section(self, name: str, kind: type[_Section]) -> _Section:
        """A table as a struct; an absent one is empty.

        Raises:
            RecipeInvalid: a key is unknown, is missing or has a wrong value.
        """
        try:
            return msgspec.convert(self.sections.get(name, {}), kind)
        except msgspec.ValidationError as error:
            raise RecipeInvalid(f"recipe {self.recipe}, table {name}: {error}") from None

    def digest(self, *names: str) -> str:
        """Of the seed and of these tables, hexadecimal."""
        told = {"seed": self.seed} | {name: self.sections.get(name, {}) for name in names}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]


def read_config(path: Path, recipe: str) -> Config:
    """Reads a configuration.

    Raises:
        RecipeInvalid: it cannot be read, or there is no such recipe.
    """
    if recipe not in RECIPES:
        raise RecipeInvalid(f"there is no recipe {recipe!r}", hint=f"Name one of {RECIPES}.")
    try:
        read = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeInvalid(f"{path}: {error}") from None
    seed = read.pop("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise RecipeInvalid(f"{path}: `seed` is no whole number")
    own = read.pop(recipe, {})
    for other in RECIPES:
        read.pop(other, None)
    if not all(isinstance(table, dict) for tables in (read, own) for table in tables.values()):
        raise RecipeInvalid(f"{path}: beside `seed` there are only tables")
    names = dict.fromkeys([*read, *own])
    return Config(recipe, seed, {name: read.get(name, {}) | own.get(name, {}) for name in names})

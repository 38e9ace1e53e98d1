"""Configurations, and the models that have one."""

from pathlib import Path

import msgspec
import pytest

from evals.training.config import RECIPES, read_config
from evals.training.errors import ModelNotTrainable, RecipeInvalid
from evals.training.loop import Plan
from evals.training.registry import trainable_model, trainable_models


class Table(msgspec.Struct, forbid_unknown_fields=True):
    one: int = 1
    two: int = 2


TEXT = """
seed = 5
[table]
one = 10
two = 20
[gpu.table]
two = 200
[gpu.other]
any = 1
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return path


def test_a_recipe_overrides_and_the_other_is_not_seen(tmp_path: Path) -> None:
    path = written(tmp_path, TEXT)
    cpu, gpu = (read_config(path, recipe) for recipe in RECIPES)
    assert cpu.seed == gpu.seed == 5
    assert cpu.section("table", Table) == Table(10, 20)
    assert gpu.section("table", Table) == Table(10, 200)
    assert cpu.section("absent", Table) == Table()
    assert "other" in gpu.sections
    assert "other" not in cpu.sections


def test_a_digest_hangs_on_the_tables_that_it_is_of(tmp_path: Path) -> None:
    path = written(tmp_path, TEXT)
    cpu, gpu = (read_config(path, recipe) for recipe in RECIPES)
    assert cpu.digest("table") != gpu.digest("table")
    assert cpu.digest("absent") == gpu.digest("absent")
    reseeded = read_config(written(tmp_path, TEXT.replace("5", "6", 1)), "cpu")
    assert reseeded.digest("table") != cpu.digest("table")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[table]\nthree = 1", "three"),
        ("[table]\none = 'x'", "one"),
        ("[cpu.table]\none = []", "one"),
        ("seed = 'x'", "seed"),
        ("depth = 3", "only tables"),
        ("[table", "config.toml"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(RecipeInvalid, match=why):
        read_config(written(tmp_path, text), "cpu").section("table", Table)


def test_a_recipe_or_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeInvalid, match="tpu"):
        read_config(written(tmp_path, ""), "tpu")
    with pytest.raises(RecipeInvalid, match=r"none\.toml"):
        read_config(tmp_path / "none.toml", "cpu")


@pytest.mark.parametrize("name", ["evidence", "reranker"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_packaged_configurations_are_the_same_on_every_machine(name: str, recipe: str) -> None:
    plan = read_config(trainable_model(name).config, recipe).section("train", Plan)
    assert plan.steps is not None
    assert plan.minutes is None


def test_a_model_that_is_not_there() -> None:
    assert {"evidence", "reranker"} <= set(trainable_models())
    with pytest.raises(ModelNotTrainable, match="poet"):
        trainable_model("poet")

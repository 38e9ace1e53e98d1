"""The loop: what a killed training goes on with, what a checkpoint is refused for."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from msgspec import structs
from torch import nn

from evals.training.errors import (
    CheckpointBroken,
    CheckpointOfAnother,
    TrainingDiverged,
    TrainingNotDone,
)
from evals.training.loop import Plan, load_trained, train
from evals.training.loop.training import CHECKPOINT, PROGRESS
from tests.training_parts import PLAN, Line

ROOT = Path(__file__).parents[4]


class Clock:
    """Ten seconds pass between any two looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 10
        return self.now


def quiet(line: str) -> None:
    del line


def run(
    folder: Path,
    trainee: Line,
    plan: Plan = PLAN,
    *,
    fingerprint: str = "a",
    minutes: float | None = None,
    clock: Callable[[], float] | None = None,
):
    return train(
        trainee,
        plan,
        folder,
        fingerprint,
        device="cpu",
        minutes=minutes,
        tell=quiet,
        clock=clock or Clock(),
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / CHECKPOINT, weights_only=True)["weights"]


def same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_it_learns_and_leaves_alone_what_is_frozen(tmp_path: Path) -> None:
    trainee = Line()
    before = trainee.net[0].weight.clone()
    error = trainee.net.eval() and trainee.validate()["error"]
    piece = run(tmp_path, trainee)
    assert piece.is_done
    assert piece.step == 30
    assert piece.scores["error"] < error / 2
    assert torch.equal(trainee.net[0].weight, before)
    assert set(weights(tmp_path)) == {"3.weight", "3.bias"}


@pytest.mark.parametrize("killed_at", [1, 7, 10, 29])
def test_a_killed_training_goes_on_as_if_nothing_had_been(tmp_path: Path, killed_at: int) -> None:
    run(tmp_path / "whole", Line())
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", Line(fails_at=killed_at))
    assert run(tmp_path / "killed", Line()).step == 30
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "killed"))


@pytest.mark.parametrize("dies_at", [2, 13])
def test_kill_9_loses_nothing_that_counts(tmp_path: Path, dies_at: int) -> None:
    run(tmp_path / "whole", Line())
    script = (
        "from pathlib import Path\n"
        "from evals.training.loop import train\n"
        "from tests.training_parts import PLAN, Line\n"
        f"folder = Path({str(tmp_path / 'killed')!r})\n"
        f"train(Line(dies_at={dies_at}), PLAN, folder, 'a', device='cpu')\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    piece = run(tmp_path / "killed", Line())
    assert piece.step == 30
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "killed"))


def test_pieces_are_one_training(tmp_path: Path) -> None:
    run(tmp_path / "whole", Line())
    pieces = [run(tmp_path / "pieces", Line(), minutes=2)]
    while not pieces[-1].is_done:
        pieces.append(run(tmp_path / "pieces", Line(), minutes=2))
    assert len(pieces) > 2
    assert [piece.step for piece in pieces] == sorted({piece.step for piece in pieces})
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "pieces"))
    steps = [json.loads(line)["step"] for line in (tmp_path / "pieces" / PROGRESS).open()]
    assert steps == sorted(steps)
    assert steps[-1] == 30


def test_a_finished_training_takes_no_more_steps(tmp_path: Path) -> None:
    run(tmp_path, Line())
    before = weights(tmp_path)
    assert run(tmp_path, Line()).step == 30
    assert same(before, weights(tmp_path))


def test_minutes_end_a_training_and_progress_rises_with_them(tmp_path: Path) -> None:
    plan = Plan(learning_rate=0.01, minutes=10, precision="float32")
    trainee = Line()
    piece = run(tmp_path, trainee, plan)
    assert piece.is_done
    assert 1 < piece.step < 60
    assert trainee.progress == sorted(trainee.progress)
    assert trainee.progress[0] == 0


def test_lines_of_steps_that_a_kill_undid_are_dropped(tmp_path: Path) -> None:
    run(tmp_path, Line(), minutes=2)
    log = tmp_path / PROGRESS
    done = torch.load(tmp_path / CHECKPOINT, weights_only=True)["step"]
    with log.open("a") as file:
        file.write(json.dumps({"step": done + 5, "loss": 1.0}) + '\n{"step": 3')
    run(tmp_path, Line())
    steps = [json.loads(line)["step"] for line in log.open()]
    assert steps == sorted(steps)
    assert len(steps) == len(set(steps)) + 3  # three steps have a validation as well


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    run(tmp_path, Line())
    with pytest.raises(CheckpointOfAnother):
        run(tmp_path, Line(), fingerprint="b")


def test_a_broken_checkpoint_is_refused(tmp_path: Path) -> None:
    run(tmp_path, Line())
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CheckpointBroken):
        run(tmp_path, Line())


def test_a_draft_that_a_kill_left_is_no_checkpoint(tmp_path: Path) -> None:
    run(tmp_path, Line(), minutes=1)
    before = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / f".{CHECKPOINT}.draft").write_bytes(before[:100])
    assert run(tmp_path, Line()).is_done


def test_a_loss_that_is_no_number_stops_before_the_weights_are_spoilt(tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged, match="step 12"):
        run(tmp_path, Line(spoils_at=12))
    assert all(torch.isfinite(one).all() for one in weights(tmp_path).values())


def test_trained_weights_are_those_of_the_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(TrainingNotDone):
        load_trained(Line().net, tmp_path)
    trained = Line()
    run(tmp_path, trained)
    fresh = Line()
    assert load_trained(fresh.net, tmp_path).step == 30
    assert torch.equal(fresh.net[3].weight, trained.net[3].weight)
    with pytest.raises(CheckpointBroken, match="another net"):
        load_trained(nn.Linear(2, 2), tmp_path)


def test_a_share_of_the_rate_keeps_weights_nearer_to_what_they_were(tmp_path: Path) -> None:
    moved = {}
    for share in (1.0, 0.1):
        trainee = Line()
        before = trainee.net[3].weight.detach().clone()
        run(tmp_path / str(share), trainee, structs.replace(PLAN, steps=1, slower={"3.": share}))
        moved[share] = float((trainee.net[3].weight.detach() - before).abs().mean())
    assert moved[0.1] == pytest.approx(moved[1.0] / 10, rel=0.05)


def test_the_longest_beginning_of_a_name_decides_its_share() -> None:
    plan = structs.replace(PLAN, slower={"layers.": 0.5, "layers.1.": 0.1})
    assert [plan.share(name) for name in ("layers.0.w", "layers.1.w", "head")] == [0.5, 0.1, 1.0]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"learning_rate": 0.1}, "minutes"),
        ({"learning_rate": 0, "steps": 1}, "learning_rate"),
        ({"learning_rate": 0.1, "steps": 1, "slower": {"a": 0.0}}, "slower"),
    ],
)
def test_a_plan_that_cannot_work_is_refused(given: dict[str, float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Plan(**given)

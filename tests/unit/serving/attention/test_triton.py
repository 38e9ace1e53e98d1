"""The Triton kernels in Triton's interpreter, in a process of their own, and compiled for a GPU.

Triton reads TRITON_INTERPRET when it is imported, and other tests import it as it is.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

CHECKS = Path(__file__).parent / "interpreted"


def run_checks(*, interpret: bool) -> None:
    files = [str(path) for path in sorted(CHECKS.glob("check_*.py"))]
    # no conftest above: a database is not needed, and takes seconds to load
    options = ["-q", "-p", "no:cacheprovider", f"--confcutdir={CHECKS}"]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files],
        env=os.environ | {"TRITON_INTERPRET": "1" if interpret else "0", "OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_interpreted() -> None:
    pytest.importorskip("triton")
    run_checks(interpret=True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_a_gpu() -> None:
    run_checks(interpret=False)

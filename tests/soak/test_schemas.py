"""The ratchet over the real collections of schemas: no case may get worse than it was."""

import json
import os
from pathlib import Path

import pytest

from evals.schemas import evaluate_schemas, worse

ROOT = Path(__file__).parents[2]
RATCHET = ROOT / "tests" / "data" / "schemas_ratchet.json"
COLLECTIONS = Path(os.environ.get("ROSTRA_SCHEMAS", ROOT.parent / "shared" / "data" / "schemas"))


@pytest.mark.timeout(1800)
@pytest.mark.skipif(not COLLECTIONS.is_dir(), reason="MaskBench and the test suite are not here")
def test_no_case_of_the_collections_got_worse() -> None:
    before = json.loads(RATCHET.read_text(encoding="utf-8"))
    report = evaluate_schemas(COLLECTIONS)
    assert sorted(worse(before, report.outcomes)) == []

"""Plans: made up from a seed, or read from a file whose faults are told by line."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.load import plan as plan_module
from evals.load import recorded
from evals.load.errors import InvalidTraffic
from evals.load.lengths import read_lengths
from evals.load.plan import PlannedRequest, TokenRuler
from evals.load.recorded import read_traffic
from evals.load.synthetic import SyntheticTraffic


def synthetic(**changed: Any) -> SyntheticTraffic:
    given_: dict[str, Any] = {
        "seconds": 10.0,
        "prompt_tokens": read_lengths("uniform:40:60"),
        "output_tokens": read_lengths("uniform:5:9"),
    }
    return SyntheticTraffic(**(given_ | changed))


def text(request: PlannedRequest) -> str:
    return str(request.messages[0]["content"])


def write(folder: Path, *lines: object) -> Path:
    path = folder / "traffic.jsonl"
    told = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("\n".join(told))
    return path


def test_equal_seeds_give_equal_plans_and_turns_new_prompts() -> None:
    ruler = TokenRuler()
    first = synthetic(seed=4).plan(5.0, 0, ruler)
    assert first == synthetic(seed=4).plan(5.0, 0, ruler)
    assert len(first) > 20
    others = [*synthetic(seed=5).plan(5.0, 0, ruler), *synthetic(seed=4).plan(5.0, 1, ruler)]
    assert not {text(r) for r in first} & {text(r) for r in others}


def test_lengths_are_those_that_were_asked_for() -> None:
    plan = synthetic().plan(5.0, 0, TokenRuler())
    assert {len(text(request).split()) for request in plan} <= set(range(40, 61))
    assert {request.max_tokens for request in plan} == set(range(5, 10))


def test_the_ruler_turns_tokens_into_words() -> None:
    ruler = TokenRuler(per_word=2.0, overhead=10.0, measured=True)
    assert ruler.words(50) == 20
    assert ruler.words(3) == 1
    assert {len(text(r).split()) for r in synthetic().plan(5.0, 0, ruler)} <= set(range(15, 26))


def test_prompts_of_a_session_begin_alike_and_differ_after() -> None:
    plan = synthetic(sessions=3, shared_tokens=30).plan(10.0, 0, TokenRuler())
    assert {request.session for request in plan} == {"0", "1", "2"}
    begins = {
        session: {" ".join(text(r).split()[:30]) for r in plan if r.session == session}
        for session in ("0", "1", "2")
    }
    assert all(len(found) == 1 for found in begins.values())
    assert len(set.union(*begins.values())) == 3
    assert len({text(request) for request in plan}) == len(plan)


def test_what_is_shared_may_be_longer_than_the_prompt() -> None:
    plan = synthetic(sessions=1, shared_tokens=100).plan(5.0, 0, TokenRuler())
    assert {len(text(request).split()) for request in plan} == {101}


def test_shared_prefixes_need_sessions() -> None:
    with pytest.raises(InvalidTraffic, match="sessions"):
        synthetic(shared_tokens=10)


def test_made_up_traffic_needs_a_rate() -> None:
    with pytest.raises(InvalidTraffic, match="rate"):
        synthetic().plan(None, 0, TokenRuler())


def test_a_recording_is_played_as_it_was(tmp_path: Path) -> None:
    said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    path = write(
        tmp_path,
        {"offset_s": 10, "prompt": "one", "max_tokens": 3, "session": "a", "status": 200},
        "",
        {"offset_s": 10.5, "messages": said, "max_tokens": 4},
        {"offset_s": 12, "prompt_tokens": 6, "max_tokens": 5, "session": 7},
    )
    traffic = read_traffic(path)
    first, second, third = traffic.plan(None, 0, TokenRuler())
    assert [first.at, second.at, third.at] == [0, 0.5, 2]
    assert first == PlannedRequest(0, ({"role": "user", "content": "one"},), 3, "a")
    assert second.messages == tuple(said)
    assert len(text(third).split()) == 6
    assert third.session == "7"
    assert traffic.needs_ruler
    assert traffic.notes


def test_a_rate_stretches_a_recording(tmp_path: Path) -> None:
    lines = [{"offset_s": at, "prompt": "x", "max_tokens": 1} for at in (0, 1, 1, 4)]
    traffic = read_traffic(write(tmp_path, *lines))
    assert traffic.mean_rate() == 0.75
    assert [r.at for r in traffic.plan(1.5, 0, TokenRuler())] == [0, 0.5, 0.5, 2]


def test_a_recording_of_one_moment_has_no_rate_to_change(tmp_path: Path) -> None:
    traffic = read_traffic(write(tmp_path, *[{"offset_s": 3, "prompt": "x", "max_tokens": 1}] * 2))
    assert [request.at for request in traffic.plan(None, 0, TokenRuler())] == [0, 0]
    with pytest.raises(InvalidTraffic, match="at once"):
        traffic.plan(2.0, 0, TokenRuler())


def test_made_up_words_of_a_recording_are_new_at_every_rate(tmp_path: Path) -> None:
    lines = [
        {"offset_s": 0, "prompt_tokens": 20, "max_tokens": 1},
        {"offset_s": 1, "prompt_tokens": 20, "max_tokens": 1, "session": "s"},
        {"offset_s": 2, "prompt_tokens": 30, "max_tokens": 1, "session": "s"},
    ]
    traffic = read_traffic(write(tmp_path, *lines))
    one, two = (traffic.plan(None, turn, TokenRuler()) for turn in (0, 1))
    assert not {text(r) for r in one} & {text(r) for r in two}
    assert text(one[2]).startswith(text(one[1])), "a conversation grows"
    assert not traffic.notes


GOOD = {"offset_s": 1, "prompt": "x", "max_tokens": 1}


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({"prompt": "x", "max_tokens": 1}, "offset_s"),
        ({"offset_s": 2, "prompt": "x"}, "max_tokens"),
        ({"offset_s": 2, "max_tokens": 1}, "has none"),
        ({"offset_s": 2, "prompt": "x", "prompt_tokens": 3, "max_tokens": 1}, "prompt and prompt"),
        ({"offset_s": -0.5, "prompt": "x", "max_tokens": 1}, "offset_s"),
        ({"offset_s": 0.5, "prompt": "x", "max_tokens": 1}, "sort"),
        ({"offset_s": "2", "prompt": "x", "max_tokens": 1}, "offset_s"),
        ({"offset_s": True, "prompt": "x", "max_tokens": 1}, "offset_s"),
        ({"offset_s": 2, "prompt": "", "max_tokens": 1}, "prompt"),
        ({"offset_s": 2, "messages": [], "max_tokens": 1}, "messages"),
        ({"offset_s": 2, "messages": [{"content": "x"}], "max_tokens": 1}, "role"),
        ({"offset_s": 2, "messages": ["x"], "max_tokens": 1}, "messages"),
        ({"offset_s": 2, "prompt_tokens": 0, "max_tokens": 1}, "prompt_tokens"),
        ({"offset_s": 2, "prompt": "x", "max_tokens": 0}, "max_tokens"),
        ({"offset_s": 2, "prompt": "x", "max_tokens": 10**9}, "max_tokens"),
        ('{"offset_s": NaN, "prompt": "x", "max_tokens": 1}', ""),
        ('{"offset_s": 1e999, "prompt": "x", "max_tokens": 1}', ""),
        ('{"offset_s": 2, "prompt": "x", ', ""),
        ("[" * 100_000, ""),
        ('["list"]', ""),
        ("hello", ""),
    ],
)
def test_a_bad_line_is_told_by_its_number(tmp_path: Path, bad: object, why: str) -> None:
    with pytest.raises(InvalidTraffic, match=f"line 4: .*{why}") as caught:
        read_traffic(write(tmp_path, GOOD, "   ", GOOD, bad, GOOD))
    assert caught.value.details == {"line": 4}
    assert caught.value.code == "invalid_traffic"


def test_bytes_that_are_no_text_are_told_by_their_line(tmp_path: Path) -> None:
    path = tmp_path / "traffic.jsonl"
    path.write_bytes(b'{"offset_s": 0, "prompt": "\xff\xfe", "max_tokens": 1}\n')
    with pytest.raises(InvalidTraffic, match="line 1: "):
        read_traffic(path)


@pytest.mark.parametrize("content", ["", "\n\n  \n"])
def test_a_file_without_requests_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "traffic.jsonl"
    path.write_text(content)
    with pytest.raises(InvalidTraffic, match="no requests"):
        read_traffic(path)


def test_a_file_that_is_not_there_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(InvalidTraffic, match=str(path)):
            read_traffic(path)


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, GOOD, GOOD, GOOD)
    with monkeypatch.context() as patch:
        patch.setattr(recorded, "MAX_LINE_BYTES", 20)
        with pytest.raises(InvalidTraffic, match="line 1: longer"):
            read_traffic(path)
    with monkeypatch.context() as patch:
        patch.setattr(recorded, "MAX_FILE_BYTES", 60)
        with pytest.raises(InvalidTraffic, match="line 2: the file"):
            read_traffic(path)
    with monkeypatch.context() as patch:
        patch.setattr(recorded, "MAX_REQUESTS", 2)
        with pytest.raises(InvalidTraffic, match="line 3: more than 2"):
            read_traffic(path)
    monkeypatch.setattr(plan_module, "MAX_CHARS", 2)
    with pytest.raises(InvalidTraffic, match="characters"):
        read_traffic(path).plan(None, 0, TokenRuler())
    monkeypatch.setattr(plan_module, "MAX_CHARS", 10**6)
    monkeypatch.setattr(plan_module, "MAX_REQUESTS", 2)
    with pytest.raises(InvalidTraffic, match="more than 2"):
        synthetic().plan(5.0, 0, TokenRuler())


@given(st.integers(0, 2**32), st.integers(1, 300))
def test_random_text_has_so_many_words(seed: int, words: int) -> None:
    made = plan_module.text_of(words, Random(seed))
    assert len(made.split()) == words
    assert made == plan_module.text_of(words, Random(seed))

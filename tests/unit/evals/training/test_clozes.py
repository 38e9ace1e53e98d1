"""Questions that a program makes of sentences, headings and an index."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.training.clozes import (
    ClozeMaker,
    IndexTerm,
    Substitutes,
    content_words,
    heading_question,
    is_prose,
    near_words,
    read_index_terms,
    words,
)
from evals.training.holdout import is_held_out, is_held_out_text, page_name
from rostra.answer import scorer_encoder

SENTENCES = (
    "The server writes a checkpoint to disk every five minutes by default.",
    "An aggregate function is a function that reads several input rows of a table.",
    "The library was first released in 1996 by a small group of people.",
    "Indexes are not used here because the planner expects few matching rows.",
    "The command can be used to remove old files from the archive directory.",
)


def same(word: str, rng: random.Random) -> str:
    return word


def shout(word: str, rng: random.Random) -> str:
    return f"near{word}"


def questions(substitute=same, hardness: float = 0.0, **given) -> list[str]:
    maker = ClozeMaker({}, 100, substitute)
    made = [
        maker.make(sentence, "Server > Writing", random.Random(seed), hardness, **given)
        for seed in range(60)
        for sentence in SENTENCES
    ]
    return [one for one in made if one is not None]


def test_words_of_a_question_are_of_its_sentence_or_its_heading() -> None:
    maker = ClozeMaker({}, 100, same)
    frames = set(words("what is how does are when why to which happens with explain where who can"))
    frames |= set(words("many much number of the mean define does"))
    for seed in range(200):
        for sentence in SENTENCES:
            made = maker.make(sentence, "", random.Random(seed), 0.5)
            if made is not None:
                said = {word.strip(".") for word in words(sentence.lower())}
                asked = {word.strip(".") for word in words(made.rstrip("?"))}
                assert asked - said <= frames, made


def test_a_year_is_asked_for_and_not_told() -> None:
    asked = [one for one in questions() if one.startswith("when ") and "library" in one]
    assert asked
    maker = ClozeMaker({}, 100, same)
    made = [maker.make(SENTENCES[2], "", random.Random(seed), 1, exact=False) for seed in range(99)]
    assert any(one is not None and "1996" not in one for one in made)
    assert not [one for one in made if one and one.startswith(("how many", "how much"))]


def test_frames_fit_reasons_and_definitions() -> None:
    made = questions()
    assert any(one.startswith("why ") for one in made)
    assert any(one in ("what is aggregate function", "define aggregate function") for one in made)


def test_hard_questions_are_shorter_and_have_other_words() -> None:
    easy, hard = questions(shout, 0.0), questions(shout, 1.0)
    mean = [sum(len(words(one)) for one in made) / len(made) for made in (easy, hard)]
    assert mean[1] < mean[0]
    near = [sum("near" in one for one in made) / len(made) for made in (easy, hard)]
    assert near[1] > near[0] > 0


def test_phrases_can_be_left_out() -> None:
    lower = [sentence.lower() for sentence in SENTENCES]

    def phrases(made: list[str]) -> int:
        return sum(len(words(one)) > 3 and any(one in said for said in lower) for one in made)

    assert phrases(questions(exact=True)) > 5 * max(1, phrases(questions(exact=False)))


@given(st.text(max_size=80), st.text(max_size=30), st.integers(), st.floats(0, 1))
def test_any_text_gives_a_question_or_none_and_the_same_one_again(
    text: str, context: str, seed: int, hardness: float
) -> None:
    maker = ClozeMaker({}, 10, same)
    made = [maker.make(text, context, random.Random(seed), hardness) for _ in range(2)]
    assert made[0] == made[1]
    assert made[0] is None or made[0].strip()


def test_prose_is_told_from_code_and_titles() -> None:
    assert all(is_prose(sentence) for sentence in SENTENCES)
    assert not is_prose("CREATE TABLE films (code char(5), title varchar(40));")
    assert not is_prose("Chapter of contents")
    assert content_words("It is to be or not.") == []


@pytest.mark.parametrize(
    ("context", "parts"),
    [
        ("19.4. Resource Consumption > 19.4.1. Memory", {"memory"}),
        ("re — Regular expressions — Python 3.11.2 documentation > Match Objects", {"match"}),
        ("VACUUM > Description", {"vacuum", "description"}),
    ],
)
def test_a_heading_is_asked_without_its_number(context: str, parts: set[str]) -> None:
    for seed in range(20):
        made = heading_question(context, random.Random(seed))
        assert made is not None
        assert parts <= set(words(made))
        assert "19.4" not in made
        assert "documentation" not in made


@pytest.mark.parametrize("context", ["", " > ", "Notes", "a | b | c", "of the"])
def test_a_heading_that_says_nothing_is_no_question(context: str) -> None:
    assert heading_question(context, random.Random(1)) is None


BOOK = """<dl><dt>abbrev, <a class="indexterm" href="net.html#X">Network</a></dt>
<dt>archive, <a href="wal.html">WAL</a>, <a href="backup.html">Backup</a></dt>
<dt>autovacuum</dt><dd><dl><dt>settings, <a href="auto.html">Automatic</a></dt></dl></dd></dl>"""
SPHINX = """<table><tr><td><ul><li><a href="library/re.html#re.compile">compile() (in module re)</a>
<ul><li><a href="library/sock.html#a">(socket.socket method)</a></li></ul></li>
<li><a href="#top">top</a></li></ul></td></tr></table>"""


def test_terms_of_an_index_point_to_one_page(tmp_path: Path) -> None:
    for package, name, text in (("pg", "bookindex", BOOK), ("py", "genindex-all", SPHINX)):
        folder = tmp_path / "doc" / package / "html"
        folder.mkdir(parents=True)
        (folder / f"{name}.html").write_text(text)
    (tmp_path / "empty").mkdir()
    docs = [tmp_path / "doc/pg/html", tmp_path / "doc/py/html", tmp_path / "empty"]
    assert read_index_terms(docs) == [
        IndexTerm("abbrev", "pg/html/net.html"),
        IndexTerm("compile re", "py/html/library/re.html"),
        IndexTerm("settings autovacuum", "pg/html/auto.html"),
        IndexTerm("socket.socket compile", "py/html/library/sock.html"),
    ]


def test_words_that_are_near_stand_in_for_each_other() -> None:
    substitute = near_words(scorer_encoder())
    found = {substitute("database", random.Random(seed)) for seed in range(30)}
    assert "databases" in found
    assert all(one.isalpha() and len(one) > 3 for one in found)
    assert substitute("qwertyuiopx", random.Random(0)) == "qwertyuiopx"
    assert Substitutes({"a": ["b"]})("A", random.Random(0)) == "b"


def test_a_page_is_held_out_wherever_it_lies() -> None:
    uris = [f"file:///usr/share/doc/pg/html/{number}.html" for number in range(2000)]
    held = [uri for uri in uris if is_held_out(uri)]
    assert 140 < len(held) < 260
    assert all(is_held_out(page_name(uri)) for uri in held)
    assert all(is_held_out(uri.replace("/usr/share", "/srv/x")) for uri in held)
    assert 140 < sum(is_held_out_text(uri) for uri in uris) < 260

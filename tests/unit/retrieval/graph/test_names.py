"""Names in texts: which are found, by what they go, and how many at most."""

from hypothesis import given, settings
from hypothesis import strategies as st

from rostra.retrieval import Name, NameKind, NameReader, heading_parts

READER = NameReader()


def kinds(text: str, *headings: str) -> dict[str, NameKind]:
    return {one.name: one.kind for one in READER.names(text, headings)}


def test_identifiers_commands_and_options_are_names() -> None:
    found = kinds("Call os.path.join() or use max_workers, --dry-run, camelCase and CREATE INDEX.")
    wanted = ("os.path.join", "join", "max_workers", "--dry-run", "camelCase", "CREATE INDEX")
    assert {name: found[name] for name in wanted} == dict.fromkeys(wanted, NameKind.CODE)


def test_runs_of_capitals_and_of_content_words_are_names() -> None:
    found = kinds("we met Ada Lovelace in the reading room of the small library")
    assert found["Ada Lovelace"] is NameKind.NAME
    assert found["reading room"] is NameKind.TERM
    assert found["small library"] is NameKind.TERM
    assert not any("met Ada" in name and kind > NameKind.TERM for name, kind in found.items())


def test_a_title_gives_its_parts_without_numbering() -> None:
    assert heading_parts("70.5. GIN Tips and Tricks") == ["GIN Tips and Tricks"]
    assert heading_parts("shelve — Python object persistence") == [
        "shelve",
        "Python object persistence",
    ]
    assert heading_parts(" \t") == []
    assert kinds("nothing here", "shelve — Python object persistence")["shelve"] is NameKind.HEADING


def test_a_short_line_above_a_longer_one_is_a_heading() -> None:
    text = "autovacuum_naptime (integer)\n" + "The least delay between runs of it. " * 3
    assert kinds(text)["autovacuum_naptime"] is NameKind.HEADING
    assert NameKind.HEADING not in kinds("One short line.\nAnd another.").values()


def test_what_is_written_differently_goes_by_one_key() -> None:
    keys = {READER.key(w) for w in ("gin_pending_list_limit", "GIN pending list limits")}
    assert keys == {"gin pend list limit"}
    assert READER.key("of the") == READER.key("12 34") == READER.key("a b c d e f g h i j") == ""


def test_a_question_gives_its_runs_the_longest_first() -> None:
    keys = READER.query_keys("How large is the pending list of a GIN index?")
    assert "pend list" in keys
    assert "gin index" in keys
    assert keys.index("pend list gin index") < keys.index("pend list") < keys.index("pend")


def test_plain_words_are_kept_as_words() -> None:
    found = {one.key: one for one in READER.names("The glob is here.")}
    assert found["glob"] == Name("glob", "glob", NameKind.WORD)


@settings(max_examples=60)
@given(st.text(max_size=400), st.lists(st.text(max_size=40), max_size=3))
def test_any_text_has_bounded_names_once_each(text: str, headings: list[str]) -> None:
    found = READER.names(text, headings)
    assert len({one.key for one in found}) == len(found) <= 400
    assert all(one.key and one.name and len(one.key) <= 160 for one in found)
    assert found == READER.names(text, headings)
    assert len(READER.query_keys(text)) <= 400

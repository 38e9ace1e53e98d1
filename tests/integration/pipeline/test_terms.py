"""How texts become terms and how these are scored, as the settings say."""

import pytest
from rank_bm25 import BM25L, BM25Okapi, BM25Plus

from rostra.core import ConfigError
from rostra.retrieval import Indexes, SearchMode, SearchRequest
from tests.integration.pipeline.conftest import Library

JAPANESE = "東京都は日本の首都です。"
CHINESE = "人工智能正在改变世界。"
GERMAN = "Die Häuser am Ufer gehörten zwei Kapitänen."
CODE = "def createHttpServer(max_retries): return HTTPServer()"
TEXTS = ["the cat sat", "a dog and a cat and a cat", "birds sing", "dogs bark at a cat loudly"]


async def found(library: Library, indexes: Indexes, query: str) -> list[str]:
    request = SearchRequest(query, mode=SearchMode.LEXICAL, k=10)
    return [hit.uri for hit in (await library.searcher(indexes).search(request)).hits]


@pytest.mark.parametrize(
    ("analyzer", "query", "finds"),
    [
        ("english", "首都", ["ja"]),
        ("english", "東京", ["ja"]),
        ("english", "人工智能", ["zh"]),
        ("english", "京東", []),
        ("cjk", "首都", ["ja"]),
        ("english", "haus", []),
        ("german", "haus", ["de"]),
        ("german", "Kapitän", ["de"]),
        ("english", "http", []),
        ("code", "http server", ["py"]),
        ("unicode", "gehörten", ["de"]),
        ("unicode", "gehört", []),
    ],
)
async def test_words_are_found_as_the_analyzer_of_the_settings_has_them(
    library: Library, analyzer: str, query: str, finds: list[str]
) -> None:
    for uri, text in (("ja", JAPANESE), ("zh", CHINESE), ("de", GERMAN), ("py", CODE)):
        await library.put(uri, text)
    library.settings = library.settings.model_copy(update={"analyzer": analyzer})
    indexes = library.indexes()
    assert await found(library, indexes, query) == finds
    await indexes.close()


async def test_an_index_of_another_analyzer_is_built_anew(library: Library) -> None:
    await library.put("de", GERMAN)
    for analyzer, finds in (("english", []), ("german", ["de"]), ("english", [])):
        library.settings = library.settings.model_copy(update={"analyzer": analyzer})
        indexes = library.indexes()
        assert await found(library, indexes, "haus") == finds
        await indexes.save("default")
        await indexes.close()


def test_an_unknown_analyzer_is_a_wrong_setting(library: Library) -> None:
    library.settings = library.settings.model_copy(update={"analyzer": "klingon"})
    with pytest.raises(ConfigError, match="klingon"):
        library.indexes()


@pytest.mark.parametrize(
    ("form", "oracle"), [("okapi", BM25Okapi), ("plus", BM25Plus), ("l", BM25L)]
)
async def test_terms_are_scored_by_the_form_of_the_settings(
    library: Library, form: str, oracle: type[BM25Okapi]
) -> None:
    for at, text in enumerate(TEXTS):
        await library.put(str(at), text)
    library.settings = library.settings.model_copy(
        update={"bm25": form, "bm25_k1": 1.2, "bm25_b": 0.5, "analyzer": "unicode"}
    )
    indexes = library.indexes()
    expected = oracle([text.split() for text in TEXTS], k1=1.2, b=0.5).get_scores(["dog", "sing"])
    request = SearchRequest("dog sing", mode=SearchMode.LEXICAL, k=10)
    result = await library.searcher(indexes).search(request)
    assert {hit.uri: hit.score for hit in result.hits if hit.uri in "12"} == pytest.approx(
        {"1": expected[1], "2": expected[2]}, rel=1e-9
    )
    await indexes.close()


@pytest.mark.parametrize("device", ["cpu", "nowhere"])
async def test_terms_scored_on_a_device_find_the_same(library: Library, device: str) -> None:
    for at, text in enumerate(TEXTS):
        await library.put(f"{at}", text, metadata={"even": at % 2 == 0})
    for mode in (SearchMode.LEXICAL, SearchMode.HYBRID):
        for filters in ({}, {"even": True}):
            request = SearchRequest("a cat", mode=mode, filters=filters)
            plain = await library.searcher().search(request)
            placed = await library.searcher(lexical_device=device).search(request)
            assert plain.hits
            assert placed.hits == plain.hits

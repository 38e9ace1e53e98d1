"""Settings: environment variables `ROSTRA_*` over a TOML file over defaults.

What always holds: a `Settings` object is complete and valid; a wrong value or an unknown name, in
the file or in the environment, is refused at start with that name. The file is `ROSTRA_CONFIG` when
set, else `rostra.toml` in the current folder when it exists. Every field is documented here and
nowhere else.
"""

import difflib
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote

from pydantic import (
    Field,
    FiniteFloat,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from rostra.core.errors import ConfigError

MIB = 1024 * 1024
# A name or an address as in a Host header, with or without a port.
HostHeader = Annotated[
    str, Field(max_length=260, pattern=r"^([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$")
]
Fraction = Annotated[FiniteFloat, Field(ge=0, le=1)]
# Ways of searching vectors; see `rostra.retrieval.dense`.
DenseIndexKind = Literal[
    "auto",
    "flat",
    "pruned",
    "hnsw",
    "ivf_sq",
    "two_stage",
    "int8",
    "binary",
    "gpu_flat",
    "gpu_ivf",
    "milvus",
]
# Ways of making one ranking of two; see `rostra.retrieval.fuse`.
FusionKind = Literal["convex", "zscore", "rrf"]
# Ways of asking in other words; see `rostra.retrieval.queries`.
QueryStrategyName = Literal["rewrite", "filters", "hyde", "multi", "step_back", "decompose"]

_PREFIX = "ROSTRA_"
# Variables of ours that are no settings: the file's place, and what builds of the web page read.
_NO_SETTINGS = {"ROSTRA_CONFIG", "ROSTRA_SKIP_WEB", "ROSTRA_REQUIRE_WEB", "ROSTRA_URL"}


class Settings(BaseSettings):
    """All settings of one process. Sizes are bytes, times are seconds."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, extra="forbid", frozen=True, validate_default=True
    )

    # Where things are
    home: Path = Field(Path(".rostra"), description="Data directory; all state lives under it.")
    database_url: str = Field(
        "", description="SQLAlchemy URL; empty means SQLite under the data directory."
    )

    # Logs
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "WARNING", description="Lowest level logged to stderr."
    )
    log_format: Literal["text", "json"] = Field("text", description="Form of a log line.")

    # Embedding
    embedding_model: str = Field(
        "all-MiniLM-L6-v2",
        min_length=1,
        description="Encoder: the packaged all-MiniLM-L6-v2, a folder, or a hub id.",
    )
    embedding_dimensions: int | None = Field(
        None, ge=1, le=8192, description="Truncate vectors to this width; unset keeps all."
    )
    embedding_rotation: Literal["auto", "off"] | Path = Field(
        "auto",
        description="What makes vectors truncatable: auto takes the rotation that ships, for the "
        "packaged encoder where its vectors are truncated; off takes none; or a file written by "
        "`rostra embed fit`.",
    )
    embedding_query_prompt: str | None = Field(
        None, description="Text before each query; unset takes the model's own prompt."
    )
    embedding_document_prompt: str | None = Field(
        None, description="Text before each passage; unset takes the model's own prompt."
    )
    embedding_dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto is bfloat16 where the processor computes it, else float32."
    )
    device: str = Field("auto", description="torch device: auto, cpu, cuda, cuda:1, mps.")

    # Chunking
    chunker: Literal["structure", "code", "recursive", "fixed", "semantic", "late"] = Field(
        "structure",
        description="How documents are cut: by sections and paragraphs, source code by functions "
        "and classes too, at separators, at fixed lengths, where the meaning turns, or as "
        "structure with vectors that know the neighbouring chunks.",
    )
    chunk_tokens: int = Field(
        200, ge=16, le=8192, description="Most tokens of a chunk, by the embedder's tokenizer."
    )
    chunk_overlap: int = Field(
        0, ge=0, description="Tokens at the end of a chunk repeated in the next of its section."
    )
    chunk_headers: bool = Field(
        True, description="Embed and index a chunk with the title and headings above it."
    )
    chunk_neighbours: bool = Field(
        True,
        description="Let a chunk's vector know of the chunks before and after it; `late` does so "
        "by itself.",
    )
    chunk_parent_tokens: int | None = Field(
        None,
        ge=16,
        le=32_768,
        description="Show a generator the passage of so many tokens around each chunk found; "
        "unset shows the chunk.",
    )
    near_duplicates: Fraction = Field(
        0.9,
        description="Chunks with this share of their three-word runs in common, within one "
        "collection, are shown once in results; 0 turns that off.",
    )

    # Ingest limits
    max_file_bytes: int = Field(64 * MIB, ge=1, description="Largest file read.")
    max_text_chars: int = Field(
        20_000_000, ge=1, description="Most code points of text taken from one file."
    )
    max_archive_bytes: int = Field(
        1024 * MIB, ge=1, description="Most bytes that one archive may unpack to."
    )
    max_archive_members: int = Field(20_000, ge=1, description="Most files in one archive.")
    max_archive_ratio: int = Field(
        200, ge=1, description="Largest unpacked-to-packed ratio of an archive member over 1 MiB."
    )
    parse_timeout: FiniteFloat = Field(60, gt=0, description="Longest time to parse one file.")
    parse_memory_bytes: int = Field(
        2048 * MIB, ge=256 * MIB, description="Address space of the parser process."
    )

    # Sources elsewhere
    fetch_networks: tuple[IPvAnyNetwork, ...] = Field(
        (),
        description="Networks that pages may be fetched from although they are not public: "
        '`["10.1.0.0/16"]`.',
    )
    fetch_seconds: FiniteFloat = Field(
        20, gt=0, le=600, description="Longest time to fetch one page."
    )
    fetch_max_pages: int = Field(
        10_000, ge=1, le=100_000, description="Most pages taken from one sitemap."
    )
    jobs_kept_days: int = Field(
        30,
        ge=0,
        le=36_500,
        description="Jobs that succeeded or were cancelled are deleted after as many days; 0 keeps "
        "them. Failed ones stay until they are retried or dropped.",
    )
    watch_folders: tuple[Path, ...] = Field(
        (),
        description="Folders that may be watched, with those below them, when the API asks for "
        'it: `["/srv/notes"]`. `rostra ingest --watch` needs no permission.',
    )

    # Search
    dense_index: DenseIndexKind = Field(
        "auto",
        description="How vectors are searched: auto exactly up to 100,000 chunks (pruned) and by "
        "two_stage above, flat looks at all of them; the others are in docs/search.md.",
    )
    milvus_uri: str = Field(
        "",
        description="Milvus server for `dense_index = milvus`; empty takes a file in the data "
        "directory, by milvus-lite.",
    )
    fusion: FusionKind = Field(
        "convex",
        description="How two rankings become one: by scores moved to 0..1, by z-scores, or by "
        "reciprocal ranks.",
    )
    analyzer: str = Field(
        "english",
        min_length=1,
        description="How texts become terms: english, unicode (words as they are), cjk, code "
        "(identifiers split), or a language that Snowball stems, such as german. Indexes are "
        "built anew when it changes.",
    )
    lexical_device: str = Field(
        "",
        max_length=40,
        description="Torch device that scores terms, such as cuda: it looks at every chunk that "
        "has one of them. Empty, machine code on the CPU does, which rules most chunks out. Both "
        "find the same; where the device is missing the CPU searches.",
    )
    bm25: Literal["okapi", "plus", "l"] = Field("okapi", description="Form of BM25.")
    bm25_k1: FiniteFloat = Field(
        1.5, gt=0, le=100, description="How slowly repeats of a term saturate."
    )
    bm25_b: Fraction = Field(0.75, description="How much long chunks are held back.")
    dense_weight: Fraction = Field(0.6, description="Weight of the dense side in fusion.")
    rrf_k: int = Field(60, ge=1, description="Rank constant of reciprocal rank fusion.")
    shortlist: int = Field(
        100, ge=1, le=10_000, description="Candidates each retriever hands to fusion."
    )
    reranker: Literal["auto", "off", "late", "cross"] = Field(
        "auto",
        description="What reads the best hits again: late interaction of the embedding model's "
        "token vectors, or the cross-encoder `reranker_model`. auto is the cross-encoder where "
        "one is named, else late interaction where it costs little: on a GPU, and where "
        "`rostra embed tokens` stored a collection's token vectors.",
    )
    reranker_model: str = Field("", description="Cross-encoder: a folder or a hub id.")
    rerank_candidates: int = Field(50, ge=1, le=1000, description="Hits the reranker reads.")
    rerank_weight: Fraction = Field(
        0.3,
        description="Weight of late interaction beside the fused score.",
    )
    cross_encoder_weight: Fraction = Field(
        1.0,
        description="Weight of the cross-encoder beside the fused score; at 1 it decides alone.",
    )
    rerank_seconds: FiniteFloat = Field(
        10, gt=0, le=600, description="Longest wait for the reranker; then the fused order stands."
    )
    diversity: Fraction = Field(
        0.0,
        description="How much hits that resemble better ones are put back (maximal marginal "
        "relevance); 0 turns that off.",
    )
    query_strategies: tuple[QueryStrategyName, ...] = Field(
        (),
        description="What a generator adds to each question before the search: rewrite (follow-ups "
        "made to stand by themselves), filters (conditions that the question names), hyde (a "
        "passage as it could stand in the documents), multi (other wordings), step_back (the "
        'general question), decompose (its parts): `["rewrite", "multi"]`. See docs/search.md.',
    )
    query_seconds: FiniteFloat = Field(
        10, gt=0, le=600, description="Longest time for `query_strategies`, all together."
    )
    query_tokens: int = Field(
        800, ge=100, le=32_768, description="Most tokens written for them, all together."
    )
    query_limit: int = Field(
        6, ge=1, le=20, description="Most queries searched for beside the question."
    )
    max_query_chars: int = Field(8_000, ge=1, description="Longest query or question.")
    max_k: int = Field(1_000, ge=1, description="Most hits of one search.")

    # Answers
    answer_passages: int = Field(6, ge=1, le=50, description="Passages an answer is made from.")
    answer_sentences: int = Field(4, ge=1, le=20, description="Most sentences quoted.")
    answer_threshold: FiniteFloat | None = Field(
        None,
        description="Evidence under this score is `not found`; unset takes the tuned value. What "
        "it is held against depends on the picker: a similarity, or one with the scorer's say.",
    )
    evidence_picker: Literal["auto", "scorer", "similarity"] = Field(
        "auto",
        description="Who picks the sentences that are quoted: the trained scorer beside similarity "
        "to the question, or similarity alone. auto is the scorer where one ships; similarity "
        "stands in for one that is missing or broken.",
    )
    evidence_model: Path | None = Field(
        None, description="Folder with an evidence scorer to use instead of the shipped one."
    )

    answer_style: Literal["write", "point", "copy"] = Field(
        "write",
        description="What a generator does: write the answer with marks, point at sentences, which "
        "are then quoted, or copy text from the passages, which a grammar holds to their words.",
    )

    # Generator
    model: str = Field(
        "",
        description="Decoder that writes answers: a folder or a hub id; empty means that answers "
        "quote the documents.",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="The decoder's; auto is bfloat16 where the device computes it natively."
    )
    weights: Literal["none", "int8", "int4"] = Field(
        "none", description="Weight-only quantization of the decoder; faster, a little less exact."
    )
    max_context: int | None = Field(
        None,
        ge=16,
        description="Most tokens of prompt and output together; unset takes the model's own.",
    )
    kv_memory_bytes: int | None = Field(
        None,
        ge=1,
        description="Memory for keys and values; unset takes a share of what is free. "
        "`rostra plan` says what fits.",
    )
    max_running: int = Field(256, ge=1, le=4096, description="Most sequences in one step.")
    max_step_tokens: int = Field(
        2048, ge=16, le=2**20, description="Most tokens of one step, prompts and output together."
    )
    max_waiting: int = Field(
        1024, ge=1, le=2**20, description="Most requests that wait; more are refused."
    )
    max_wait_seconds: FiniteFloat = Field(
        120, gt=0, description="Longest wait of a request before its first step."
    )
    prefix_cache: bool = Field(True, description="Reuse keys and values of equal prompt prefixes.")
    batch_invariant: bool = Field(
        False,
        description="Bit for bit the same output whatever else is computed beside it; slower.",
    )

    reader: Literal["auto", "agents", "always", "never"] = Field(
        "auto",
        description="What the small model that comes with Rostra does where no other is set: runs "
        "agents (agents), answers questions too (always), nothing (never). auto is agents, and "
        "answers too where that was measured to be best.",
    )

    # Another generator than the decoder of this machine
    chat_url: str = Field(
        "",
        description="OpenAI-compatible endpoint that writes answers instead of `model`; what it is "
        "asked leaves this machine.",
    )
    chat_model: str = Field("", description="The model, as that endpoint calls it.")
    chat_api_key: SecretStr = Field(
        SecretStr(""), description="Bearer token for that endpoint; empty sends none."
    )
    chat_script: Path | None = Field(
        None,
        description="JSON lines that are said one after the other instead of asking any model: for "
        "demonstrations and tests.",
    )

    # Several chat models
    chat_models: dict[str, dict[str, Any]] = Field(
        {},
        description="Chat models at OpenAI-compatible endpoints: `chat_models.NAME` with `url`, "
        "`model`, `key_env`, `prices`, `context`; see docs/agents.md.",
    )
    chat_roles: dict[Literal["main", "planner", "executor", "judge"], str] = Field(
        {},
        description="Which of the `chat_models` has a role: `main` writes answers instead of "
        "`chat_model` or `model` and has all roles without a model of their own.",
    )
    chat_route: Literal["", "cascade", "router"] = Field(
        "",
        description="All `chat_models` together as `main`: cascade asks them in order, first the "
        "`model` of this machine if one is set, until an answer is likely enough; router asks the "
        "cheapest that takes a prompt so long.",
    )
    chat_confidence: Fraction = Field(
        0.8,
        description="How likely its tokens must be, on average, that a cascade keeps an answer.",
    )

    # Agents
    agent_steps: int = Field(20, ge=1, le=1000, description="Most questions to models in a run.")
    agent_seconds: FiniteFloat = Field(
        600, gt=0, description="Longest time that a run is executed; pauses do not count."
    )
    agent_calls: int = Field(100, ge=0, le=10_000, description="Most calls of tools in a run.")
    agent_cost: FiniteFloat | None = Field(
        None,
        gt=0,
        description="Most that a run may cost, by the `prices` of `chat_models`; unset: no limit.",
    )
    agent_observation_chars: int = Field(
        6000, ge=200, le=200_000, description="Most of a tool's result that a model reads."
    )
    agent_context_tokens: int = Field(
        12_000,
        ge=1000,
        le=10**7,
        description="How much of a long run a model is shown again; what is older is dropped. "
        "Keep it below the model's context.",
    )
    agent_context: Literal["drop", "summarise"] = Field(
        "drop",
        description="What becomes of the oldest steps of a run that is too long: dropped, or "
        "summarised by the model, which costs a step.",
    )
    agent_call_seconds: FiniteFloat = Field(
        120, gt=0, description="Longest wait for one call of a tool."
    )
    agent_durable: bool = Field(
        False,
        description="Logs of runs survive the loss of power too, and not only the death of the "
        "process; every step then waits for the disk.",
    )
    agent_filters: tuple[Literal["hidden", "secrets", "pii", "links"], ...] = Field(
        ("hidden", "secrets", "links"),
        description="What is removed from results of tools and from answers: invisible characters, "
        "credentials, personal data, links and images that lead elsewhere.",
    )
    agent_link_hosts: tuple[str, ...] = Field(
        (), description="Hosts to which links in answers may lead."
    )
    agent_memory: bool = Field(
        True, description="Let agents look up and, with your approval, keep facts about the user."
    )
    agent_trace_content: bool = Field(
        False, description="Put tasks, arguments and results into OpenTelemetry spans too."
    )
    agent_python: bool = Field(
        True,
        description="Let agents run Python in a sandbox, where this machine has one; `rostra "
        "doctor` says whether it has.",
    )
    agent_depth: int = Field(
        1,
        ge=0,
        le=5,
        description="How many times a task may be handed on: 1 lets runs hand tasks to `agents`, "
        "which hand on nothing.",
    )
    agents: dict[str, dict[str, Any]] = Field(
        {},
        description="Agents that runs can hand tasks to: `agents.NAME` with `description`, "
        "`tools`, `strategy`, `options` and `share`; see docs/agents.md.",
    )
    mcp: dict[str, Any] = Field(
        {},
        description="MCP servers whose tools agents use: `servers.NAME` with `command` and `args` "
        "or with `url`, and `files`. A person approves their tools first (`rostra mcp approve`), "
        "but for servers that come with Rostra or have `approve_first`; see docs/mcp.md.",
    )

    # Server
    mcp_token: SecretStr = Field(
        SecretStr(""),
        description="Bearer token that clients of `/mcp` must send; empty lets only this machine "
        "in.",
    )
    mcp_hosts: tuple[HostHeader, ...] = Field(
        (),
        description="Further names by which requests to `/mcp` may call this server, as in a Host "
        'header: `["rostra.example"]`, `["192.0.2.7:8321"]`; without a port any is meant.',
    )
    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(8321, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    max_upload_bytes: int = Field(256 * MIB, ge=1, description="Largest request body.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Given values over the environment; no dotenv, no secrets directory."""
        return init_settings, env_settings

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.reranker == "cross" and not self.reranker_model:
            raise ValueError("reranker: cross needs a reranker_model")
        if self.chunk_overlap * 2 > self.chunk_tokens:
            raise ValueError(
                "chunk_overlap: must be at most half of chunk_tokens "
                f"({self.chunk_overlap} against {self.chunk_tokens})"
            )
        if self.chunk_parent_tokens is not None and self.chunk_parent_tokens < self.chunk_tokens:
            raise ValueError(
                "chunk_parent_tokens: must be at least chunk_tokens "
                f"({self.chunk_parent_tokens} against {self.chunk_tokens})"
            )
        return self

    @property
    def resolved_database_url(self) -> str:
        """The database's URL with its default filled in."""
        if self.database_url:
            return self.database_url
        file = self.home.absolute() / "rostra.db"
        return f"sqlite+aiosqlite:///{quote(str(file))}"


def load_settings(config: Path | None = None, **overrides: Any) -> Settings:
    """Reads settings from file and environment.

    Args:
        config: the TOML file; by default `ROSTRA_CONFIG`, else `rostra.toml` if it exists.
        overrides: values that win over both, such as command-line flags; None means not given.

    Raises:
        ConfigError: for an unreadable file, a wrong value or an unknown name; the message says
            which.
    """
    _refuse_unknown_variables()
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**_read_file(config) | EnvSettingsSource(Settings)() | given)
    except ValidationError as error:
        raise ConfigError(
            _explain(error), hint="Every setting is documented in docs/settings.md."
        ) from None


def _read_file(config: Path | None) -> dict[str, Any]:
    from_environment = os.environ.get("ROSTRA_CONFIG")
    named = config or (Path(from_environment) if from_environment else None)
    path = named or Path("rostra.toml")
    if named is None and not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"settings file {path}: {error}") from None


def _refuse_unknown_variables() -> None:
    known = {_PREFIX + name.upper() for name in Settings.model_fields} | _NO_SETTINGS
    unknown = sorted(
        name
        for name in os.environ
        if name.upper().startswith(_PREFIX) and name.upper() not in known
    )
    if unknown:
        raise ConfigError(
            "; ".join(
                f"{name}: {_no_such_setting(name.upper(), known, _PREFIX)}" for name in unknown
            ),
            hint="Correct or unset the environment variable.",
        )


def _explain(error: ValidationError) -> str:
    lines = []
    for item in error.errors():
        name = ".".join(str(part) for part in item["loc"])
        reason = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            reason = _no_such_setting(name, set(Settings.model_fields))
        lines.append(f"{name}: {reason}" if name else reason)
    return "; ".join(lines)


def _no_such_setting(name: str, known: set[str], prefix: str = "") -> str:
    # The prefix all have in common would make any two names look alike.
    known = {one.removeprefix(prefix) for one in known}
    close = difflib.get_close_matches(name.removeprefix(prefix), sorted(known), n=1)
    return "there is no such setting" + (f", did you mean {prefix}{close[0]}?" if close else "")

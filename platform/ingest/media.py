"""Which file names are read, and what their endings say about the type.

An ending decides only where the content does not: see `rostra.ingest.sniff`. Images found in a
folder or an archive are listed only where text recognition is installed.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import PurePosixPath
from types import MappingProxyType

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
EPUB = "application/epub+zip"
RTF = "application/rtf"
EML = "message/rfc822"
MSG = "application/vnd.ms-outlook"
NOTEBOOK = "application/x-ipynb+json"
LATEX = "text/x-tex"
PNG = "image/png"
JPEG = "image/jpeg"
TIFF = "image/tiff"
WEBP = "image/webp"
ZIP = "application/zip"
HTML = "text/html"
MARKDOWN = "text/markdown"
PLAIN = "text/plain"
CSV = "text/csv"
TSV = "text/tab-separated-values"
JSON = "application/json"
JSON_LINES = "application/x-ndjson"
CODE_PREFIX = "text/x-source-"
IMAGES = frozenset({PNG, JPEG, TIFF, WEBP})
# Each holds further files, which are documents of their own.
MAILS = frozenset({EML, MSG})
OCR_MODULES = ("rapidocr", "onnxruntime")
OCR_INSTALL = "pip install 'rostra[ocr]'"

_CODE_ENDINGS = {
    "asm": "s asm",
    "awk": "awk",
    "bat": "bat cmd",
    "c": "c h",
    "clojure": "clj cljs edn",
    "cmake": "cmake",
    "cpp": "cc cpp cxx hh hpp hxx",
    "csharp": "cs",
    "css": "css scss sass less",
    "cuda": "cu cuh",
    "d": "d",
    "dart": "dart",
    "diff": "diff patch",
    "elixir": "ex exs",
    "elm": "elm",
    "erlang": "erl hrl",
    "fortran": "f f90 f95 for",
    "fsharp": "fs fsi fsx",
    "go": "go",
    "graphql": "graphql gql",
    "groovy": "groovy gradle",
    "haskell": "hs lhs",
    "ini": "ini cfg conf properties env",
    "java": "java",
    "javascript": "js mjs cjs jsx",
    "julia": "jl",
    "kotlin": "kt kts",
    "lisp": "lisp el scm rkt",
    "lua": "lua",
    "make": "mk mak",
    "nim": "nim",
    "nix": "nix",
    "objective-c": "m mm",
    "ocaml": "ml mli",
    "pascal": "pas",
    "perl": "pl pm",
    "php": "php",
    "powershell": "ps1 psm1",
    "prolog": "pro",
    "protobuf": "proto",
    "python": "py pyi pyx",
    "r": "r",
    "ruby": "rb",
    "rust": "rs",
    "scala": "scala sbt",
    "shell": "sh bash zsh fish ksh",
    "sql": "sql",
    "svelte": "svelte",
    "swift": "swift",
    "tcl": "tcl",
    "terraform": "tf hcl",
    "tex": "sty cls",
    "toml": "toml",
    "typescript": "ts tsx mts cts",
    "verilog": "v sv vhd vhdl",
    "vue": "vue",
    "xml": "xml xsd xsl xslt",
    "yaml": "yaml yml",
    "zig": "zig",
}
_DOCUMENT_ENDINGS = {
    PDF: "pdf",
    DOCX: "docx",
    PPTX: "pptx pptm ppsx potx",
    XLSX: "xlsx xlsm xltx xltm",
    EPUB: "epub",
    RTF: "rtf",
    EML: "eml",
    MSG: "msg",
    NOTEBOOK: "ipynb",
    LATEX: "tex ltx",
    PNG: "png",
    JPEG: "jpg jpeg",
    TIFF: "tif tiff",
    WEBP: "webp",
    ZIP: "zip",
    HTML: "html htm xhtml xht",
    MARKDOWN: "md markdown mdown mkd mdx",
    PLAIN: "txt text rst adoc asciidoc org log",
    CSV: "csv",
    TSV: "tsv tab",
    JSON: "json geojson",
    JSON_LINES: "jsonl ndjson",
}


def _by_ending() -> dict[str, str]:
    table = {
        f".{ending}": CODE_PREFIX + language
        for language, endings in _CODE_ENDINGS.items()
        for ending in endings.split()
    }
    for media_type, endings in _DOCUMENT_ENDINGS.items():
        table.update({f".{ending}": media_type for ending in endings.split()})
    return table


BY_ENDING: Mapping[str, str] = MappingProxyType(_by_ending())
BY_NAME: Mapping[str, str] = MappingProxyType(
    {
        "authors": PLAIN,
        "changelog": PLAIN,
        "changes": PLAIN,
        "contributing": PLAIN,
        "copying": PLAIN,
        "install": PLAIN,
        "license": PLAIN,
        "news": PLAIN,
        "notice": PLAIN,
        "readme": PLAIN,
        "todo": PLAIN,
        "cmakelists.txt": CODE_PREFIX + "cmake",
        "containerfile": CODE_PREFIX + "docker",
        "dockerfile": CODE_PREFIX + "docker",
        "gnumakefile": CODE_PREFIX + "make",
        "jenkinsfile": CODE_PREFIX + "groovy",
        "makefile": CODE_PREFIX + "make",
        "rakefile": CODE_PREFIX + "ruby",
        "vagrantfile": CODE_PREFIX + "ruby",
    }
)

# Made by tools for tools: their text is in another file already, or is no text to ask about.
_GENERATED_ENDINGS = (".min.js", ".min.css", ".lock")
_GENERATED_NAMES = frozenset({"searchindex.js", "package-lock.json", "npm-shrinkwrap.json"})
SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "__MACOSX"})
# A Sphinx build keeps every page a second time, as source, and its scripts.
SPHINX_MARK = "objects.inv"
SPHINX_FOLDERS = frozenset({"_sources", "_static"})


def media_type_of(name: str) -> str | None:
    """The type that a file's name claims; None when it claims none that is read."""
    lowered = PurePosixPath(name).name.lower()
    return BY_NAME.get(lowered) or BY_ENDING.get(PurePosixPath(lowered).suffix)


def is_listed(name: str) -> bool:
    """Whether a file found in a folder or an archive is read; one named by hand always is."""
    lowered = PurePosixPath(name).name.lower()
    if lowered.startswith(".") or lowered in _GENERATED_NAMES:
        return False
    if lowered.endswith(_GENERATED_ENDINGS):
        return False
    media_type = media_type_of(lowered)
    return media_type is not None and (media_type not in IMAGES or has_ocr())


def has_ocr() -> bool:
    """Whether text recognition is installed; nothing is loaded."""
    return all(find_spec(module) is not None for module in OCR_MODULES)

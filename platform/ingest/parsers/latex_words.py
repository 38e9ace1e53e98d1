"""LaTeX's commands by what a reader of plain text needs to know of them."""

from collections.abc import Mapping
from types import MappingProxyType

SECTIONS: Mapping[str, int] = MappingProxyType(
    {
        "part": 1,
        "chapter": 1,
        "section": 2,
        "subsection": 3,
        "subsubsection": 4,
        "paragraph": 5,
        "subparagraph": 6,
        "frametitle": 2,
        "framesubtitle": 3,
    }
)
# Commands that are no text, with the number of arguments that go with them.
_DROPPED = (
    "label bibliographystyle bibliography includegraphics input include usepackage documentclass "
    "vspace hspace pagestyle thispagestyle color hypersetup geometry graphicspath index glossary "
    "pagenumbering hyphenation phantom hphantom vphantom markright newcounter usetheme "
    "RequirePackage addbibresource includeonly textcolor colorbox scalebox rotatebox raisebox "
    "parbox selectlanguage theoremstyle captionsetup institute date setbeamertemplate newif "
    "foreignlanguage lstset usetikzlibrary subfile nocite vskip cline cmidrule",
    "setcounter addtocounter setlength addtolength newcommand renewcommand providecommand "
    "DeclareMathOperator newtheorem fontsize rule markboth resizebox multicolumn multirow "
    "DeclareRobustCommand newcommandx pgfplotsset",
    "newenvironment renewenvironment definecolor addcontentsline lstnewenvironment",
)
DROPPED: Mapping[str, int] = MappingProxyType(
    {word: count for count, words in enumerate(_DROPPED, start=1) for word in words.split()}
)
_REFERENCES = (
    "ref eqref pageref autoref cref Cref nameref cite citep citet citealp citeauthor citeyear "
    "parencite textcite autocite footcite Citet Citep"
)
REFERENCES = frozenset(_REFERENCES.split())
SYMBOLS: Mapping[str, str] = MappingProxyType(
    {
        "ldots": "…",
        "dots": "…",
        "textellipsis": "…",
        "textendash": "–",
        "textemdash": "—",
        "textbackslash": "\\",
        "textasciitilde": "~",
        "textasciicircum": "^",
        "textless": "<",
        "textgreater": ">",
        "textbar": "|",
        "textunderscore": "_",
        "textquotedblleft": "“",
        "textquotedblright": "”",
        "textquoteleft": "‘",
        "textquoteright": "’",
        "textbullet": "•",
        "textdegree": "°",
        "LaTeX": "LaTeX",
        "TeX": "TeX",
        "BibTeX": "BibTeX",
        "ss": "ß",
        "ae": "æ",
        "AE": "Æ",
        "oe": "œ",
        "OE": "Œ",
        "aa": "å",
        "AA": "Å",
        "o": "ø",
        "O": "Ø",
        "l": "ł",
        "L": "Ł",
        "i": "ı",
        "j": "ȷ",
        "S": "§",
        "P": "¶",
        "copyright": "©",
        "textcopyright": "©",
        "textregistered": "®",
        "texttrademark": "™",
        "euro": "€",
        "texteuro": "€",
        "pounds": "£",
        "dag": "†",
        "ddag": "‡",
        "quad": " ",
        "qquad": " ",
        "space": " ",
        "newline": "\n",
        "linebreak": "\n",
        "and": ", ",
    }
)
# Combining characters; those of letters stand before an argument like those of signs.
ACCENTS: Mapping[str, str] = MappingProxyType(
    {
        "'": "\u0301",
        "`": "\u0300",
        "^": "\u0302",
        '"': "\u0308",
        "~": "\u0303",
        "=": "\u0304",
        ".": "\u0307",
        "c": "\u0327",
        "v": "\u030c",
        "u": "\u0306",
        "H": "\u030b",
        "k": "\u0328",
        "r": "\u030a",
        "d": "\u0323",
        "b": "\u0331",
    }
)
_MATHS = "equation align gather multline eqnarray displaymath math flalign alignat dmath"
MATHS = frozenset(name + star for name in _MATHS.split() for star in ("", "*"))
VERBATIM = frozenset({"verbatim", "verbatim*", "lstlisting", "minted", "Verbatim", "alltt"})
TABLES = frozenset({"tabular", "tabular*", "tabularx", "tabulary", "longtable", "tblr"})
LISTS = frozenset({"itemize", "enumerate", "description", "compactitem", "compactenum"})
DRAWINGS = frozenset(
    {"tikzpicture", "comment", "filecontents", "filecontents*", "pspicture", "axis"}
)
# Environments with an argument that is no text.
WITH_ARGUMENT = frozenset(
    {"thebibliography", "minipage", "multicols", "column", "adjustbox", "wrapfigure"}
)

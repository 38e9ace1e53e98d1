"""Formats of strings that a grammar can hold.

What always holds: every text admitted has the format; of addresses only the common ones are
admitted (ASCII, no quoted local parts, no address literals, no `--`, at most 248 characters of
host). Names that JSON Schema does not define are annotations, as 2020-12 has it by default.
"""

from rostra.serving.grammar.expr import Expr
from rostra.serving.grammar.regex import parse_regex

_YEAR = r"\d{4}"
_LEAP = r"(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_DATE = (
    rf"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])"
    rf"|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))|{_LEAP}-02-29)"
)
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)"
_LABEL = r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,30}"
_HOST = rf"{_LABEL}(?:\.{_LABEL}){{0,3}}"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_GROUP = r"[0-9A-Fa-f]{1,4}"
_IPV6 = "|".join(
    [
        rf"(?:{_GROUP}:){{7}}{_GROUP}",
        *(
            rf"{_GROUP}(?::{_GROUP}){{{before - 1}}}::(?:{_GROUP}(?::{_GROUP}){{0,{6 - before}}})?"
            for before in range(1, 7)
        ),
        rf"{_GROUP}(?::{_GROUP}){{6}}::",
        rf"::(?:{_GROUP}(?::{_GROUP}){{0,6}})?",
    ]
)
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_URI_CHAR = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})"
_PLAIN = r"-A-Za-z0-9._~!$&'()*+,;=@"
_SEGMENT = rf"(?:[{_PLAIN}:]|%[0-9A-Fa-f]{{2}})"
_SEGMENT_WITHOUT_COLON = rf"(?:[{_PLAIN}]|%[0-9A-Fa-f]{{2}})"
_AUTHORITY = rf"//[A-Za-z0-9._~-]+(?::\d{{1,5}})?(?:/{_URI_CHAR}*)?"
_ABSOLUTE = rf"/(?:{_SEGMENT}{_URI_CHAR}*)?"
_URI_END = rf"(?:\?(?:{_URI_CHAR}|\?)*)?(?:#(?:{_URI_CHAR}|\?)*)?"
_URI = rf"[A-Za-z][A-Za-z0-9+.-]*:(?:{_AUTHORITY}|{_ABSOLUTE}|{_SEGMENT}{_URI_CHAR}*){_URI_END}"
_RELATIVE = rf"(?:{_AUTHORITY}|{_ABSOLUTE}|{_SEGMENT_WITHOUT_COLON}+(?:/{_URI_CHAR}*)?)?{_URI_END}"
_DURATION_TIME = r"T(?:\d+H(?:\d+M(?:\d+S)?)?|\d+M(?:\d+S)?|\d+S)"
_DURATION = (
    rf"P(?:(?:\d+Y(?:\d+M(?:\d+D)?)?|\d+M(?:\d+D)?|\d+D)(?:{_DURATION_TIME})?|{_DURATION_TIME}"
    r"|\d+W)"
)
_PATTERNS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": rf"{_DATE}T{_TIME}",
    "duration": _DURATION,
    "email": rf"{_ATOM}(?:\.{_ATOM}){{0,5}}@{_HOST}",
    "hostname": _HOST,
    "ipv4": _IPV4,
    "ipv6": _IPV6,
    "uuid": r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
    "uri": _URI,
    "uri-reference": rf"(?:{_URI}|{_RELATIVE})",
    "json-pointer": r"(?:/(?:[^/~]|~[01])*)*",
}
FORMATS = tuple(_PATTERNS)
UNENFORCED = frozenset(
    {
        "ecmascript-regex",
        "idn-email",
        "idn-hostname",
        "iri",
        "iri-reference",
        "regex",
        "relative-json-pointer",
        "uri-template",
    }
)
"""Formats that JSON Schema defines and no grammar here admits; other names assert nothing."""


def format_expr(name: str) -> Expr | None:
    """The texts of a format; None for one that is not enforced, or only an annotation."""
    pattern = _PATTERNS.get(name)
    return None if pattern is None else parse_regex(pattern)

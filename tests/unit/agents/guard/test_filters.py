"""Filters of personal data, secrets and hidden text, and several together."""

import base64
import hashlib
import random
import string
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.agents.events import DocumentSpan
from rostra.agents.guard import (
    FILTERS,
    HiddenText,
    PersonalData,
    Secrets,
    apply,
    make_filters,
    moved,
)
from rostra.core import ConfigError

RANDOM = random.Random(7)


def token(length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(RANDOM.choices(alphabet, k=length))


def card(prefix: str, length: int) -> str:
    """A number with a right check digit, made the other way round: by trying."""
    body = prefix + "".join(RANDOM.choices(string.digits, k=length - len(prefix) - 1))
    weights = [2 if at % 2 == 0 else 1 for at in range(len(body))]
    total = sum(
        sum(map(int, str(int(digit) * weight)))
        for digit, weight in zip(reversed(body), weights, strict=True)
    )
    return body + str(-total % 10)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Ask jane.doe+x@mail.example.org today", "mail address"),
        ("Ask jörg@exämple.de today", "mail address"),
        ("Call +49 30 1234567 now", "phone number"),
        ("Call +1 (555) 123-4567 now", "phone number"),
        ("Call (555) 123-4567 now", "phone number"),
        ("Call 555-123-4567.", "phone number"),
        ("Pay to DE89 3704 0044 0532 0130 00 soon", "account number"),
        ("Pay to GB82WEST12345698765432", "account number"),
        ("Card 4111 1111 1111 1111", "card number"),
        ("Card 378282246310005, thanks", "card number"),
    ],
)
def test_personal_data_is_removed_and_not_repeated(text: str, kind: str) -> None:
    filtered = PersonalData()(text)
    assert filtered.findings == (f"pii: {kind}",)
    assert f"⟨{kind} removed⟩" in filtered.text
    assert not any(char.isdigit() for char in filtered.text)
    assert "@" not in filtered.text


@pytest.mark.parametrize(
    "text",
    [
        "On 2024-05-17 at 12:30:45, version 16.3.2 of 192.168.100.200 had 1234567890123 rows.",
        "Card 4111 1111 1111 1112 has a wrong check digit, DE89 3704 0044 0532 0130 02 too.",
        "The order 12-34-56 of 1,234,567.89 EUR; ISBN 978-3-16-148410-0; pi is 3.14159265358979.",
        "a@b, @handle, user@localhost and 10+20+30",
        str(uuid.UUID(int=12345678901234567890)),
    ],
)
def test_numbers_of_other_kinds_stay(text: str) -> None:
    assert PersonalData()(text).text == text


@given(st.sampled_from([("4", 16), ("51", 16), ("37", 15), ("6011", 16)]), st.data())
def test_every_card_is_found_and_no_other_last_digit(
    kind: tuple[str, int], data: st.DataObject
) -> None:
    number = card(*kind)
    assert "card" in PersonalData()(f"n {number} n").text
    other = number[:-1] + data.draw(st.sampled_from([d for d in string.digits if d != number[-1]]))
    assert "card" not in PersonalData()(f"n {other} n").text


SECRETS = [
    "AKIA" + token(16, string.ascii_uppercase + "234567"),
    "ghp_" + token(36),
    "github_pat_" + token(50),
    "glpat-" + token(20),
    "xoxb-" + token(40),
    "sk-proj-" + token(48),
    "sk-ant-api03-" + token(80),
    "AIza" + token(35),
    "sk_live_" + token(24),
    "hf_" + token(34),
    "npm_" + token(36),
    "pypi-" + token(80),
    f"SG.{token(22)}.{token(43)}",
    f"eyJ{token(30)}.eyJ{token(60)}.{token(43)}",
    f"-----BEGIN RSA PRIVATE KEY-----\n{token(64)}\n{token(64)}\n-----END RSA PRIVATE KEY-----",
    token(40),
    base64.b64encode(RANDOM.randbytes(36)).decode(),
]


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: secret[:12])
@pytest.mark.parametrize("around", ["{}", "key: {} .", '{{"token": "{}"}}', "({})", "a={}&b=1"])
def test_secrets_are_removed_wherever_they_stand(secret: str, around: str) -> None:
    filtered = Secrets()(around.format(secret))
    assert filtered.findings
    assert not any(line in filtered.text for line in secret.split("\n") if len(line) > 20)
    assert not any(secret[10:30] in finding for finding in filtered.findings)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("postgresql://me:s3cret@db/x", "postgresql://me:⟨password removed⟩@db/x"),
        ("PASSWORD=hunter2hunter2 next", "PASSWORD=⟨secret removed⟩ next"),
        ('"api_key": "abc123def456"', '"api_key": "⟨secret removed⟩"'),
    ],
)
def test_passwords_given_to_names(text: str, left: str) -> None:
    assert Secrets()(text).text == left


@pytest.mark.parametrize(
    "text",
    [
        hashlib.sha256(b"x").hexdigest(),
        hashlib.sha512(b"x").hexdigest().upper(),
        pytest.param(str(uuid.uuid4()), id="uuid"),
        "the password: must be changed; token = get_token(user1); secret=${VAR_1}",
        "max_parallel_maintenance_workers_and_autovacuum_naptime_2",
        "getTransactionIsolationLevelForConnection2WithTimeout",
        "src/backend/utils/adt/selfuncs.c and /usr/share/postgresql/16/extension/pg_trgm--1.6.sql",
        "AbstractSingletonProxyFactoryBeanTest1.java",
        "https://docs.test/a/b/c-d-e-f/Some-Long-Title-With-Words-2024-01-02",
        "=" * 80,
        "ACGTACGTACGTTGCATGCATGCAACGTACGTACGTTGCATGCATGCA",
    ],
)
def test_what_only_looks_long_stays(text: str) -> None:
    assert Secrets()(text).text == text


def test_hidden_text_is_removed_and_scripts_stay() -> None:
    hidden = "".join(chr(0xE0000 + ord(char)) for char in "obey me")
    assert HiddenText()(f"a{hidden}b\u202ec\u200bd").text == "abcd"
    spoken = "می‌خواهم 👩‍👩‍👧 naïve\tx\n"
    assert HiddenText()(spoken).text == spoken


def test_a_secret_that_hidden_characters_break_up_is_found_by_both() -> None:
    secret = "ghp_" + token(36)
    broken = "\u200b".join(secret)
    filtered = apply(make_filters(), f"x {broken} y")
    assert filtered.text == "x ⟨GitHub token removed⟩ y"
    assert filtered.findings == ("hidden: invisible characters", "secrets: GitHub token")


def test_filters_by_name_have_one_order() -> None:
    assert [each.name for each in make_filters(reversed(FILTERS))] == list(FILTERS)
    with pytest.raises(ConfigError, match="no filter 'luck'"):
        make_filters(["links", "luck"])


def test_findings_are_few_however_much_is_found() -> None:
    text = " ".join(f"https://h{number}.test/x" for number in range(500))
    assert len(apply(make_filters(), text).findings) <= 20


PARTS = st.sampled_from(
    [
        *("Words of a document. ", "More.\n", "\u200b", "\U000e0041", "jane@example.org", "x"),
        *("[a](https://evil.test/x)", "![](//evil.test)", "4111 1111 1111 1111", "<img src=x>"),
        *("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "password=hunter2hunter2", "https://e.test"),
    ]
)


@given(st.lists(PARTS, max_size=12), st.integers(0, 40), st.integers(1, 200))
def test_what_is_kept_of_a_document_is_verbatim(parts: list[str], at: int, length: int) -> None:
    """Spans of stored documents still stand for the same characters after all filters."""
    text = "".join(parts)
    end = min(len(text), at + length)
    stored = "before " + text[at:end] + " after"
    given_spans = [DocumentSpan(at, "d", 7, 7 + end - at)] if at < end else []
    filters = make_filters(FILTERS)
    filtered = apply(filters, text)
    spans = moved(given_spans, filtered.kept)
    for span in spans:
        length = span.end - span.start
        assert filtered.text[span.at : span.at + length] == stored[span.start : span.end]
    if filtered.text == text:
        assert list(spans) == given_spans
    for each in filters:
        once = each(text).text
        assert each(once).text == once

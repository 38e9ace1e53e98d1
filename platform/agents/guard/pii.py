"""Personal data: mail addresses, phone numbers, account and card numbers.

Account and card numbers are taken for such only where their check digits hold (ISO 13616 and
ISO/IEC 7812-1). Phone numbers have no check digit; those with a `+` and those in North American
grouping are found, others are not: too many numbers look like them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from rostra.agents.guard.filters import Filtered, run_passes
from rostra.agents.guard.rewrite import Edit

_MAIL = re.compile(
    r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w-])", re.UNICODE
)
_PHONE = re.compile(
    r"(?<![\w+.-])(?:\+\d{1,3}(?:[ .\-]?\(?\d{1,4}\)?){2,6}"
    r"|(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4})(?![\w-]|\.\d)"
)
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w]|\.\d)")

# Visa, Mastercard, American Express, Diners Club, JCB, Discover.
_NETWORKS = re.compile(
    r"4\d{12}(?:\d{3})?|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3[0689]\d{12}|35\d{14}"
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12}"
)


@dataclass(frozen=True, slots=True)
class PersonalData:
    """Removes it."""

    name: ClassVar[str] = "pii"

    def __call__(self, text: str) -> Filtered:
        """See `OutputFilter`."""
        # Numbers with check digits first: a part of one can look like a phone number.
        return run_passes(
            self.name,
            text,
            [
                _pass(_IBAN, "account number", iban),
                _pass(_CARD, "card number", luhn),
                _pass(_MAIL, "mail address", lambda _: True),
                _pass(_PHONE, "phone number", lambda found: 8 <= len(_digits(found)) <= 15),
            ],
        )


def luhn(number: str) -> bool:
    """Whether a number is of a card network's length and range, and its check digit is right."""
    plain = _digits(number)
    if _NETWORKS.fullmatch(plain) is None:
        return False
    doubled = [2 * int(digit) for digit in plain[-2::-2]]
    return (sum(map(int, plain[-1::-2])) + sum(sum(divmod(each, 10)) for each in doubled)) % 10 == 0


def iban(number: str) -> bool:
    """Whether an international account number's check digits are right."""
    plain = number.replace(" ", "")
    if not 15 <= len(plain) <= 34:
        return False
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1


def _digits(text: str) -> str:
    return "".join(char for char in text if char.isdigit())


def _pass(
    pattern: re.Pattern[str], what: str, holds: Callable[[str], bool]
) -> Callable[[str], tuple[list[Edit], list[str]]]:
    def look(text: str) -> tuple[list[Edit], list[str]]:
        edits = [
            Edit(*found.span(), f"⟨{what} removed⟩")
            for found in pattern.finditer(text)
            if holds(found[0])
        ]
        return edits, [what] * bool(edits)

    return look

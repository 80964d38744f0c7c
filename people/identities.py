"""By what a person can be known, and how it is spelt: one spelling each, so that the same phone is found again.

Types are ``external_userid``, ``unionid``, ``phone``, or ``<system>:<kind>`` of another system, like ``pos:member``.
"""

import re
import unicodedata
from collections.abc import Iterable

PHONE = "phone"
TYPE = r"^(external_userid|unionid|phone|[A-Za-z0-9][A-Za-z0-9_.-]{0,18}:[A-Za-z0-9][A-Za-z0-9_.-]{0,18})$"
MAX_VALUE = 200
CHINA = re.compile(r"^(?:\+|00)?86(1\d{10})$")
NUMBER = re.compile(r"^\+?\d{5,20}$")
MOBILE = re.compile(r"^(?:1[3-9]\d{9}|\+(?!86)[1-9]\d{6,14})$")
"""A mainland mobile number (MIIT's numbering plan), or one with the code of another country (E.164)."""
DRESSING = re.compile(r"[\s()\-.]")


def spelt(type_: str, value: str) -> str:
    """The value as it is kept. Raises ``ValueError`` that says what is wrong with it."""
    value = value.strip()
    if not 0 < len(value) <= MAX_VALUE:
        raise ValueError(f"must have 1 to {MAX_VALUE} characters")
    return _phone(value) if type_ == PHONE else value


def _phone(value: str) -> str:
    """Digits only; a mainland number without its country code, any other with a plus if it came with one."""
    digits = DRESSING.sub("", unicodedata.normalize("NFKC", value))  # full-width digits are digits
    if not (digits.isascii() and NUMBER.match(digits)):
        raise ValueError("a phone number has 5 to 20 digits")
    mainland = CHINA.match(digits)
    return mainland[1] if mainland else digits


def is_mobile(phone: str) -> bool:
    """Whether a number, as ``spelt`` has it, can be somebody's mobile phone."""
    return MOBILE.match(phone) is not None


def spelt_phones(written: Iterable[str]) -> list[str]:
    """These phone numbers as they are kept, each once; what is no number is left out."""
    kept: dict[str, None] = {}
    for one in written:
        try:
            kept[spelt(PHONE, one)] = None
        except ValueError:
            continue
    return list(kept)

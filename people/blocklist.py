"""Identities that name nobody in particular: defaults of tills, guests, made-up numbers. They never join two people.

What one shop blocks for itself (its own telephone, a number of many) is ``people.blocking``'s. Source:
loyalty.md §6.3, and the blocked values of Segment's identity resolution.
"""

import re

from people.identities import PHONE

MADE_UP = frozenset(
    {"13800138000", "13800000000", "13900000000", "12345678", "123456789", "1234567890", "12345678901"}
)  # fmt: skip
"""Numbers that stand in examples and are typed where one is asked for."""
HOTLINES = re.compile(r"^(?:100\d{2}|12\d{3}|95\d{3}|1\d{2}|400\d{7}|800\d{7})$")
"""Carriers (10086), the state (12345), banks (95588), emergencies, companies."""
NOTHING = re.compile(r"^[0\-\s.]*$")
WORDS = frozenset(
    {"null", "none", "nil", "nan", "undefined", "unknown", "anonymous", "n/a", "na", "test", "guest", "visitor", "-1",
     "walk-in", "walkin", "cash", "散客", "游客", "访客", "顾客", "客户", "匿名", "匿名用户", "非会员", "无", "未知",
     "测试", "现金"}
)  # fmt: skip
GUEST = re.compile(r"^(?:guest|visitor|散客|游客|访客|匿名|临时会员)[\s_\-#]*\d*$", re.IGNORECASE)
SHORTEST_REPEATED = 5


def names_nobody(type_: str, value: str) -> bool:
    """Whether this value, spelt as ``people.identities`` does, is one that systems give to whoever comes along."""
    plain = value.strip().lower()
    if NOTHING.match(plain) or plain in WORDS or GUEST.match(plain) or _repeated(plain):
        return True
    return type_ == PHONE and (plain in MADE_UP or HOTLINES.match(plain) is not None or _repeated(plain[1:]))


def _repeated(digits: str) -> bool:
    """11111111: one digit over and over."""
    return len(digits) >= SHORTEST_REPEATED and digits.isdecimal() and len(set(digits)) == 1

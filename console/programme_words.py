"""The rules of points in words: what earns, what the law of a place is called, how levels are counted.

The pages that ask for other rules and the page on which others agree to them say the same (``console.approval_shown``).
"""

from collections.abc import Mapping, Sequence

from console.words import N_
from loyalty.earning import ONE

LAWS: Mapping[str, str] = {"": N_("没有特别的规定"), "CA-ON": N_("加拿大安大略省"), "CA-QC": N_("加拿大魁北克省")}
"""Where the customers are whose law says how points may die (``loyalty.expiry.REGIONS``)."""
ACT_WORDS: Mapping[str, str] = {
    "joining": N_("成为好友"),
    "birthday": N_("生日"),
    "review": N_("写评价（不论几星）"),
}
CLAWS: Mapping[str, str] = {
    "allow_debt": N_("记为欠分，以后先还"),
    "within_balance": N_("只收回剩下的"),
    "only_pending": N_("只收回还不能用的"),
}
"""What a refund takes of points that are spent already."""
WINDOWS: Sequence[tuple[str, str]] = (("year", N_("自然年")), ("rolling", N_("最近 12 个月")))
DOWNGRADES: Sequence[tuple[str, str]] = (("one_down", N_("降一级")), ("recompute", N_("降到那一期积分够的等级")))


def times(factor: int) -> str:
    """Ten-thousandths as people write them: 1.5."""
    return f"{factor / ONE:.4f}".rstrip("0").rstrip(".")

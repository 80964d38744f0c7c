"""Figures into words: medians, percentiles, ratios, tables."""

from collections.abc import Sequence
from statistics import median

from bot.commands import table


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of them do not exceed; nothing measured is infinitely slow."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("inf")


def ratio(product: Sequence[float], reference: Sequence[float]) -> float:
    """The median of the rounds' ratios: each product round against the reference round beside it."""
    return median(ours / theirs for ours, theirs in zip(product, reference, strict=True))


def ms(seconds: float) -> str:
    """Seconds as milliseconds; what never came is said so."""
    if seconds == float("inf"):
        return "never"
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"


def spread(values: Sequence[float]) -> str:
    """Median, and lowest to highest."""
    return f"{median(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})"


def held(true: bool) -> str:
    """Whether a target was met."""
    return "✓" if true else "✗"


def show(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print an aligned table."""
    print(table([list(row) for row in rows], list(heads)) + "\n", flush=True)

"""Counts as an aligned table."""

from collections.abc import Sequence


def table(rows: Sequence[tuple[str, object]], title: str) -> str:
    """Names to the left, figures to the right."""
    width = max(len(name) for name, _ in rows)
    values = [f"{value:,.2f}" if isinstance(value, float) else _whole(value) for _, value in rows]
    right = max(len(one) for one in values)
    lines = [f"  {name:<{width}}  {value:>{right}}" for (name, _), value in zip(rows, values, strict=True)]
    return "\n".join([title, *lines])


def _whole(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)

"""Reading WeCom's answers: whatever it leaves out, adds, or sends as another type must not stop us."""

from typing import Any

Answer = dict[str, Any]


def part(answer: Answer, name: str) -> Answer:
    """An object inside; empty when it is missing or something else."""
    value = answer.get(name)
    return value if isinstance(value, dict) else {}


def items(answer: Answer, name: str) -> list[Answer]:
    """The objects of a list; what is no object is left out."""
    value = answer.get(name)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def text(answer: Answer, name: str) -> str:
    """The text without NUL, which PostgreSQL cannot keep."""
    value = answer.get(name)
    return "" if value is None or isinstance(value, dict | list) else str(value).replace("\x00", "")


def texts(answer: Answer, name: str) -> tuple[str, ...]:
    """The texts of a list, without NUL."""
    value = answer.get(name)
    return tuple(str(one).replace("\x00", "") for one in value) if isinstance(value, list) else ()


def number(answer: Answer, name: str) -> int | None:
    """A whole number; WeCom sends some numbers as strings."""
    value: Any = answer.get(name)
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def share(answer: Answer, name: str) -> float | None:
    """A number with a fraction; None when there is none."""
    value: Any = answer.get(name)
    try:
        return float(value)
    except (TypeError, ValueError):
        return None

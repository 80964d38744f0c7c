"""What may be shown of an event or a call: everything but the codes that act for us and what people wrote.

An operator needs to see what came in; nobody needs a welcome code or a customer's words to mend something.
"""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from wecom import xml
from wecom.errors import BadEnvelope

HIDDEN = frozenset(
    {
        "WelcomeCode",
        "ResponseCode",
        "Token",
        "Content",
        "Recognition",
        "MediaId",
        "ThumbMediaId",
        "PicUrl",
        "Title",
        "Description",
        "Url",
        "Label",
        "Location_X",
        "Location_Y",
        "Mobile",
        "Email",
        "BizMail",
        "Telephone",
        "Address",
    }
)
HIDDEN_IN_CALLS = frozenset({"code", "welcome_code", "response_code", "access_token", "content"})
MARK = "•••"


def event(text: str) -> str:
    """The XML of an event, a line for each element, without what is hidden; all of it hidden when it is not XML."""
    try:
        content = xml.read(text)
    except BadEnvelope:
        return MARK
    return "\n".join(["<xml>", *_lines(content, 1), "</xml>"])


def _lines(content: Mapping[str, Any], depth: int) -> Iterator[str]:
    for name, value in content.items():
        for one in value if isinstance(value, list) else [value]:
            yield from _element(name, one, "  " * depth, depth)


def _element(name: str, value: Any, indent: str, depth: int) -> Iterator[str]:
    if name in HIDDEN:
        yield f"{indent}<{name}>{MARK}</{name}>"
    elif isinstance(value, Mapping):
        yield f"{indent}<{name}>"
        yield from _lines(value, depth + 1)
        yield f"{indent}</{name}>"
    else:
        yield f"{indent}<{name}>{escape(str(value), quote=False)}</{name}>"


def call(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a call without codes and without what it says to members and customers."""
    return {name: MARK if name in HIDDEN_IN_CALLS else value for name, value in body.items()}


def once(key: str) -> str:
    """Why there is only one such call; a welcome's reason is its code."""
    return f"welcome:{MARK}" if key.startswith("welcome:") else key

"""What requests and answers are made of. A request with a field we do not know is refused, never half understood.

The models are built when first used, so that a process that serves no API pays nothing for them.
"""

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

MAX_PAGE = 500
PAGE = 50


class Asked(BaseModel):
    """What somebody sends us: strict, and without unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


def example(body: dict[str, Any]) -> ConfigDict:
    """What a request may look like, for the document."""
    return ConfigDict(json_schema_extra={"examples": [body]})


def optional(words: str | None = None) -> Any:
    """A field that may be left out, but not null: which ones were given, ``model_fields_set`` tells."""

    def without_default(schema: dict[str, Any]) -> None:
        schema.pop("default", None)

    return Field(default=None, json_schema_extra=without_default, description=words)


class Query(BaseModel):
    """What somebody asks in the address. Every value there is text."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Shape(BaseModel):
    """What we answer."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, populate_by_name=True)


def _number(value: object) -> object:
    """Digits and nothing else: no sign, no blank, no point."""
    if isinstance(value, str) and not (value.isascii() and value.isdecimal() and len(value) <= 9):
        raise PydanticCustomError("int_parsing", "must be a whole number")
    return value


def _day(value: object) -> object:
    """A day written 2026-11-22."""
    if isinstance(value, str):
        try:
            return datetime.strptime(value, "%Y-%m-%d").date() if len(value) == 10 else None
        except ValueError:
            return None
    return value


Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$")]
"""Text on one line, without control characters."""
Prose = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
Limit = Annotated[int, Field(ge=1, le=MAX_PAGE, description="How many at most."), BeforeValidator(_number)]
Cursor = Annotated[
    str,
    Field(max_length=200, description="`next_cursor` of the page before, unchanged; left out for the first page."),
]
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"}, mode="validation")]
TagId = Annotated[str, StringConstraints(pattern=r"^t_[0-9]{1,18}$")]
Userid = Annotated[Line, Field(min_length=1, max_length=64, examples=["zhangsan"])]


class Paged(Query):
    """A list is read page by page."""

    limit: Limit = PAGE
    cursor: Cursor | None = None


class TagName(Asked):
    """A corp tag by its group and name; made at WeCom if there is none."""

    group: Annotated[Line, Field(min_length=1, max_length=30, examples=["来源"])]
    name: Annotated[Line, Field(min_length=1, max_length=30, examples=["抖音"])]


class Fault(Shape):
    """One field at fault."""

    loc: list[str | int] = Field(description="Where: begins with `body` or `query`.", examples=[["body", "name"]])
    msg: str


class ProblemShape(BaseModel):
    """RFC 9457. Programs should look at `type`; `title` and `detail` are for people."""

    model_config = ConfigDict(extra="allow", defer_build=True, title="Problem")
    type: str = Field(description="A stable address that explains this kind of problem.")
    title: str
    status: int
    detail: str
    errors: list[Fault] | None = Field(default=None, description="Only with 422.")
    errcode: int | None = Field(default=None, description="WeCom's own code, where WeCom refused.")


Loose = dict[str, Any]

"""The corp tags there are."""

from pydantic import Field

from api import here, paging
from api.operations import Call, Reply
from api.shapes import Paged, Shape
from storage.database import reading
from tagging import tags


class TagsQuery(Paged):
    """Which page."""


class TagInList(Shape):
    """A corp tag."""

    id: str = Field(examples=["t_5"])
    group: str
    name: str
    wecom_id: str | None = Field(description="WeCom's own id; null until the tag is first needed there.")
    customers: int = Field(description="How many customers have it.")


class TagPage(Shape):
    """Corp tags, oldest first."""

    items: list[TagInList]
    next_cursor: str | None


def list_tags(call: Call, query: TagsQuery) -> Reply:
    """One page of the corp tags, with how many customers have each."""
    after = paging.decode(query.cursor)
    with reading(here.engine()) as db:
        found, following = tags.page(db, limit=query.limit, after=after[0] if after else 0)
    items = [
        TagInList(
            id=tags.public_id(tag.id), group=tag.group_name, name=tag.name, wecom_id=tag.wecom_id, customers=customers
        )
        for tag, customers in found
    ]
    return Reply(200, TagPage(items=items, next_cursor=paging.encode(following) if following else None))

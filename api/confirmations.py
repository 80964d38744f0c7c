"""A till says that it has read a code off a customer's own page: now it knows whose points it takes."""

from typing import Annotated

from pydantic import Field

from api import here
from api.operations import Call, Reply
from api.problems import TOO_MANY, Problem, not_found
from api.shapes import Asked, Line, Shape, example
from loyalty import accounts
from people import joining, own_pages, persons
from storage.database import transaction


class CodeAsked(Asked):
    """The six digits on the customer's phone."""

    model_config = example({"code": "482913"})
    code: Annotated[Line, Field(pattern=r"^[0-9]{3} ?[0-9]{3}$", description="Valid ten minutes, once.")]


class ConfirmationShape(Shape):
    """Whose code it was."""

    customer_id: str
    available: int = Field(description="Points that can be spent.")
    confirmed: int = Field(description="So many member numbers that a rep had bound have become certain by it.")


def confirm_customer(call: Call, body: CodeAsked) -> Reply:
    """Confirm the code on a customer's own page; their browser then shows everything, and their points can be spent.

    Ten wrong codes in ten minutes, and this key has to wait (429).
    """
    with transaction(here.engine()) as db:
        attempt = own_pages.begin_guess(db, call.actor, here.now())
    if attempt is None:
        seconds = int(own_pages.CODES_WINDOW.total_seconds())
        raise Problem(TOO_MANY, "too many wrong codes", headers={"Retry-After": str(seconds)})
    with call.work() as work:
        found = own_pages.confirm(work, body.code.replace(" ", ""), by=call.actor)
        if found is None:
            raise not_found("code")
        own_pages.forgive(work.db, attempt)
        public = persons.public_id(found.person.id)
        call.note(work, "customer.confirm", public, {"certain": found.certain})
        sure = joining.confirmed(work.db, found.anchor_id)
        left = accounts.standing_of(work.db, sorted(sure), work.now).available
        return call.keep(
            work, Reply(200, ConfirmationShape(customer_id=public, available=left, confirmed=found.certain))
        )

"""Where a text to one person leads them to see their own points (``{me}``)."""

from storage.tables import Person
from storage.work import Work


def address(work: Work, person: Person) -> str:
    """The address of their own page; empty as long as there is none."""
    return ""

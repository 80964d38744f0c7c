"""What follows when a customer has opened a link of ours."""

from outreach import opens
from storage.work import Work
from wecom.events import LinkOpened


def remember_opening(event: LinkOpened, _: None, work: Work) -> None:
    """Count it, tell it in the story, give the tags of the link, let the rep know."""
    opens.record(work, event)

"""What follows when a customer group is opened, changes, or is dissolved.

An event of a change need not name who joined or left, and several changes may reach us as one: the group is read anew
each time.
"""

from people import groups
from storage.work import Work
from wecom.events import GroupChanged, GroupDismissed, GroupEvent
from wecom.gateway import Gateway
from wecom.groups import GroupFacts


def fetch_group(event: GroupEvent, gateway: Gateway) -> GroupFacts | None:
    """Read the group from WeCom; None when it is gone already or out of our sight. Raises ``TryLater``."""
    return gateway.groups.one(event.chat_id)


def remember_group(event: GroupEvent, facts: GroupFacts | None, work: Work) -> None:
    """Keep name, owner and members as WeCom has them now; who is gone left when the event says."""
    if facts is None:
        return
    quit_scene = event.quit_scene if isinstance(event, GroupChanged) else None
    scene = int(quit_scene) if quit_scene is not None and quit_scene.isdecimal() else None
    groups.keep(work, facts, left_at=event.at, quit_scene=scene)


def mark_as_dismissed(event: GroupDismissed, _: None, work: Work) -> None:
    """The group is no more; who was in it and what they did stays."""
    groups.dismiss(work, event.chat_id, event.at or work.now)

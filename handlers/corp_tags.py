"""What follows when corp tags change at WeCom."""

from storage.work import Work
from tagging import mirror
from wecom.events import CorpTagsChanged
from wecom.gateway import CorpTag, Gateway


def fetch_corp_tags(event: CorpTagsChanged, gateway: Gateway) -> list[CorpTag]:
    """Read all corp tags anew: an event names one, and deleting a group need not name its tags. Raises ``TryLater``."""
    return gateway.corp_tags()


def mirror_corp_tags(event: CorpTagsChanged, corp_tags: list[CorpTag] | None, work: Work) -> None:
    """Keep them as WeCom has them now."""
    if corp_tags is not None:
        mirror.mirror(work, corp_tags)

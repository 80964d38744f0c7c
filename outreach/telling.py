"""What we write to our own people about broadcasts: to a maker, to a manager, to whoever tries one out."""

from sqlalchemy import func, select

from people.tasks import rep_key
from storage.tables import Broadcast, Member
from storage.work import Work
from wecom.commands import textcard_to


def member(work: Work, userid: str) -> Member | None:
    """Who of us is called so and still here: others cannot be written to."""
    own = select(Member).where(func.lower(Member.userid) == userid.lower(), Member.left_at.is_(None))
    return work.db.scalars(own).first()


def maker(work: Work, broadcast: Broadcast, title: str, words: str) -> bool:
    """Tell the maker of a broadcast what has become of it; False when they cannot be written to."""
    known = member(work, broadcast.made_by)
    if known is None:
        return False
    once = f"broadcast:{broadcast.id}:{broadcast.version}:{title}"
    return about(work, known.userid, broadcast, title, words, once=once)


def about(work: Work, userid: str, broadcast: Broadcast, title: str, words: str, *, once: str) -> bool:
    """A card that leads to the page of a broadcast."""
    description = f"“{broadcast.name}”：{words}"
    card = textcard_to(userid, title, description, f"/broadcasts/{broadcast.id}", "打开")
    return work.ask(card, once=once, key=rep_key(userid))

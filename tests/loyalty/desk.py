"""A desk for tests of approvals: books, console users and keys, and every act in a word."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update

from loyalty import approvals, authority
from loyalty.approvals import Asked
from loyalty.authority import Hand
from storage.tables import ApiKey, Approval, User
from storage.work import Work
from tests.loyalty.books import Books

ROLES = {"wang": "boss", "chen": "boss", "li": "manager", "zhao": "operator", "sun": "rep"}


class Desk:
    def __init__(self, url: str, roles: dict[str, str] | None = None) -> None:
        self.books = Books(url)
        self.roles = dict(ROLES if roles is None else roles)
        self.asked = 0
        with self.work() as work:
            for userid, role in self.roles.items():
                work.db.add(User(userid=userid, role=role, created_at=work.now))

    @contextmanager
    def work(self) -> Iterator[Work]:
        with self.books.work() as work:
            yield work

    def hand(self, userid: str) -> Hand:
        return authority.of_user(userid, self.roles[userid])

    def key(self, name: str, made_by: str) -> Hand:
        with self.work() as work:
            own = select(ApiKey).where(ApiKey.name == name)
            key = work.db.scalars(own).one_or_none() or ApiKey(
                name=name, digest=name, hint="h", scopes=["all"], created_at=work.now, created_by=made_by
            )
            work.db.add(key)
            return authority.of_key(work.db, key)

    def ask(
        self,
        who: Hand | str,
        kind: str = "award",
        points: int | None = 100,
        *,
        to: int = 0,
        once: str = "",
        **more: Any,
    ) -> Approval:
        self.asked += 1
        lines: Sequence[tuple[int, int]] = more.pop("lines", ())
        payload: dict[str, Any] = {**more}
        if not lines and kind not in ("authority", "policy", "campaign"):
            payload.setdefault("account_ids", [self.books.people[to]])
        if points is not None:
            payload["points"] = points
        asked = Asked(kind, payload, "理由", once or f"ask-{self.asked}", lines)
        with self.work() as work:
            return approvals.submit(work, asked, self.hand(who) if isinstance(who, str) else who)

    def undo(self, who: str, batch: Approval) -> Approval:
        with self.work() as work:
            lines = approvals.undo_of(work.db, batch.id)
        return self.ask(who, "bulk_undo", None, lines=lines, batch=batch.id)

    def approve(self, approval: Approval | int, who: Hand | str) -> Approval:
        with self.work() as work:
            return approvals.approve(work, _id(approval), self.hand(who) if isinstance(who, str) else who)

    def reject(self, approval: Approval | int, who: Hand | str, words: str = "不对") -> Approval:
        with self.work() as work:
            return approvals.reject(work, _id(approval), self.hand(who) if isinstance(who, str) else who, words)

    def cancel(self, approval: Approval | int, who: Hand | str) -> Approval:
        with self.work() as work:
            return approvals.cancel(work, _id(approval), self.hand(who) if isinstance(who, str) else who)

    def now(self, approval: Approval | int) -> Approval:
        with self.work() as work:
            return work.db.get_one(Approval, _id(approval))

    def state(self, approval: Approval | int) -> str:
        return self.now(approval).state

    def later(self, hours: float) -> None:
        """Time passes, and the job does what it does."""
        self.books.now += timedelta(hours=hours)
        self.tend()

    def tend(self) -> None:
        with self.work() as work:
            approvals.over(work)
            due = approvals.due(work.db, work.now)
        for one in due:
            for _ in range(50):
                with self.work() as work:
                    if not approvals.go_on(work, one, most=2):
                        break

    def tamper(self, approval: Approval | int, **payload: Any) -> None:
        """Somebody changes what is written, behind our back."""
        with self.work() as work:
            row = work.db.get_one(Approval, _id(approval))
            changed = {**row.payload, **payload}
            work.db.execute(update(Approval).where(Approval.id == row.id).values(payload=changed))

    def shut_out(self, userid: str) -> None:
        with self.work() as work:
            work.db.execute(update(User).where(User.userid == userid).values(disabled_at=work.now))

    def available(self, who: int = 0) -> int:
        return self.books.standing(who).available


def _id(approval: Approval | int) -> int:
    return approval if isinstance(approval, int) else approval.id

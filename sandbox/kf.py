"""微信客服 (kf) from WeCom's side: accounts, the list of messages each account keeps, sessions, codes.

What anybody does ends here in an item of the account's list; a callback then says no more than "there is something".
Customers and servicers act in `kf_actors`, the product in `endpoints.kf_messages` and its neighbours.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from sandbox.errors import Refusal
from sandbox.facts import (
    KF_ENDED,
    KF_HUMAN,
    KF_POOL,
    NEVER_SAID,
    App,
    Json,
    KfAccount,
    KfCode,
    KfItem,
    KfLine,
    KfSent,
    KfServicer,
    KfSession,
)
from sandbox.office import Office

CUSTOMER, SYSTEM, SERVICER = 3, 4, 5
"""Where an item comes from. What an app sends is not in the list at all."""
REJECTED = 10


class CodeKind(NamedTuple):
    """What the code of one kind of event allows."""

    quick: bool
    msgtypes: tuple[str, ...]
    state: int | None
    """It can be used only while the session is in this state."""


CODE_KINDS: Mapping[str, CodeKind] = {
    "enter": CodeKind(True, ("text", "msgmenu"), None),
    "pool": CodeKind(False, ("text",), KF_POOL),
    "human": CodeKind(False, ("text",), KF_HUMAN),
    "end": CodeKind(True, ("text", "msgmenu"), KF_ENDED),
}


class KfDesk(Office):
    """The office, with a service desk."""

    # --- accounts ---------------------------------------------------------------------------------------------

    def kf_account(
        self, name: str = "豆子客服", servicers: Iterable[str] = (), *, managers: Iterable[int] | None = None
    ) -> KfAccount:
        """Make an account in the admin console, for these apps or for all; they are told."""
        with self.acting():
            account = self.make_kf_account(name)
            account.managers = None if managers is None else frozenset(managers)
            for userid in servicers:
                found = self.member(userid).userid
                account.servicers[found] = KfServicer(found)
            self._told_of_account("AuthAddOpenKfId", account.open_kfid, self.kf_apps(account))
            return account

    def make_kf_account(self, name: str, media_id: str = "") -> KfAccount:
        """A new account; nobody is told."""
        account = KfAccount(self.new_id("wk", 32), name, media_id)
        self.kf_accounts[account.open_kfid] = account
        return account

    def kf_authorise(self, open_kfid: str, agent_id: int, on: bool = True) -> None:
        """Give an app the right to manage an account, or take it away, in the admin console."""
        with self.acting():
            account = self.kf_accounts[open_kfid]
            now = {app.agent_id for app in self.kf_apps(account)}
            account.managers = frozenset(now | {agent_id} if on else now - {agent_id})
            self._told_of_account("AuthAddOpenKfId" if on else "AuthDelOpenKfId", open_kfid, [self.app(agent_id)])

    def kf_close(self, open_kfid: str) -> None:
        """Delete an account in the admin console."""
        with self.acting():
            apps = self.kf_apps(self.kf_accounts[open_kfid])
            del self.kf_accounts[open_kfid]
            self._told_of_account("AuthDelOpenKfId", open_kfid, apps)

    def kf_apps(self, account: KfAccount) -> list[App]:
        """The apps that may manage an account, and hear of it."""
        return [app for app in self.apps.values() if app.kf and manages(account, app.agent_id)]

    def kf_servicer(self, account: KfAccount, userid: str) -> KfServicer | None:
        """A servicer of an account, by himself or through his department."""
        member = self.find_member(userid)
        if member is None or member.status != 1:
            return None
        below: set[int] = set()
        for one in account.department_ids:
            below |= self.departments_below(one)
        through = KfServicer(member.userid) if below.intersection(member.departments) else None
        return account.servicers.get(member.userid, through)

    def dismiss_member(self, userid: str) -> None:
        """A member leaves the corp, and answers for no account any more."""
        with self.acting():
            super().dismiss_member(userid)
            for account in self.kf_accounts.values():
                account.servicers.pop(self.member(userid).userid, None)

    # --- sessions ---------------------------------------------------------------------------------------------

    def kf_session(self, open_kfid: str, external_userid: str) -> KfSession:
        """The session of a customer at an account; a new one where he has never been. KeyError without either."""
        key = (self.kf_accounts[open_kfid].open_kfid, self.customers[external_userid].external_userid)
        return self.kf_sessions.setdefault(key, KfSession(*key))

    def kf_session_seen(self, open_kfid: str, external_userid: str) -> KfSession:
        """The session of a customer at an account; where there is none, one that has not begun and is not kept."""
        key = (open_kfid, external_userid)
        return self.kf_sessions.get(key) or KfSession(*key)

    def kf_state(self, open_kfid: str, external_userid: str) -> int:
        """The service state now: a session that nobody has begun, or that is 48 hours old, is over."""
        return self.state_of_session(self.kf_session_seen(open_kfid, external_userid))

    def state_of_session(self, session: KfSession) -> int:
        """The service state of a session now."""
        return session.state if self.kf_window_open(session) else KF_ENDED

    def kf_window_open(self, session: KfSession) -> bool:
        """Whether the customer has written within 48 hours."""
        return self.clock.now() - session.said_at < self.limits.kf_window_seconds

    def kf_chat(self, open_kfid: str, external_userid: str) -> list[KfLine]:
        """What the customer sees in a 微信客服 chat."""
        return list(self.kf_session_seen(open_kfid, external_userid).lines)

    def kf_pulls_at_once(self, open_kfid: str) -> int:
        """The greatest number of pulls of this account that ever went on at one time."""
        return self.log.tally(f"kf/sync_msg {open_kfid}").most_at_once

    # --- the list of messages ---------------------------------------------------------------------------------

    def kf_message(self, session: KfSession, msgtype: str, payload: Json, servicer: str = "") -> str:
        """A message of the customer, or of a servicer, joins the list; its msgid."""
        origin = {"origin": SERVICER, "servicer_userid": servicer} if servicer else {"origin": CUSTOMER}
        pair = {"open_kfid": session.open_kfid, "external_userid": session.external_userid}
        msgid = self._list(session.open_kfid, {**pair, **origin}, msgtype, payload)
        who: Literal["servicer", "customer"] = "servicer" if servicer else "customer"
        session.lines.append(KfLine(msgid, who, msgtype, payload, self.clock.now(), servicer))
        return msgid

    def kf_event(self, open_kfid: str, event_type: str, **fields: object) -> str:
        """An event joins the list; its msgid. The ids are inside the event."""
        inside = {"event_type": event_type, "open_kfid": open_kfid, **fields}
        return self._list(open_kfid, {"origin": SYSTEM}, "event", inside)

    def kf_note(self, session: KfSession, name: str, servicer: str = "") -> None:
        """A notice in the customer's chat."""
        session.lines.append(KfLine("", "notice", "notice", {"name": name}, self.clock.now(), servicer))

    def _list(self, open_kfid: str, known: Json, msgtype: str, payload: Json) -> str:
        account, msgid = self.kf_accounts[open_kfid], self.new_id("kfmsg", 32)
        body = {"msgid": msgid, "send_time": self.second(), **known, "msgtype": msgtype}
        account.items.append(KfItem(self.clock.now(), body | ({msgtype: payload} if payload else {})))
        self._ring(account)
        return msgid

    # --- telling ----------------------------------------------------------------------------------------------

    def _ring(self, account: KfAccount) -> None:
        """Call back now, or once for all that comes within `kf_merge_seconds`."""
        if self.limits.kf_merge_seconds <= 0:
            self._call_back(account)
        elif not account.told_later:
            account.told_later = True
            self.agenda.after(self.limits.kf_merge_seconds, lambda: self._call_back_later(account))

    def _call_back_later(self, account: KfAccount) -> None:
        with self.acting():
            account.told_later = False
            self._call_back(account)

    def _call_back(self, account: KfAccount) -> None:
        """One callback for each app; what happens within one act shares it."""
        if any(event.fields.get("OpenKfId") == account.open_kfid for event in self._untold):
            return
        for app in self.kf_apps(account):
            token = self.new_id("ENC", 64)
            self.kf_tokens[token] = (account.open_kfid, self.clock.now())
            fields = {"Event": "kf_msg_or_event", "Token": token, "OpenKfId": account.open_kfid}
            self.tell(fields, receiver=app.agent_id)

    def _told_of_account(self, field: str, open_kfid: str, apps: Iterable[App]) -> None:
        for app in apps:
            self.tell({"Event": "kf_account_auth_change", field: [open_kfid]}, receiver=app.agent_id)

    # --- codes, and messages of apps --------------------------------------------------------------------------

    def give_kf_code(self, kind: Literal["enter", "pool", "human", "end"], session: KfSession) -> str:
        """A code for one message on an event."""
        limits = self.limits
        life = limits.kf_quick_code_seconds if CODE_KINDS[kind].quick else limits.kf_code_seconds
        pair = (session.open_kfid, session.external_userid)
        code = KfCode(self.new_id("", 43), kind, *pair, self.clock.now() + life)
        self.kf_codes[code.code] = code
        return code.code

    def redeem_kf_code(self, code: str, agent_id: int, msgtype: str) -> KfSession:
        """The session a code is for, the code used up; or a refusal that leaves it as it is."""
        found = self.kf_codes.get(code)
        account = self.kf_accounts.get(found.open_kfid) if found else None
        if found is None or account is None or self.clock.now() > found.expires_at:
            raise Refusal(95007)
        if not manages(account, agent_id):
            raise Refusal(48007)
        session, kind = self.kf_session(found.open_kfid, found.external_userid), CODE_KINDS[found.kind]
        if msgtype not in kind.msgtypes:
            raise Refusal(40008)
        if kind.state not in (None, self.state_of_session(session)):
            raise Refusal(95018)
        del self.kf_codes[code]
        if found.kind == "enter":
            session.welcomed_at = self.clock.now()
        return session

    def kf_deliver(
        self, session: KfSession, agent_id: int, msgid: str, msgtype: str, content: Json, code: str = ""
    ) -> KfSent:
        """An app's message comes to the customer, unless he takes none: the app hears of that later."""
        pair = (session.open_kfid, session.external_userid)
        sent = KfSent(msgid, *pair, agent_id, msgtype, content, self.clock.now(), code)
        self.kf_sent.append(sent)
        self.kf_msgids.add((session.open_kfid, msgid))
        session.lines.append(KfLine(msgid, "app", msgtype, content, sent.at))
        if session.refuses:
            self.kf_fail(msgid, REJECTED)
        elif self.happens(self.faults.kf_send_fail):
            self.kf_fail(msgid)
        return sent

    def kf_fail(self, msgid: str, fail_type: int = 0) -> None:
        """A message that was accepted did not arrive after all, for this reason (10: the customer takes none)."""
        with self.acting():
            sent = next(one for one in self.kf_sent if one.msgid == msgid)
            line = next(one for one in self.kf_chat(sent.open_kfid, sent.external_userid) if one.msgid == msgid)
            line.fate = "failed"
            why = {"fail_msgid": msgid, "fail_type": fail_type}
            self.kf_event(sent.open_kfid, "msg_send_fail", external_userid=sent.external_userid, **why)

    def may_welcome(self, account: KfAccount, session: KfSession) -> bool:
        """Whether entering brings a code: no console welcome, and in 48 hours neither a welcome nor a word."""
        since = self.clock.now() - self.limits.kf_window_seconds
        latest = max(session.welcomed_at, session.said_at, NEVER_SAID)
        return not account.console_welcome and latest <= since


def manages(account: KfAccount, agent_id: int) -> bool:
    """Whether an app may manage an account."""
    return account.managers is None or agent_id in account.managers

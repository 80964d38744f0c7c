"""What customers and reps do: scan, confirm, chat, edit, part. Every act changes the world, and WeCom tells of it.

The order of an arrival: the scan picks a rep, the relation becomes half or whole, each app that may call the API gets
a welcome code of its own for the one welcome there can be.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from sandbox.errors import Refusal
from sandbox.events import Telling
from sandbox.facts import (
    QUIT,
    WECHAT,
    Arrival,
    ChatLine,
    ContactWay,
    Customer,
    Fields,
    Greeting,
    Json,
    Member,
    Relation,
    SentWelcome,
    Transfer,
    WelcomeCode,
    XmlValue,
)

SCANNED, PHONE, ASSIGNED = 1, 2, 202
NOTHING = Arrival("", "", "", "nothing", {})


class Actors(Telling):
    """The facts, with a voice, and the people who do things."""

    # --- customers --------------------------------------------------------------------------------------------

    def new_customer(
        self,
        name: str,
        *,
        external_userid: str | None = None,
        unionid: str | None = None,
        kind: int = WECHAT,
        gender: int = 0,
    ) -> Customer:
        """A person with WeChat (or of another corp), or the one already known by these ids."""
        with self.acting():
            known = self.customers.get(external_userid or "") or self.by_unionid.get(unionid or "")
            return known or self._make_customer(name, external_userid, unionid, kind, gender)

    def scan(
        self,
        config_id: str,
        name: str = "小雨",
        external_userid: str | None = None,
        unionid: str | None = None,
        userid: str | None = None,
        kind: int = WECHAT,
    ) -> Arrival:
        """A customer scans a channel code, known by its config_id or its state.

        `userid` decides which of the code's reps gets him; otherwise they take turns. A code that does not exist any
        more leads to nothing.
        """
        with self.acting():
            way = self.way(config_id)
            if way is None or not self._admits(way, unionid):
                return NOTHING
            customer = self.new_customer(name, external_userid=external_userid, unionid=unionid, kind=kind)
            rep = self._choose_rep(way, customer, userid)
            return NOTHING if rep is None else self._arrive(rep, customer, way)

    def confirm(self, userid: str, external_userid: str) -> Arrival:
        """The rep accepts a request, or completes a half add."""
        with self.acting():
            rep = self.member(userid)
            way = self.requests.pop((rep.userid, external_userid), None)
            if way is not None:
                return self._befriend(rep, self.customers[external_userid], SCANNED, way.state)
            return self._complete(rep, external_userid)

    def add_by_phone(
        self, userid: str, name: str = "老王", external_userid: str | None = None, unionid: str | None = None
    ) -> Arrival:
        """The rep finds the customer by phone number, who accepts."""
        with self.acting():
            customer = self.new_customer(name, external_userid=external_userid, unionid=unionid)
            rep = self.member(userid)
            return self._befriend(rep, customer, PHONE, "", oper_userid=rep.userid)

    def customer_deletes(self, userid: str, external_userid: str) -> None:
        """The customer deletes the rep. The one-way relation stays readable."""
        with self.acting():
            row = self.relation(userid, external_userid)
            row.status = "customer_deleted"
            self._note(row, "customer_deleted")
            self.tell(about("del_follow_user", row))

    def member_deletes(self, userid: str, external_userid: str, source: str = "") -> None:
        """The rep deletes the customer: gone for the API, tags included."""
        with self.acting():
            row = self.relation(userid, external_userid)
            row.status, row.tag_ids, row.personal_tags = "member_deleted", (), ()
            self._note(row, "member_deleted")
            self.tell(about("del_external_contact", row, **({"Source": source} if source else {})))

    # --- in the chat ------------------------------------------------------------------------------------------

    def chat(self, userid: str, external_userid: str, text: str, who: Literal["customer", "rep"] = "rep") -> ChatLine:
        """One writes to the other. Once they have, no welcome goes out any more. WeCom tells nobody of it."""
        with self.acting():
            row = self.relation(userid, external_userid)
            row.chatted = True
            line = ChatLine(who, text, self.clock.now())
            self.chats[row.userid, external_userid].append(line)
            return line

    def edit_remark(
        self,
        userid: str,
        external_userid: str,
        *,
        remark: str | None = None,
        description: str | None = None,
        mobiles: Sequence[str] | None = None,
    ) -> None:
        """The rep edits in the client. A change of phone numbers alone is not told."""
        with self.acting():
            row = self.relation(userid, external_userid)
            if mobiles is not None:
                row.mobiles = tuple(mobiles)
            row.remark = row.remark if remark is None else remark
            row.description = row.description if description is None else description
            if remark is not None or description is not None:
                self._edited(row)

    def rep_tags(
        self,
        userid: str,
        external_userid: str,
        *,
        add: Iterable[str] = (),
        remove: Iterable[str] = (),
        personal: Sequence[tuple[str, str]] | None = None,
    ) -> None:
        """The rep sets corp tags (by id or name) or his own (group, tag) ones."""
        with self.acting():
            row = self.relation(userid, external_userid)
            gone = {self.tag_id(one) for one in remove}
            wanted = [*row.tag_ids, *(self.tag_id(one) for one in add)]
            row.tag_ids = tuple(one for one in dict.fromkeys(wanted) if one not in gone)
            row.personal_tags = row.personal_tags if personal is None else tuple(personal)
            self._edited(row)

    def tag_id(self, id_or_name: str) -> str:
        """The id of a corp tag that may be given by name."""
        if id_or_name in self.tags:
            return id_or_name
        return next(tag.id for _, tag in self.tags.values() if tag.name == id_or_name)

    def tag_names(self, row: Relation) -> list[str]:
        """The corp tags and then the personal ones, as a rep reads them."""
        corp = [self.tags[one][1].name for one in row.tag_ids if one in self.tags]
        return corp + [name for _, name in row.personal_tags]

    # --- welcomes ---------------------------------------------------------------------------------------------

    def give_codes(self, rep: Member, customer: Customer, greeting: Greeting) -> dict[int, str]:
        """A welcome code for each app that may call, if a welcome is possible at all."""
        row = self.relations.find(rep.userid, customer.external_userid)
        hopeless = rep.console_welcome or customer.type != WECHAT or greeting.sent or (row is not None and row.chatted)
        if hopeless:
            return {}
        callable_apps = [app for app in self.apps.values() if app.customer_contact and not app.suspended]
        return {app.agent_id: self._new_code(app.agent_id, greeting) for app in callable_apps}

    def welcome(self, code: str, agent_id: int, text: str, attachments: Sequence[Json]) -> SentWelcome:
        """Use a welcome code, or be refused: 41050 unknown or too late, 41051 too late for others, 41096 wait."""
        found = self.welcome_codes.get(code)
        now = self.clock.now()
        if found is None or found.agent_id != agent_id:
            raise Refusal(41050)
        self._check_greeting(found.greeting, now)
        if now - found.created_at > self.limits.welcome_seconds:
            raise Refusal(41050)
        return self._deliver_welcome(found, text, tuple(attachments), now)

    def _check_greeting(self, greeting: Greeting, now: float) -> None:
        if greeting.sent and now < greeting.being_sent_until:
            raise Refusal(41096)
        row = self.relations.find(greeting.userid, greeting.external_userid)
        if greeting.sent or (row is not None and row.chatted):
            raise Refusal(41051)

    def _deliver_welcome(self, code: WelcomeCode, text: str, attachments: tuple[Json, ...], now: float) -> SentWelcome:
        greeting = code.greeting
        greeting.sent = True
        others = [one for one in self.apps.values() if one.customer_contact and one.agent_id != code.agent_id]
        greeting.being_sent_until = now + self.limits.welcome_being_sent_seconds if others else now
        pair = (greeting.userid, greeting.external_userid)
        sent = SentWelcome(code.code, *pair, text, attachments, now, now - code.created_at, code.agent_id)
        self.sent.append(sent)
        self.chats[pair].append(ChatLine("welcome", text, now, attachments, sent.seconds_since_event))
        return sent

    def _new_code(self, agent_id: int, greeting: Greeting) -> str:
        code = WelcomeCode(self.new_id("", 43), agent_id, self.clock.now(), greeting)
        self.welcome_codes[code.code] = code
        return code.code

    # --- arrivals ---------------------------------------------------------------------------------------------

    def way(self, config_id_or_state: str) -> ContactWay | None:
        """The channel code with this config_id, or the first with this state."""
        by_id = self.contact_ways.get(config_id_or_state)
        ways = self.contact_ways.values()
        return by_id or next((way for way in ways if way.state == config_id_or_state), None)

    def reps_of(self, way: ContactWay) -> list[Member]:
        """The members behind a code who can have customers."""
        members = {userid: self.member(userid) for userid in way.users if self.find_member(userid)}
        for department_id in way.parties:
            members |= {one.userid: one for one in self.members_below(department_id)}
        return [one for one in members.values() if one.can_have_customers()]

    def _admits(self, way: ContactWay, unionid: str | None) -> bool:
        expired = way.is_temp and self.clock.now() > way.created_at + way.expires_in
        return not expired and way.unionid in ("", unionid)

    def _choose_rep(self, way: ContactWay, customer: Customer, userid: str | None) -> Member | None:
        reps = self.reps_of(way)
        if userid is not None:
            return self.member(userid)
        if not reps:
            return None
        known = {row.userid for row in self.relations.of_customer(customer.external_userid)}
        if way.is_exclusive and (old := next((one for one in reps if one.userid in known), None)) is not None:
            return old
        way.turn += 1
        return reps[(way.turn - 1) % len(reps)]

    def _arrive(self, rep: Member, customer: Customer, way: ContactWay) -> Arrival:
        row = self.relations.find(rep.userid, customer.external_userid)
        if row is not None and row.status == "active":
            return Arrival(customer.external_userid, rep.userid, row.state, "already", {})
        if not way.skip_verify:
            self.requests[rep.userid, customer.external_userid] = way
            return Arrival(customer.external_userid, rep.userid, way.state, "waiting", {})
        if self.half_add:
            return self._half(rep, customer, way)
        return self._befriend(rep, customer, SCANNED, way.state)

    def _half(self, rep: Member, customer: Customer, way: ContactWay) -> Arrival:
        row = self._relate(rep, customer, SCANNED, way.state, customer.external_userid)
        row.status = "half"
        greeting = Greeting(rep.userid, customer.external_userid)
        codes = self.give_codes(rep, customer, greeting)
        self.tell(about("add_half_external_contact", row, **state_of(row)), each=with_codes(codes))
        if self.half_delay is not None:
            self.agenda.after(self.half_delay, lambda: self._complete_later(rep, customer, greeting))
        return Arrival(customer.external_userid, rep.userid, way.state, "half", codes)

    def _complete_later(self, rep: Member, customer: Customer, greeting: Greeting) -> None:
        with self.acting():
            row = self.relations.find(rep.userid, customer.external_userid)
            if row is not None and row.status == "half":
                self._complete(rep, customer.external_userid, greeting)

    def _complete(self, rep: Member, external_userid: str, greeting: Greeting | None = None) -> Arrival:
        row = self.relation(rep.userid, external_userid)
        if row.status != "half":
            return Arrival(external_userid, rep.userid, row.state, "already", {})
        row.status = "active"
        known = greeting or self._greeting_of(rep.userid, external_userid)
        return self._tell_arrival(rep, row, self.give_codes(rep, row.customer, known))

    def _greeting_of(self, userid: str, external_userid: str) -> Greeting:
        """The welcome a half add has opened, so that whole and half allow one between them."""
        pair = (userid, external_userid)
        codes = reversed(self.welcome_codes.values())
        opened = (one.greeting for one in codes if (one.greeting.userid, one.greeting.external_userid) == pair)
        return next(opened, Greeting(*pair))

    def _befriend(self, rep: Member, customer: Customer, add_way: int, state: str, oper_userid: str = "") -> Arrival:
        row = self._relate(rep, customer, add_way, state, oper_userid or customer.external_userid)
        greeting = Greeting(rep.userid, customer.external_userid)
        return self._tell_arrival(rep, row, self.give_codes(rep, customer, greeting))

    def _tell_arrival(self, rep: Member, row: Relation, codes: dict[int, str]) -> Arrival:
        self._note(row, "befriended")
        self.tell(about("add_external_contact", row, **state_of(row)), each=with_codes(codes))
        return Arrival(row.external_userid, rep.userid, row.state, "added", codes)

    def _relate(self, rep: Member, customer: Customer, add_way: int, state: str, oper_userid: str) -> Relation:
        row = self.relations.find(rep.userid, customer.external_userid)
        if row is None:
            row = self.relations.add(rep.userid, customer, "active", self.second())
        row.status, row.createtime, row.chatted = "active", self.second(), False
        row.add_way, row.state, row.oper_userid = add_way, state, oper_userid
        return row

    def _make_customer(
        self, name: str, external_userid: str | None, unionid: str | None, kind: int, gender: int
    ) -> Customer:
        prefix = "wm" if kind == WECHAT else "wo"
        ext = external_userid or self.new_id(prefix, 32)
        unionid = unionid or (self.new_id("u", 28) if self.mp_bound and kind == WECHAT else "")
        customer = Customer(ext, name, kind, gender, unionid or "", openid=self.new_id("o", 28))
        self.customers[ext] = customer
        if unionid:
            self.by_unionid[unionid] = customer
        return customer

    # --- transfers --------------------------------------------------------------------------------------------

    def transfer(self, handover: str, takeover: str, external_userid: str) -> None:
        """The corp gives a customer to another rep, and it takes effect at once."""
        with self.acting():
            self._hand_over(self.member(handover), self.member(takeover), external_userid)

    def refuse_transfer(self, external_userid: str, reason: str = "customer_refused") -> None:
        """The customer says no to a transfer that is waiting."""
        with self.acting():
            waiting = next(one for one in self.transfers if one.external_userid == external_userid and one.status == 2)
            waiting.status = 4 if reason == "customer_limit_exceed" else 3
            fields = {"UserID": waiting.takeover, "ExternalUserID": external_userid, "FailReason": reason}
            self.tell({"Event": "change_external_contact", "ChangeType": "transfer_fail", **fields})

    def begin_transfer(self, old: Member, new: Member, external_userid: str) -> Transfer:
        """A transfer that takes effect in a day, unless the customer refuses."""
        waiting = Transfer(old.userid, new.userid, external_userid, self.clock.now(), resigned=old.status == QUIT)
        self.transfers.append(waiting)
        self.agenda.after(self.limits.transfer_seconds, lambda: self.complete_transfer(waiting))
        return waiting

    def complete_transfer(self, waiting: Transfer) -> None:
        """A day has passed and nobody refused: it takes effect, if the new rep still has room."""
        with self.acting():
            if waiting.status != 2:
                return
            new = self.member(waiting.takeover)
            if not new.can_have_customers() or self.is_full(new):
                self.refuse_transfer(waiting.external_userid, "customer_limit_exceed")
                return
            waiting.status, waiting.takeover_time = 1, self.second()
            self._hand_over(self.member(waiting.handover), new, waiting.external_userid)

    def is_full(self, rep: Member) -> bool:
        """Whether a rep has as many customers as he may have."""
        return sum(1 for _ in self.relations.of_member(rep.userid)) >= self.limits.customers_per_member

    def _hand_over(self, old: Member, new: Member, external_userid: str) -> None:
        """The new rep is told of an arrival, the old one of a parting; one who has left the corp is told nothing."""
        row = self._relate(new, self.customers[external_userid], ASSIGNED, "", new.userid)
        self.tell(about("add_external_contact", row))
        if old.status == QUIT:
            gone = self.relation(old.userid, external_userid)
            gone.status, gone.tag_ids, gone.personal_tags = "member_deleted", (), ()
        else:
            self.member_deletes(old.userid, external_userid, source="DELETE_BY_TRANSFER")

    # --- telling ----------------------------------------------------------------------------------------------

    def _edited(self, row: Relation) -> None:
        self.tell(about("edit_external_contact", row, **state_of(row)))

    def _note(self, row: Relation, name: str) -> None:
        self.chats[row.userid, row.external_userid].append(ChatLine("notice", name, self.clock.now()))


def about(change: str, row: Relation, **more: XmlValue) -> Fields:
    """The fields of a change to one relation."""
    pair = {"UserID": row.userid, "ExternalUserID": row.external_userid}
    return {"Event": "change_external_contact", "ChangeType": change, **pair, **more}


def state_of(row: Relation) -> dict[str, XmlValue]:
    """The State field, where there is a state."""
    return {"State": row.state} if row.state else {}


def with_codes(codes: dict[int, str]) -> dict[int, Fields]:
    """The WelcomeCode field of each app."""
    return {agent_id: {"WelcomeCode": code} for agent_id, code in codes.items()}

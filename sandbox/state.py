"""Everything the simulated WeCom knows, and the one lock around it.

Nothing here acts or tells: that is for the floors above (`events`, `actors`, `office`, `world`).
"""

import random
import string
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable

from sandbox.clock import Clock, SystemClock
from sandbox.credentials import Cursors, SignIn, Tickets, Tokens
from sandbox.errors import Refusal
from sandbox.facts import (
    App,
    AppMessage,
    ChatLine,
    ContactWay,
    Customer,
    Department,
    Event,
    GroupChat,
    JsGrant,
    Json,
    KfAccount,
    KfCode,
    KfSent,
    KfSession,
    LoggedCall,
    MassErrand,
    MassTask,
    Media,
    Member,
    Relation,
    SentWelcome,
    Tag,
    TagGroup,
    Transfer,
    WelcomeCode,
)
from sandbox.knobs import Faults, Habits, Limits
from sandbox.limits import Gates
from sandbox.log import CallLog
from sandbox.quota import Quota
from sandbox.relations import Relations

CORP_ID = "wwsandbox000000001"
LETTERS = string.ascii_letters + string.digits
EVENTS_KEPT = 50_000


class State:
    """The corp's facts. Read freely; change only while holding `lock`."""

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        seed: int = 1,
        faults: Faults | None = None,
        limits: Limits | None = None,
        habits: Habits | None = None,
        corp_id: str = CORP_ID,
        corp_name: str = "沙盒小店",
        base_url: str = "http://sandbox.invalid",
    ) -> None:
        self.corp_id = corp_id
        self.corp_name = corp_name
        self.zone = "Asia/Shanghai"
        """By whose clock the pages show their times: WeCom's, until whoever plays the corp has another."""
        self.base_url = base_url
        self.clock: Clock = clock or SystemClock()
        self.agenda = self.clock.agenda()
        self.faults = faults or Faults()
        self.limits = limits or Limits()
        self.habits = habits or Habits()
        self.rng = random.Random(seed)  # noqa: S311  chance, not secrecy
        self.lock = threading.RLock()
        self._people()
        self._business()
        self._kf()
        self._mass(seed)
        self._record()
        self._doors(seed)

    def _people(self) -> None:
        self.apps: dict[int, App] = {}
        self.departments: dict[int, Department] = {1: Department(1, self.corp_name, parent_id=0)}
        self.members: dict[str, Member] = {}
        self.customers: dict[str, Customer] = {}
        self.by_unionid: dict[str, Customer] = {}
        self.mp_bound = False
        """Whether the corp and its 公众号 belong together: then everybody has a unionid."""
        self.relations = Relations()
        self.requests: dict[tuple[str, str], ContactWay] = {}

    def _business(self) -> None:
        self.tag_groups: dict[str, TagGroup] = {}
        self.tags: dict[str, tuple[TagGroup, Tag]] = {}
        self.contact_ways: dict[str, ContactWay] = {}
        self.temp_ways_made: Counter[int] = Counter()
        self.welcome_codes: dict[str, WelcomeCode] = {}
        self.media: dict[str, Media] = {}
        self.pictures: dict[str, Media] = {}
        self.groups: dict[str, list[GroupChat]] = {}
        self.inherited_groups: set[str] = set()
        self.group_transfers: Counter[tuple[str, int]] = Counter()
        self.transfers: list[Transfer] = []
        self.half_add = False
        self.half_delay: float | None = 0.0

    def _kf(self) -> None:
        self.kf_accounts: dict[str, KfAccount] = {}
        self.kf_sessions: dict[tuple[str, str], KfSession] = {}
        self.kf_tokens: dict[str, tuple[str, float]] = {}
        self.kf_codes: dict[str, KfCode] = {}
        self.kf_links: dict[str, tuple[str, str]] = {}
        self.kf_sent: list[KfSent] = []
        self.kf_msgids: set[tuple[str, str]] = set()

    def _mass(self, seed: int) -> None:
        self.mass_tasks: dict[str, MassTask] = {}
        self.mass_errands: defaultdict[str, list[MassErrand]] = defaultdict(list)
        self.mass_quota = Quota(self.limits)
        self.mass_chance = random.Random(f"mass {seed}")  # noqa: S311  chance, not secrecy

    def _record(self) -> None:
        self.log = CallLog()
        self.sent: list[SentWelcome] = []
        self.events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self.events_made = 0
        self.chats: defaultdict[tuple[str, str], list[ChatLine]] = defaultdict(list)
        self.room_lines: defaultdict[str, list[ChatLine]] = defaultdict(list)
        self.app_messages: dict[str, AppMessage] = {}
        self.app_chats: defaultdict[tuple[int, str], list[ChatLine]] = defaultdict(list)
        self.person_times: Counter[tuple[int, int]] = Counter()
        self.recent_messages: defaultdict[tuple[int, str], deque[float]] = defaultdict(deque)
        self.message_digests: dict[tuple[int, str], float] = {}
        self.task_ids: set[tuple[int, str]] = set()
        self.response_codes: dict[str, tuple[str, float]] = {}

    def _doors(self, seed: int) -> None:
        self.tokens = Tokens(self.clock, self.limits, self.new_id)
        self.tickets = Tickets(self.clock, self.limits, self.new_id)
        self.sign_in = SignIn(self.clock, self.limits, self.new_id)
        self.js_grants: dict[str, JsGrant] = {}
        self.cursors = Cursors(self.clock, self.limits, f"cursor-{self.corp_id}-{seed}")
        self.gates = Gates(self.limits)
        self.trusted_ips: frozenset[str] | None = None
        self.planned: defaultdict[str, deque[int]] = defaultdict(deque)
        self.listeners: list[Callable[[Event], None]] = []

    # --- looking up -------------------------------------------------------------------------------------------

    def app(self, agent_id: int) -> App:
        """The app of this agentid."""
        return self.apps[agent_id]

    def find_member(self, userid: str) -> Member | None:
        """A member by userid, in any case."""
        return self.members.get(userid.lower())

    def member(self, userid: str) -> Member:
        """The member of this userid; KeyError if there is none."""
        found = self.find_member(userid)
        if found is None:
            raise KeyError(f"there is no member {userid}")
        return found

    def relation(self, userid: str, external_userid: str) -> Relation:
        """The relation of these two; KeyError if there never was one."""
        found = self.relations.find(self.member(userid).userid, external_userid)
        if found is None:
            raise KeyError(f"{external_userid} has never been a customer of {userid}")
        return found

    def departments_below(self, department_id: int) -> set[int]:
        """A department and all those under it."""
        found = {department_id}
        waiting = [department_id]
        while waiting:
            parent = waiting.pop()
            children = [one.id for one in self.departments.values() if one.parent_id == parent and one.id not in found]
            found.update(children)
            waiting.extend(children)
        return found

    def members_below(self, department_id: int) -> list[Member]:
        """The members of a department and of those under it."""
        below = self.departments_below(department_id)
        return [one for one in self.members.values() if below.intersection(one.departments)]

    def chat_of(self, userid: str, external_userid: str) -> list[ChatLine]:
        """What the two see in their chat, welcomes included."""
        return list(self.chats.get((self.member(userid).userid, external_userid), ()))

    def inbox_of(self, userid: str) -> list[AppMessage]:
        """The app messages a member has received."""
        owner = self.member(userid).userid
        return [one for one in self.app_messages.values() if one.userid == owner]

    # --- reading the log --------------------------------------------------------------------------------------

    @property
    def calls(self) -> deque[LoggedCall]:
        """The latest API calls, oldest first."""
        return self.log.calls

    def calls_to(self, path: str) -> list[LoggedCall]:
        """The latest calls to one endpoint, oldest first."""
        return self.log.to(path)

    def counts(self) -> dict[str, Json]:
        """Calls, effects, errcodes and the greatest number at one time, for each endpoint."""
        return self.log.counts()

    # --- turning knobs ----------------------------------------------------------------------------------------

    def fail_next(self, path: str, errcode: int, times: int = 1) -> None:
        """The next calls of this endpoint are refused so, nothing done."""
        self.planned[path].extend([errcode] * times)

    def kill_token(self, agent_id: int | None = None) -> None:
        """Let access tokens die before their time: the next call with one gets 40014."""
        with self.lock:
            self.tokens.kill(agent_id)

    def happens(self, probability: float) -> bool:
        """Let chance decide; costs nothing when the probability is 0."""
        return probability > 0 and self.rng.random() < probability

    def new_id(self, prefix: str, length: int) -> str:
        """An id of so many characters, prefix included."""
        with self.lock:
            return prefix + "".join(self.rng.choices(LETTERS, k=length - len(prefix)))

    def new_hex(self, length: int = 32) -> str:
        """A hexadecimal id of so many digits."""
        with self.lock:
            return f"{self.rng.getrandbits(4 * length):0{length}x}"

    def second(self) -> int:
        """The time in whole seconds, as events carry it."""
        return int(self.clock.now())

    # --- refusing in the API's words --------------------------------------------------------------------------

    def visible_member(self, userid: str, missing: int = 40003) -> Member:
        """A member the app may see, or a refusal."""
        found = self.find_member(userid)
        if found is None:
            raise Refusal(missing)
        if not found.in_range:
            raise Refusal(60011)
        return found

    def rep(self, userid: str) -> Member:
        """A member with the right to have customers."""
        found = self.visible_member(userid)
        if found.status != 1:
            raise Refusal(41054)
        if not found.customer_contact:
            raise Refusal(84074)
        return found

    def live_relation(self, userid: str, external_userid: str) -> Relation:
        """A relation the API still answers for; 84061 for half adds and for customers the member deleted."""
        owner = self.visible_member(userid)
        if external_userid not in self.customers:
            raise Refusal(40096)
        found = self.relations.find(owner.userid, external_userid)
        if found is None or found.status not in ("active", "customer_deleted"):
            raise Refusal(84061)
        return found

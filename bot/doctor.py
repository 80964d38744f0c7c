"""``scrm check``: looks at everything an installation needs, and says for each failed line which page mends it.

Questions to WeCom change nothing. To add a check: a function here and a row in ``CHECKS``.
"""

import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from bot.assembly import Parts, assemble
from bot.settings import Settings
from bot.ticking import in_the_sandbox
from storage import audit, inbox, schema
from storage.database import durability, reading
from storage.tables import InboxRow
from wecom.errors import Answered, TryLater, WeComError
from wecom.gateway import Gateway

MOST_SKEW_SECONDS = 5.0
EXAMPLES = frozenset(
    {
        "ww0000000000000000",
        "the-secret-of-your-app",
        "YourCallbackToken",
        "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
        "change-me-to-32-or-more-random-characters",
    }
)
"""The values of config.example.toml."""
CORP_PAGE = "企业微信管理后台 → 我的企业 → 企业信息 → 企业ID"
SANDBOX_MEND = "[wecom] in config.toml: `scrm sandbox` prints what belongs there"
SECRET_PAGE = "企业微信管理后台 → 应用管理 → 自建 → 本应用 → Secret"  # noqa: S105  # a page's name  # nosec B105
IP_PAGE = "企业微信管理后台 → 应用管理 → 自建 → 本应用 → 企业可信IP"
CONTACT_PAGE = "企业微信管理后台 → 客户与上下游 → 客户联系 → 客户 → API → 可调用接口的应用"
CALLBACK_PAGE = "企业微信管理后台 → 应用管理 → 自建 → 本应用 → 接收消息 → 设置API接收"
RANGE_PAGE = "企业微信管理后台 → 应用管理 → 自建 → 本应用 → 可见范围；客户联系 → 权限配置 → 使用范围"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report; ``ok`` is None when it could not be looked at."""

    name: str
    ok: bool | None
    words: str
    mend: str = ""

    def as_json(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return asdict(self)


Check = Callable[[Parts], Finding]


def check_settings(parts: Parts) -> Finding:
    """They were read, else we would not be here; say what they lead to."""
    settings = parts.settings
    if copied := example_values(settings):
        mend = SANDBOX_MEND if in_the_sandbox(settings) else "config.toml: your own values; pages are named there"
        return Finding("settings", False, f"still the example's value: {', '.join(copied)}", mend)
    where = "sandbox" if in_the_sandbox(settings) else "WeCom"
    watch = f", watching only: {', '.join(settings.wecom.watch)}" if settings.wecom.watch else ""
    return Finding("settings", True, f"corp {settings.wecom.corp_id}, app {settings.wecom.agent_id}, {where}{watch}")


def example_values(settings: Settings) -> list[str]:
    """Which settings are still those of config.example.toml, and so known to everybody."""
    wecom = settings.wecom
    given = {
        "[wecom] corp_id": wecom.corp_id,
        "[wecom] secret": wecom.secret.get_secret_value(),
        "[wecom] token": wecom.token.get_secret_value(),
        "[wecom] encoding_aes_key": wecom.encoding_aes_key.get_secret_value(),
        "[web] secret_key": settings.web.secret_key.get_secret_value(),
    }
    return [name for name, value in given.items() if value in EXAMPLES]


def check_storage(parts: Parts) -> Finding:
    """The database answers and has our schema."""
    try:
        if schema.current(parts.engine) is None:
            return Finding("storage", None, "empty; `scrm serve` sets it up at the first start")
        trouble = schema.trouble(parts.engine)
    except SQLAlchemyError as error:
        return Finding("storage", False, type(error).__name__, "[storage] url, and the database server")
    return Finding(
        "storage", trouble is None, trouble or f"schema {schema.newest()}", "scrm migrate" if trouble else ""
    )


def check_durability(parts: Parts) -> Finding:
    """A commit survives a power cut."""
    words, strong = durability(parts.engine)
    return Finding("durability", strong, words, "" if strong else "postgresql.conf: synchronous_commit = on")


def check_audit(parts: Parts) -> Finding:
    """The audit chain is whole."""
    with reading(parts.engine) as db:
        problems = audit.verify(db)
    mend = "restore the last backup" if problems else ""
    return Finding("audit", not problems, problems[0] if problems else "the chain is whole", mend)


def check_redis(parts: Parts) -> Finding:
    """Redis answers, if configured."""
    url = parts.settings.redis.url
    if not url:
        return Finding("redis", True, "not used: one machine")
    from redis.exceptions import RedisError

    from storage import over_redis

    try:
        over_redis.connect(url).ping()
    except RedisError as error:
        return Finding("redis", False, type(error).__name__, "[redis] url; work goes on without it")
    return Finding("redis", True, "answers")


def check_credentials(parts: Parts) -> Finding:
    """The secret and the caller's IP are accepted."""
    return _ask("credentials", lambda gateway: gateway.agent(), parts, "secret and trusted IP accepted")


def check_contact_permission(parts: Parts) -> Finding:
    """The app may use the customer-contact calls."""
    return _ask("customer contact", lambda gateway: gateway.reps(), parts, "allowed")


def check_sidebar(parts: Parts) -> Finding:
    """Both tickets can be had with which the sidebar's address is signed; the rest only its own self-check can see."""
    host = urlsplit(parts.settings.web.base_url).netloc
    fine = f"tickets can be had; 可信域名 must be {host}, the page in the toolbar {parts.settings.web.base_url}/sidebar"
    return _ask("sidebar", lambda gateway: (gateway.js.ticket("jsapi"), gateway.js.ticket("agent_config")), parts, fine)


def check_reps(parts: Parts) -> Finding:
    """At least one member can serve customers."""
    try:
        count = len(parts.gateway.reps())
    except WeComError as error:
        return Finding("reps", None, f"not looked at: {error}")
    return Finding("reps", count > 0, f"{count} members can serve customers", "" if count else RANGE_PAGE)


def _ask(name: str, question: Callable[[Gateway], Any], parts: Parts, fine: str) -> Finding:
    pages = {
        40013: CORP_PAGE,
        60020: IP_PAGE,
        48002: CONTACT_PAGE,
        50003: "企业微信管理后台 → 应用管理 → 本应用 → 启用",
    }
    if in_the_sandbox(parts.settings):
        pages |= {40001: SANDBOX_MEND, 40013: SANDBOX_MEND}
    try:
        question(parts.gateway)
    except Answered as error:
        return Finding(name, False, str(error), pages.get(error.errcode, SECRET_PAGE))
    except TryLater as error:
        return Finding(name, False, str(error), "the network, or [wecom] api_base")
    except WeComError as error:
        return Finding(name, False, str(error), SECRET_PAGE)
    return Finding(name, True, fine)


def check_callback(parts: Parts) -> Finding:
    """Somebody answers where WeCom would call, and events have come in."""
    address = f"{parts.settings.web.base_url}/wecom/callback"
    with reading(parts.engine) as db:
        latest = db.scalar(select(func.max(InboxRow.received_at)))
    if latest is not None:
        return Finding("callback", True, f"the last event came {latest.astimezone(parts.zone):%Y-%m-%d %H:%M}")
    return Finding("callback", None, f"no event has come to {address} yet", CALLBACK_PAGE)


def check_public_address(parts: Parts) -> Finding:
    """WeCom must be able to reach us: a name, not a loopback address (except in the sandbox)."""
    host = urlsplit(parts.settings.web.base_url).hostname or ""
    if in_the_sandbox(parts.settings):
        return Finding("address", True, f"{host}: fine for the sandbox")
    try:
        resolved = socket.gethostbyname(host)
    except OSError:
        return Finding("address", False, f"{host} has no address", "[web] base_url, and your DNS")
    local = resolved.startswith("127.") or host == "localhost"
    words = f"{host}: only this machine can reach it" if local else f"{host} is {resolved}"
    mend = "[web] base_url: the https:// address under which WeCom reaches you" if local else ""
    return Finding("address", not local, words, mend)


def check_clock(parts: Parts) -> Finding:
    """Our clock agrees with WeCom's: a welcome code lives for 20 seconds of its time."""
    skew = parts.gateway.clock_skew()
    if skew is None:
        return Finding("clock", None, "not known: WeCom was not reached")
    good = abs(skew) <= MOST_SKEW_SECONDS
    return Finding("clock", good, f"{skew:+.1f} s against WeCom", "" if good else "switch on NTP on this machine")


def check_inbox(parts: Parts) -> Finding:
    """Nothing is stuck."""
    with reading(parts.engine) as db:
        box = inbox.health(db)
    aside = box.counts.get("aside", 0)
    words = f"{box.counts.get('done', 0)} done, {box.open} waiting, {aside} set aside"
    return Finding("inbox", aside == 0, words, "控制台 → 运行 → 事件，或 scrm events --state aside" if aside else "")


CHECKS: tuple[tuple[str, Check], ...] = (
    ("settings", check_settings),
    ("storage", check_storage),
    ("durability", check_durability),
    ("audit", check_audit),
    ("inbox", check_inbox),
    ("redis", check_redis),
    ("credentials", check_credentials),
    ("customer contact", check_contact_permission),
    ("reps", check_reps),
    ("sidebar", check_sidebar),
    ("callback", check_callback),
    ("address", check_public_address),
    ("clock", check_clock),
)
NEED_STORAGE = frozenset({"audit", "inbox", "credentials", "customer contact", "reps", "sidebar", "callback"})


def examine(settings: Settings) -> list[Finding]:
    """Every check in order. What needs the database is left out while that fails."""
    parts = assemble(settings)
    findings: list[Finding] = []
    for name, check in CHECKS:
        storage = next((one for one in findings if one.name == "storage"), None)
        if name in NEED_STORAGE and storage is not None and not storage.ok:
            findings.append(Finding(name, None, "not looked at: storage comes first"))
        else:
            findings.append(check(parts))
    return findings


def as_text(findings: list[Finding]) -> str:
    """One line each, aligned; below a failed one where to mend it."""
    marks = {True: "✓", False: "✗", None: "?"}
    widest = max(len(one.name) for one in findings)
    lines = []
    for one in findings:
        lines.append(f"{marks[one.ok]} {one.name.ljust(widest)}  {one.words}")
        if one.mend:
            lines.append(f"  {' ' * widest}  → {one.mend}")
    return "\n".join(lines)

"""Settings (设置): members and departments, who may sign in, API keys, the calendar, the audit log, the parameters."""

import calendar as months
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for
from sqlalchemy import select

from console import here, known
from console.channels import csv_answer, member_names
from console.doors import guarded
from console.layout import ROLE_WORDS, back_to, say
from console.words import N_, _
from people import api_keys, calendar, sign_in, users
from people.access import ROLES
from people.api_keys import BadKey
from people.sign_in import Refused
from storage import audit, lists
from storage.tables import Department, Member, User

pages = Blueprint("settings", __name__, url_prefix="/settings")

PAGE = 100
MOST_EXPORTED = 100_000
OFFERED = ("customers", "orders", "points", "events", "channels", "tags", "segments", "broadcasts", "webhooks")
"""Subjects of the open API that work; others can be named once they do."""
SUBJECT_WORDS = {
    "customers": N_("客户"),
    "channels": N_("渠道活码"),
    "tags": N_("标签"),
    "segments": N_("分层"),
    "broadcasts": N_("群发"),
    "orders": N_("订单"),
    "points": N_("积分"),
    "events": N_("客户行为"),
    "webhooks": N_("通知外部系统"),
    "all": N_("全部"),
}
STATUS_WORDS = {
    1: (N_("在职"), "good"),
    2: (N_("已禁用"), "warn"),
    4: (N_("未激活"), "warn"),
    5: (N_("已离职"), "quiet"),
}
LIFETIMES = {"": N_("不过期"), "30": N_("30 天"), "90": N_("90 天"), "365": N_("1 年")}
ACTION_WORDS = {
    "sign_in": N_("登录"),
    "password": N_("密码"),
    "access": N_("被拒绝的访问"),
    "person": N_("客户"),
    "tag": N_("标签"),
    "channel": N_("渠道活码"),
    "channel_import": N_("批量创建"),
    "picture": N_("图片"),
    "sync": N_("核对"),
    "bulk": N_("批量打标签"),
    "handover": N_("离职与在职交接"),
    "task": N_("待办"),
    "customer": N_("客户资料"),
    "event": N_("事件"),
    "call": N_("请求"),
    "organisation": N_("成员和部门"),
    "user": N_("用户"),
    "key": N_("接口密钥"),
    "webhook": N_("通知外部系统"),
    "door": N_("订单入口"),
    "calendar": N_("节假日"),
    "audit": N_("操作记录"),
}


# --- members and departments -----------------------------------------------------------------------------------------


@pages.get("")
@guarded("see_settings")
def index() -> str:
    """Members as WeCom tells them: who serves customers, who has left."""
    wanted, department = request.args.get("who", ""), here.number(request.args.get("department"))
    with here.reading() as db:
        everybody = list(db.scalars(select(Member).order_by(Member.left_at.is_not(None), Member.name, Member.userid)))
        departments = list(db.scalars(select(Department).order_by(Department.order.desc(), Department.id)))
    tests: dict[str, Callable[[Member], bool]] = {
        "serving": lambda one: one.serves and one.left_at is None,
        "idle": lambda one: not one.serves and one.left_at is None,
        "left": lambda one: one.left_at is not None,
    }
    found = [one for one in everybody if wanted not in tests or tests[wanted](one)]
    if department is not None:
        found = [one for one in found if department in one.departments]
    return render_template(
        "settings/members.html",
        members=found,
        counts={name: sum(map(test, everybody)) for name, test in tests.items()},
        total=len(everybody),
        wanted=wanted,
        department=department,
        departments={one.id: one for one in departments},
        tree=_tree(departments),
        leaders=_leaders(departments, everybody),
        names={one.userid: one.name for one in everybody},
        statuses=STATUS_WORDS,
    )


def _tree(departments: Sequence[Department]) -> list[tuple[int, Department]]:
    """Every department after the one it belongs to, with its depth; the root first, brothers as WeCom orders them."""
    known_ids = {one.id for one in departments}
    below: dict[int | None, list[Department]] = {}
    for one in departments:
        below.setdefault(one.parent_id if one.parent_id in known_ids else None, []).append(one)
    found, waiting = [], [(0, one) for one in reversed(below.pop(None, []))]
    while waiting:
        depth, one = waiting.pop()
        found.append((depth, one))
        waiting += [(depth + 1, child) for child in reversed(below.pop(one.id, []))]
    return found + [(0, one) for rest in below.values() for one in rest]


def _leaders(departments: Sequence[Department], members: Sequence[Member]) -> Mapping[int, list[str]]:
    """Who leads each department: WeCom says it of the department, of the member, or of both."""
    found = {one.id: dict.fromkeys(one.leaders) for one in departments}
    for member in members:
        for led in member.leads:
            if member.left_at is None and led in found:
                found[led].setdefault(member.userid)
    return {number: list(userids) for number, userids in found.items()}


# --- who may sign in -------------------------------------------------------------------------------------------------


@pages.get("/users")
@guarded("manage_house")
def user_list() -> str:
    """Console users and their roles."""
    return _users()


def _users(error: str = "", link: str = "", whose: str = "") -> str:
    with here.reading() as db:
        found = users.listed(db)
        known = {one.user.userid.lower() for one in found}
        here_now = select(Member).where(Member.left_at.is_(None)).order_by(Member.name, Member.userid)
        others = [one for one in db.scalars(here_now) if one.userid.lower() not in known]
    return render_template(
        "settings/users.html",
        users=found,
        others=others,
        roles=[(role, _(ROLE_WORDS[role])) for role in ROLES],
        error=error,
        link=link,
        whose=whose,
        lives=sign_in.LINK_LIVES,
        myself=here.viewer().user_id,
    )


@pages.post("/users")
@guarded("manage_house")
def add_user() -> Any:
    """Let somebody use the console; a link for the first sign-in is shown once."""
    userid, role = request.form.get("userid", "").strip(), request.form.get("role", "")
    try:
        with here.working() as work:
            user = sign_in.add_user(work.db, userid, role, work.now)
            token = sign_in.issue_link(work.db, user, work.now)
            here.note(work, "user.add", userid, {"role": role})
    except Refused as error:
        return _users(error=str(error)), 422
    return _users(link=_link(token), whose=userid)


@pages.post("/users/<int:user_id>/role")
@guarded("manage_house")
def change_role(user_id: int) -> Any:
    """Give another role; the last boss stays one."""
    role = request.form.get("role", "")
    try:
        with here.working() as work:
            user = users.change_role(work, user_id, role)
            here.note(work, "user.role", user.userid, {"role": role})
    except Refused as error:
        return _users(error=str(error)), 422
    say(_("角色已更改，对方需要重新登录"))
    return back_to("settings.user_list")


@pages.post("/users/<int:user_id>/disable")
@guarded("manage_house")
def disable_user(user_id: int) -> Any:
    """Shut a user out, everywhere and at once."""
    try:
        with here.working() as work:
            user = users.disable(work, user_id)
            here.note(work, "user.disable", user.userid)
    except Refused as error:
        return _users(error=str(error)), 422
    say(_("已停用，对方在所有设备上都已退出"))
    return back_to("settings.user_list")


@pages.post("/users/<int:user_id>/enable")
@guarded("manage_house")
def enable_user(user_id: int) -> Any:
    """Let a user in again."""
    user = _user(user_id)
    with here.working() as work:
        sign_in.enable(work.db, user_id)
        here.note(work, "user.enable", user.userid)
    say(_("已恢复，对方可以登录了"))
    return back_to("settings.user_list")


@pages.post("/users/<int:user_id>/link")
@guarded("manage_house")
def issue_link(user_id: int) -> Any:
    """A one-time link by which the user signs in and sets a password anew; shown once."""
    userid = _user(user_id).userid
    with here.working() as work:
        user = work.db.get_one(User, user_id)
        token = sign_in.issue_link(work.db, user, work.now)
        here.note(work, "user.link", userid)
    return _users(link=_link(token), whose=userid)


@pages.post("/users/<int:user_id>/forget-password")
@guarded("manage_house")
def forget_password(user_id: int) -> Any:
    """Take a password away: every session ends, and a one-time link to begin anew is shown."""
    userid = _user(user_id).userid
    with here.working() as work:
        user = work.db.get_one(User, user_id)
        user.password_hash = None
        sign_in.end_sessions(work.db, user_id, work.now)
        token = sign_in.issue_link(work.db, user, work.now)
        here.note(work, "password.reset", userid)
    return _users(link=_link(token), whose=userid)


def _user(user_id: int) -> User:
    with here.reading() as db:
        return db.get(User, user_id) or here.not_here()


def _link(token: str) -> str:
    return here.setting("base_url") + url_for("sign_in.link", token=token)


# --- API keys --------------------------------------------------------------------------------------------------------


@pages.get("/keys")
@guarded("manage_house")
def keys() -> str:
    """Keys for the open API."""
    return _keys()


def _keys(plain: str = "", name: str = "", problems: list[tuple[str, str]] | None = None) -> str:
    with here.reading() as db:
        found = api_keys.listed(db)
        names = member_names(db)
    return render_template(
        "settings/keys.html",
        keys=found,
        names=names,
        plain=plain,
        name=name,
        errors=dict(problems or []),
        ticked=request.form.getlist("scope"),
        subjects=[(one, _(SUBJECT_WORDS[one])) for one in OFFERED],
        lifetimes=[(days, _(words)) for days, words in LIFETIMES.items()],
        words=SUBJECT_WORDS,
        now=here.now(),
    )


@pages.post("/keys")
@guarded("manage_house")
def create_key() -> Any:
    """Make a key; it is shown this once."""
    name, days = request.form.get("name", ""), request.form.get("days", "")
    scopes = _without_halves(request.form.getlist("scope"))
    expires = here.now() + timedelta(days=int(days)) if days in LIFETIMES and days else None
    try:
        with here.working() as work:
            row, plain = api_keys.create(work, name, scopes, here.viewer().userid, expires)
            here.note(work, "key.create", row.name, {"scopes": row.scopes, "hint": row.hint})
    except BadKey as error:
        return _keys(name=name, problems=error.problems), 422
    return _keys(plain=plain, name=row.name)


def _without_halves(scopes: list[str]) -> list[str]:
    """``customers:read`` and ``customers:write`` together are ``customers``."""
    whole = {one for one in api_keys.SUBJECTS if {f"{one}:{verb}" for verb in api_keys.VERBS} <= set(scopes)}
    return [*whole, *(one for one in scopes if one.partition(":")[0] not in whole)]


@pages.post("/keys/<int:key_id>/revoke")
@guarded("manage_house")
def revoke_key(key_id: int) -> Any:
    """Let a key open nothing any more, from the next request on."""
    with here.working() as work:
        row = api_keys.revoke(work, key_id)
        if row is not None:
            here.note(work, "key.revoke", row.name, {"hint": row.hint})
    say(_("密钥已作废"))
    return back_to("settings.keys")


# --- calendar --------------------------------------------------------------------------------------------------------


@pages.get("/calendar")
@guarded("see_settings")
def calendar_page() -> str:
    """A year with its holidays and make-up days."""
    year = here.number(request.args.get("year")) or here.today().year
    year = min(max(year, 2000), 2100)
    with here.reading() as db:
        days = calendar.of_year(db, year)
    grid = months.Calendar(firstweekday=0)
    weeks = {month: grid.monthdatescalendar(year, month) for month in range(1, 13)}
    return render_template("settings/calendar.html", year=year, days=days, weeks=weeks, this_year=here.today().year)


@pages.post("/calendar")
@guarded("edit_calendar")
def change_day() -> Any:
    """Make a day a holiday or a working day, or let it follow the week."""
    try:
        day = date.fromisoformat(request.form.get("day", ""))
    except ValueError:
        say(_("请选择一个日期"), "bad")
        return back_to("settings.calendar_page")
    kind = request.form.get("kind", "")
    with here.working() as work:
        before = calendar.change(work, day, kind, request.form.get("name", "").strip())
        here.note(work, "calendar.change", day.isoformat(), {"from": before, "to": kind})
    say(_("已保存，渠道活码的时段会照它走"))
    return back_to("settings.calendar_page", year=day.year)


# --- audit -----------------------------------------------------------------------------------------------------------


@pages.get("/audit")
@guarded("see_audit")
def audit_log() -> str:
    """Who did what, when, from where."""
    with here.reading() as db:
        rows, following = lists.audit_rows(
            db, **_audit_filter(), limit=PAGE, before=here.number(request.args.get("before"))
        )
        problems = audit.verify(db) if "verify" in request.args else None
        subjects = known.subjects(db, here.sight(db), rows)
        return render_template(
            "settings/audit.html",
            rows=rows,
            following=following,
            filters={name: value for name, value in request.args.items() if name in _AUDIT_FIELDS and value},
            names=member_names(db),
            subjects=subjects,
            called={text: one.words for text, one in subjects.items()},
            actions=ACTION_WORDS,
            problems=problems,
        )


_AUDIT_FIELDS = ("actor", "action", "subject", "from", "to")


def _audit_filter() -> dict[str, Any]:
    """What the address narrows the log to; days are the shop's."""
    until = _midnight(request.args.get("to", ""))
    return {
        **{name: request.args.get(name, "").strip() for name in ("actor", "action", "subject")},
        "since": _midnight(request.args.get("from", "")),
        "until": until + timedelta(days=1) if until else None,
    }


def _midnight(text: str) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(text), time(), here.zone()).astimezone(UTC)
    except ValueError:
        return None


@pages.get("/audit.csv")
@guarded("see_audit")
def audit_csv() -> Response:
    """The filtered log as CSV; this, too, is a line in it."""
    with here.reading() as db:
        rows, _following = lists.audit_rows(db, **_audit_filter(), limit=MOST_EXPORTED)
    with here.working() as work:
        here.note(work, "audit.export", details={"count": len(rows)})
    head = [_("时间"), _("谁"), _("做了什么"), _("对象"), _("详情"), _("来自")]
    lines = ([one.at.astimezone(here.zone()), one.actor, one.action, one.subject, str(one.details or ""), one.address]
             for one in rows)  # fmt: skip
    return csv_answer("audit.csv", head, lines)


# --- how the house runs ----------------------------------------------------------------------------------------------


@pages.get("/house")
@guarded("see_settings")
def house() -> str:
    """What the settings file says that an operator should know; it is changed there."""
    return render_template(
        "settings/house.html",
        facts=[
            (_("企业 ID"), here.setting("corp_id")),
            (_("应用 AgentId"), here.setting("agent_id")),
            (_("访问地址"), here.setting("base_url")),
            (_("回调地址"), here.setting("base_url") + "/wecom/callback"),
            (_("时区"), str(here.zone())),
            (_("数据库"), here.engine().dialect.name),
        ],
        watching=_watching(),
    )


def _watching() -> list[tuple[str, bool]]:
    """Each sender, and whether it only shows what it would do."""
    senders = {"welcome": _("欢迎语"), "tags": _("打标签"), "answers": _("自动回复"), "mass": _("群发")}
    watched = here.watch()
    return [(words, name in watched or "all" in watched) for name, words in senders.items()]

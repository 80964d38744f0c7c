"""Other systems (设置 → 外部系统): what they are told by webhooks and what became of it, and doors for their orders."""

import json
import re
from typing import Any

from flask import Blueprint, render_template, request

from console import here
from console.channels import member_names
from console.doors import guarded
from console.layout import back_to, say
from console.outside_words import EVENT_WORDS, FIELD_WORDS, STATES, TROUBLES
from console.words import _, said
from handlers import inbound
from outreach import webhook_bodies, webhooks
from outreach.webhooks import CannotBe
from people import orders, templates
from people.orders import Bad
from people.templates import BadTemplate
from scheduler import calling
from storage.tables import InboundDoor, Webhook
from storage.work import Work

pages = Blueprint("outside", __name__, url_prefix="/settings/outside")

PAGE = 50
NAME = re.compile(r"^[a-z0-9][a-z0-9-]{1,38}$")
SAMPLE = """\
{"orders": [{"id": "T1001", "pay_time": "2026-11-01T10:00:00+08:00", "total": 19990, "status": "PAID",
             "buyer": {"id": "b-17"}, "items": [{"sku": "S1", "title": "拿铁", "count": 2, "price": 6000}]}]}"""


@pages.get("")
@guarded("manage_house")
def index() -> str:
    """Everybody who is told, and every door."""
    return _index()


def _index(**more: Any) -> str:
    with here.reading() as db:
        found, doors = webhooks.listed(db), inbound.doors(db)
        return render_template(
            "outside/index.html",
            hooks=found,
            waiting=webhooks.waiting(db),
            doors=doors,
            names=member_names(db),
            events=[(name, _(words)) for name, words in EVENT_WORDS.items()],
            shown=calling.shown,
            trouble=lambda text: said(text, TROUBLES),
            base=here.setting("base_url"),
            **{"secret": "", "url": "", "ticked": [], "errors": {}, **more},
        )


# --- webhooks --------------------------------------------------------------------------------------------------------


@pages.post("/webhooks")
@guarded("manage_house")
def make() -> Any:
    """Tell an address from now on; its secret is shown this once."""
    url, events = request.form.get("url", "").strip(), request.form.getlist("event")
    try:
        _look(url)
        with here.working() as work:
            row, plain = webhooks.make(work, here.cipher(), url, events, here.viewer().userid)
            here.note(work, "webhook.create", f"w_{row.id}", {"host": calling.shown(url), "events": row.events})
    except CannotBe as error:
        return _index(url=url, ticked=events, errors={error.field: said(error.words, TROUBLES)}), 422
    return _index(secret=plain, whose=calling.shown(url))


def _look(url: str) -> None:
    """Refuse what is no address, or leads inside. Raises ``CannotBe``."""
    try:
        if not here.private_networks() and not url.startswith("https://"):
            raise calling.NotThere(calling.HTTPS_ONLY)
        calling.look_up(url, private=here.private_networks())
    except calling.NotThere as why:
        raise CannotBe("url", str(why)) from None


@pages.get("/webhooks/<int:webhook_id>")
@guarded("manage_house")
def show(webhook_id: int) -> str:
    """One webhook: what it was told, and what became of it."""
    return _show(webhook_id)


def _show(webhook_id: int, **more: Any) -> str:
    state = request.args.get("state", "") if request.args.get("state") in STATES else ""
    with here.reading() as db:
        row = db.get(Webhook, webhook_id) or here.not_here(f"webhook:{webhook_id}")
        before = here.number(request.args.get("before"))
        found, following = webhooks.messages(db, webhook_id, state, limit=PAGE, before=before)
        return render_template(
            "outside/show.html",
            hook=row,
            messages=[(one, _told(webhook_bodies.body(db, one, here.zone()))) for one in found],
            following=following,
            chosen=state,
            states={name: (_(words), tone) for name, (words, tone) in STATES.items()},
            words=EVENT_WORDS,
            waiting=webhooks.waiting(db).get(webhook_id, 0),
            trouble=lambda text: said(text, TROUBLES),
            host=calling.shown(row.url),
            **{"secret": "", **more},
        )


def _told(body: dict[str, Any] | None) -> str:
    return "" if body is None else json.dumps(body, ensure_ascii=False, indent=1)


@pages.post("/webhooks/<int:webhook_id>/<deed>")
@guarded("manage_house")
def change(webhook_id: int, deed: str) -> Any:
    """Turn it on or off, give it a new secret, or remove it."""
    if deed not in ("on", "off", "secret", "remove"):
        here.not_here(f"webhook:{deed}")
    plain = ""
    with here.working() as work:
        row = webhooks.held(work, webhook_id) or here.not_here(f"webhook:{webhook_id}")
        here.note(work, f"webhook.{deed}", f"w_{webhook_id}", {"host": calling.shown(row.url)})
        if deed == "secret":
            plain = webhooks.change_secret(work, here.cipher(), row)
        else:
            {"on": webhooks.turn_on, "off": webhooks.turn_off, "remove": webhooks.remove}[deed](work, row)
    if plain:
        return _show(webhook_id, secret=plain)
    say({"on": _("已恢复通知"), "off": _("已停止通知"), "remove": _("已删除")}[deed])
    return back_to("outside.index") if deed == "remove" else back_to("outside.show", webhook_id=webhook_id)


@pages.post("/webhooks/<int:webhook_id>/messages/<int:message_id>")
@guarded("manage_house")
def replay(webhook_id: int, message_id: int) -> Any:
    """Send a message again, under the same id."""
    with here.working() as work:
        message = webhooks.replay(work, webhook_id, message_id)
        if message is not None:
            here.note(work, "webhook.replay", f"w_{webhook_id}", {"message": message_id})
    say(_("会马上再发一次") if message else _("这条消息已在等待，或已不在了"), "good" if message else "warn")
    return back_to("outside.show", webhook_id=webhook_id)


# --- doors -----------------------------------------------------------------------------------------------------------


@pages.get("/doors/new")
@guarded("manage_house")
def new_door() -> str:
    """A door with a template to begin with."""
    return _door(None, "", dict(templates.EXAMPLE))


@pages.get("/doors/<int:door_id>")
@guarded("manage_house")
def door(door_id: int) -> str:
    """One door and its template."""
    with here.reading() as db:
        row = db.get(InboundDoor, door_id) or here.not_here(f"door:{door_id}")
    return _door(row, row.name, row.template)


def _door(row: InboundDoor | None, name: str, template: dict[str, str], **more: Any) -> str:
    return render_template(
        "outside/door.html",
        door=row,
        name=name,
        template=template,
        fields=[(one, _(FIELD_WORDS[one]), one in templates.NEEDED) for one in templates.FIELDS],
        base=here.setting("base_url"),
        yuan=orders.yuan,
        sample=request.form.get("sample", SAMPLE),
        **{"errors": {}, "secret": "", "found": None, "wrong": "", **more},
    )


@pages.post("/doors/new")
@guarded("manage_house")
def make_door() -> Any:
    """Make a door, or try its template on a message without making it."""
    return _kept(None)


@pages.post("/doors/<int:door_id>")
@guarded("manage_house")
def change_door(door_id: int) -> Any:
    """Keep another template, try one, change the secret, shut or open the door."""
    with here.reading() as db:
        row = db.get(InboundDoor, door_id) or here.not_here(f"door:{door_id}")
    return _kept(row)


def _kept(row: InboundDoor | None) -> Any:
    template = {one: request.form.get(one, "") for one in templates.FIELDS}
    name = row.name if row else request.form.get("name", "").strip()
    try:
        if request.form.get("deed") == "try":
            return _tried(row, name, template)
        with here.working() as work:
            held, plain = _deed(work, row, name, templates.checked(template))
    except BadTemplate as error:
        errors = {field: said(words, TROUBLES) for field, words in error.problems.items()}
        return _door(row, name, template, errors=errors), 422
    if held is None:
        return _door(row, name, template, errors={"name": plain}), 422
    if plain:
        return _door(held, held.name, held.template, secret=plain)
    say(_("已保存"))
    return back_to("outside.door", door_id=held.id)


def _deed(work: Work, row: InboundDoor | None, name: str, template: dict[str, str]) -> tuple[InboundDoor | None, str]:
    """What the form asks for: the door, and a secret to show; without a door, what is wrong with its name."""
    deed = request.form.get("deed", "keep")
    if row is None:
        made = (
            inbound.make_door(work, here.cipher(), name, template, here.viewer().userid) if NAME.match(name) else None
        )
        if made is None:
            return None, _("用小写字母、数字和 -，2 到 39 个，不能与别的重名")
        here.note(work, "door.create", f"door:{name}", {})
        return made
    held = work.db.get_one(InboundDoor, row.id, with_for_update=True, populate_existing=True)
    plain = ""
    if deed == "secret":
        plain = inbound.change_secret(work, here.cipher(), held)
    elif deed in ("shut", "open"):
        held.shut_at = work.now if deed == "shut" else None
    else:
        held.template = template
    here.note(work, f"door.{deed}", f"door:{held.name}", {"template": template} if deed == "keep" else {})
    return held, plain


def _tried(row: InboundDoor | None, name: str, template: dict[str, str]) -> Any:
    found, wrong = None, ""
    with here.reading() as db:
        try:
            found = inbound.try_out(template, request.form.get("sample", ""), Work(db, here.now(), zone=here.zone()))
        except Bad as error:
            wrong = str(error)
        except BadTemplate:
            raise
        except (ValueError, RecursionError):
            wrong = _("这不是 JSON")
    return _door(row, name, template, found=found, wrong=wrong)

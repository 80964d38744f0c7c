"""Rewards (奖品): the catalogue with stock and codes, what was redeemed and taken back, what was given to causes."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from console import counter, here, known, reward_words
from console.doors import guarded
from console.layout import back_to, say
from console.words import _
from loyalty import reward_desk, rewards, tiers
from loyalty.reward_desk import BadCodes, Count, Draft, Wrong
from loyalty.rewards import COUPON, DONATION, CannotHandOut
from storage.tables import Member, Redemption, Reward

pages = Blueprint("rewards", __name__, url_prefix="/points/rewards")

PAGE = 50
LATELY = timedelta(days=30)
MOST_BYTES = 8 * 1024 * 1024
NONE = Count()


@pages.get("")
@guarded("see_points_programme")
def index() -> str:
    """The catalogue, and what became of each in thirty days."""
    with here.reading() as db:
        lately = reward_desk.counts(db, here.now() - LATELY)
        return render_template(
            "rewards/index.html",
            found=reward_desk.listed(db),
            lately=lately,
            nothing=NONE,
            total=sum(one.open + one.used for one in lately.values()),
            points=sum(one.points for one in lately.values()),
            waiting=sum(one.open for one in reward_desk.counts(db).values()),
            **_words(),
        )


def _words() -> dict[str, Any]:
    return {"kinds": reward_words.KINDS, "states": reward_words.STATES, "became": reward_words.BECAME}


# --- setting up ------------------------------------------------------------------------------------------------------


@pages.get("/new")
@guarded("edit_points_programme")
def new() -> str:
    """An empty form."""
    return _form(MultiDict({"kind": "goods", "days": "30"}))


@pages.post("/new")
@guarded("edit_points_programme")
def create() -> Any:
    """Keep a draft."""
    return _keep(None)


@pages.get("/<int:reward_id>/edit")
@guarded("edit_points_programme")
def edit(reward_id: int) -> str:
    """The form of a reward."""
    with here.reading() as db:
        row = _reward(db, reward_id)
    numbers = {name: getattr(row, name) for name in ("points", "stock", "per_person", "per_day", "days")}
    words = {name: getattr(row, name) for name in ("name", "kind", "about", "level", "cause")}
    times = {name: _typed(getattr(row, name)) for name in ("from_at", "to_at")}
    more = {"stores": "\n".join(row.stores), "worth": f"{Decimal(row.worth) / 100:.2f}" if row.worth else ""}
    told = {name: str(one) for name, one in {**numbers, **words, **times, **more}.items() if one is not None}
    return _form(MultiDict(told), row)


@pages.post("/<int:reward_id>/edit")
@guarded("edit_points_programme")
def change(reward_id: int) -> Any:
    """Change a reward: what was redeemed keeps what it cost."""
    return _keep(reward_id)


def _keep(reward_id: int | None) -> Any:
    row = None
    try:
        with here.working() as work:
            row = _reward(work.db, reward_id) if reward_id is not None else None
            kept = reward_desk.keep(work, _draft(), here.viewer().userid, reward_id)
            here.note(work, "reward.save", f"reward:{kept.id}", {"name": kept.name})
            number = kept.id
    except Wrong as error:
        told = {name: _(reward_words.WRONG[name, code]) for name, code in error.problems}
        return _form(request.form, row, told), 422
    return back_to("rewards.show", reward_id=number)


def _draft() -> Draft:
    form = request.form
    numbers = {name: _whole(form.get(name, "")) for name in ("stock", "per_person", "per_day", "points", "days")}
    return Draft(
        name=form.get("name", "").strip(),
        kind=form.get("kind", ""),
        about=form.get("about", "").strip(),
        stores=_stores(form.get("stores", "")),
        from_at=_moment(form.get("from_at", "")),
        to_at=_moment(form.get("to_at", "")),
        level=form.get("level", ""),
        cause=form.get("cause", "").strip(),
        worth=_fen(form.get("worth", "")),
        **numbers,
    )


def _whole(typed: str) -> int | None:
    """None where nothing is typed; −1, which is refused everywhere, for what is no number."""
    typed = typed.strip().replace(",", "")
    return None if not typed else int(typed) if typed.isascii() and typed.isdecimal() and len(typed) <= 9 else -1


def _fen(typed: str) -> int:
    """Yuan as fen; 0 for nothing; −1 for what is no amount."""
    try:
        fen = Decimal(typed.strip() or "0") * 100 if len(typed) <= 12 else Decimal(-1)
        return int(fen) if fen.is_finite() and fen == fen.to_integral_value() else -1
    except InvalidOperation:
        return -1


def _stores(typed: str) -> tuple[str, ...]:
    parts = typed.replace("，", "\n").replace(",", "\n").splitlines()
    return tuple(dict.fromkeys(one.strip() for one in parts if one.strip()))


def _moment(typed: str) -> datetime | None:
    try:
        return datetime.fromisoformat(typed.strip()).replace(tzinfo=here.zone())
    except ValueError:
        return None


def _typed(at: datetime | None) -> str:
    return "" if at is None else f"{at.astimezone(here.zone()):%Y-%m-%dT%H:%M}"


def _form(typed: MultiDict[str, str], row: Reward | None = None, errors: Mapping[str, str] | None = None) -> str:
    with here.reading() as db:
        levels = [(one.key, one.name) for one in tiers.scheme(db).levels[1:]]
    return render_template("rewards/form.html", typed=typed, row=row, errors=errors or {}, levels=levels, **_words())


def _reward(db: Session, reward_id: int) -> Reward:
    row = db.get(Reward, reward_id)
    if row is None:
        here.not_here(f"reward:{reward_id}")
    return row


@pages.get("/<int:reward_id>")
@guarded("see_points_programme")
def show(reward_id: int) -> str:
    """One reward: what it promises, what became of it."""
    with here.reading() as db:
        row = _reward(db, reward_id)
        found, _following = reward_desk.redemptions(db, reward_id=reward_id, limit=10)
        return render_template(
            "rewards/show.html",
            row=row,
            number=reward_desk.counts(db).get(row.id, NONE),
            level=next((one.name for one in tiers.scheme(db).levels if one.key == row.level), ""),
            next_codes=reward_desk.last_signs(db, row.id) if row.kind == COUPON else [],
            found=found,
            people=known.whose(db, here.sight(db), [one.account_id for one in found]),
            codes={one.id: rewards.spelt(one.code) for one in found},
            **_words(),
        )


@pages.post("/<int:reward_id>/move")
@guarded("edit_points_programme")
def move(reward_id: int) -> Any:
    """Let it go live, or pause it."""
    do = request.form.get("do", "")
    with here.working() as work:
        _reward(work.db, reward_id)
        row = reward_desk.held(work, reward_id)
        done = reward_desk.move(row, do)
        if done:
            here.note(work, f"reward.{do}", f"reward:{row.id}", {"name": row.name})
    say(_("已更改") if done else _("它现在的状态不能这样改"), "good" if done else "warn")
    return back_to("rewards.show", reward_id=reward_id)


@pages.post("/<int:reward_id>/stock")
@guarded("edit_points_programme")
def restock(reward_id: int) -> Any:
    """Put more pieces into stock, or take some out (``-3``)."""
    typed = request.form.get("more", "").strip()
    sign = -1 if typed.startswith(("-", "−")) else 1
    more = _whole(typed.lstrip("+-−"))
    with here.working() as work:
        _reward(work.db, reward_id)
        row = reward_desk.held(work, reward_id)
        done = more is not None and more > 0 and reward_desk.restock(row, sign * more)
        if done:
            here.note(work, "reward.stock", f"reward:{row.id}", {"name": row.name, "count": sign * (more or 0)})
    say(_("库存已更改") if done else _("没有改：写一个整数，例如 20 或 -3，库存不能少于 0"), "good" if done else "bad")
    return back_to("rewards.show", reward_id=reward_id)


@pages.post("/<int:reward_id>/codes")
@guarded("edit_points_programme")
def codes(reward_id: int) -> Any:
    """Take a CSV of coupon codes. They are not shown again but for their last four signs."""
    file = request.files.get("file")
    try:
        found = reward_desk.read_codes(_text(file.read(MOST_BYTES + 1) if file is not None else b""))
        with here.working() as work:
            _reward(work.db, reward_id)
            row = reward_desk.held(work, reward_id)
            if row.kind != COUPON:
                here.not_here(f"reward:{reward_id}")
            new_ones = reward_desk.add_codes(work, row, found)
            here.note(work, "reward.codes", f"reward:{row.id}", {"name": row.name, "count": new_ones})
    except BadCodes as error:
        say(reward_words.bad_codes(error), "bad")
    else:
        say(_("收下 %(n)s 个新券码，%(m)s 个以前就有。", n=new_ones, m=len(found) - new_ones))
    return back_to("rewards.show", reward_id=reward_id)


def _text(raw: bytes) -> str:
    """Raises ``BadCodes``."""
    if len(raw) > MOST_BYTES:
        raise BadCodes("too_many")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("gb18030", errors="replace")


# --- redemptions -----------------------------------------------------------------------------------------------------


@pages.get("/redemptions")
@guarded("see_points_programme")
def redemptions() -> str:
    """What was redeemed, the newest first; by state and reward."""
    state = request.args.get("state", "")
    state = state if state in rewards.STATES else ""
    reward_id, before = here.number(request.args.get("reward")), here.number(request.args.get("before"))
    with here.reading() as db:
        found, following = reward_desk.redemptions(db, reward_id=reward_id, state=state, limit=PAGE, before=before)
        own = select(Reward.id, Reward.name).where(Reward.id.in_({one.reward_id for one in found} | {reward_id or 0}))
        return render_template(
            "rewards/redemptions.html",
            found=found,
            following=following,
            state=state,
            reward_id=reward_id,
            names=dict(db.execute(own).all()),
            people=known.whose(db, here.sight(db), [one.account_id for one in found]),
            codes={one.id: rewards.spelt(one.code) for one in found},
            **_words(),
        )


@pages.get("/redemptions/<int:redemption_id>")
@guarded("see_points_programme")
def redemption(redemption_id: int) -> str:
    """One redemption: its code, and what became of it."""
    with here.reading() as db:
        row = _redemption(db, redemption_id)
        reward = db.get_one(Reward, row.reward_id)
        members = select(Member.userid, Member.name).where(Member.userid.in_([row.ended_by, row.made_by]))
        return render_template(
            "rewards/redemption.html",
            row=row,
            reward=reward,
            person=known.whose(db, here.sight(db), [row.account_id])[row.account_id],
            code=rewards.spelt(row.code),
            picture=counter.picture(row.code) if row.state == rewards.OPEN else "",
            members={userid: name or userid for userid, name in db.execute(members)},
            coupon=(rewards.coupon_of(db, row.id) or "")[-4:],
            may_return=reward.kind != DONATION and row.state in rewards.COUNTS,
            **_words(),
        )


def _redemption(db: Session, redemption_id: int) -> Redemption:
    row = db.get(Redemption, redemption_id)
    if row is None:
        here.not_here(f"redemption:{redemption_id}")
    return row


@pages.post("/redemptions/<int:redemption_id>/return")
@guarded("edit_points_programme")
def give_back(redemption_id: int) -> Any:
    """Take it back: points to the customer, the piece to the stock."""
    note = request.form.get("note", "").strip()
    if not 0 < len(note) <= rewards.LONGEST_NOTE:
        say(_("写一句为什么退回。"), "bad")
        return back_to("rewards.redemption", redemption_id=redemption_id)
    try:
        with here.working() as work:
            _redemption(work.db, redemption_id)
            row = rewards.give_back(work, redemption_id, here.viewer().userid, note)
            here.note(work, "reward.return", f"redemption:{row.id}", {"count": row.points})
    except CannotHandOut as error:
        say(reward_words.why_not(error, {}), "bad")
    else:
        say(_("已退回：%(n)s 分还给了客户。", n=f"{row.points:,}"))
    return back_to("rewards.redemption", redemption_id=redemption_id)


# --- donations -------------------------------------------------------------------------------------------------------


@pages.get("/causes")
@guarded("see_points_programme")
def causes() -> str:
    """What was given to each cause, what has been paid, and whether the books say the same."""
    with here.reading() as db:
        return render_template(
            "rewards/causes.html", causes=reward_desk.causes(db), settlements=reward_desk.settlements(db)
        )


@pages.post("/causes/settle")
@guarded("set_points")
def settle() -> Any:
    """Write down that all that was given to a cause until now was paid."""
    cause, certificate = request.form.get("cause", ""), request.form.get("certificate", "").strip()
    try:
        with here.working() as work:
            row = reward_desk.settle(work, cause, certificate, here.viewer().userid)
            if row is not None:
                here.note(work, "reward.settle", f"settlement:{row.id}", {"name": cause, "count": row.points})
    except ValueError:
        say(_("写上收据或捐赠证书的编号，最多 60 个字。"), "bad")
        return back_to("rewards.causes")
    say(_("已记下。") if row is not None else _("没有还没付的。"), "good" if row is not None else "warn")
    return back_to("rewards.causes")

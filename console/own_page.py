"""A customer's own page (``/me/<token>``): what they have, what ends when, what it is good for. For the phone first.

What a bare address shows, what everything is, and whether they want to hear from the shop. How a page is opened and who
may see what: ``own_visit``. What can be done on it: ``own_door``, ``own_rewards``, ``own_gifts``, ``own_groups``.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from flask import render_template, request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from console import gift_words, here, own_gifts, own_groups, own_rewards, own_visit, own_words, points_words
from console.own_visit import CUSTOMER, PAGE, Opened, acting, back, drawn, letter, letters, looking, mine_of, note
from console.words import _
from loyalty import accounts, notices, tiers
from loyalty.ledger import history
from loyalty.ledger.history import Happening
from loyalty.ledger.standing import Standing
from people import consent, explaining, own_pages, persons

pages = own_visit.blueprint("own_page")

MONTHS = 3
MACHINES = ("orders", "rules", "import")
"""Who acts in the books without being anybody: customers need not hear of them."""


@pages.get("/<token>")
def show(token: str) -> Any:
    """What there is: everything for a browser that has come in, else very little."""
    with looking(token) as (db, found):
        inside, shown = found.inside, "" if found.inside else _little(db, found)
    if inside:
        _bring_up(token)
        with looking(token, inside=True) as (db, found):
            shown = _everything(db, found)
    _write_down(token, told=inside)
    return shown


def _bring_up(token: str) -> None:
    """Before they look: their tier at the present."""
    with here.working() as work:
        found = own_pages.find(work.db, token)
        if found is not None:
            own_rewards.bring_tier_up(work, mine_of(work.db, Opened(*found, None)))


def _write_down(token: str, *, told: bool) -> None:
    """That it was opened, and (to whoever has seen all of it) that they were told what ends soon."""
    with here.working() as work:
        found = own_pages.find(work.db, token)
        if found is not None:
            own_pages.seen(work, found[0])
            if told:
                own = accounts.accounts_of(work.db, persons.anchors(work.db, found[1].id))
                notices.told(work, own, work.now + notices.EARLY, notices.PAGE, f"me:{found[0].id}")


def masked(points: int) -> str:
    """Points as anybody may see them: the first digit and how many there are; of a single digit nothing."""
    text = str(points)
    return "*" if len(text) < 2 else text[0] + "*" * (len(text) - 1)


def _little(db: Session, found: Opened) -> str:
    standing = accounts.standing_of(db, persons.anchors(db, found.person.id), here.now())
    visit = found.visit
    return render_template(
        "own_page/bare.html",
        token=found.page.token,
        shop=here.setting("shop_name"),
        letter=letter(found.person.name),
        points=masked(standing.available),
        months=[(month, masked(n)) for month, n in _by_month(standing)],
        shut=own_visit.shut(db),
        out=consent.is_out(found.person),
        wechat=bool(here.mp().app_id),
        code=visit.code if visit is not None and visit.code_until and visit.code_until > here.now() else None,
        until=visit.code_until if visit is not None else None,
        drawn=drawn,
    )


def _by_month(standing: Standing) -> list[tuple[date, int]]:
    months: dict[date, int] = {}
    for day, n in standing.ends(here.now(), here.zone()):
        months[day.replace(day=1)] = months.get(day.replace(day=1), 0) + n
    return sorted(months.items())[:MONTHS]


def _everything(db: Session, found: Opened) -> str:
    now, mine = here.now(), mine_of(db, found)
    standing = accounts.standing_of(db, mine.anchors, now)
    paying = accounts.standing_of(db, mine.sure_anchors, now)
    happened, following = history.page(db, mine.own, limit=PAGE, before=here.number(request.args.get("before")))
    assert found.visit is not None  # noqa: S101  # looked at before  # nosec B101
    return render_template(
        "own_page/show.html",
        token=found.page.token,
        shop=here.setting("shop_name"),
        person=found.person,
        shut=own_visit.shut(db),
        standing=standing,
        usable=paying.available,
        bound=[explaining.shown(*one) for one in own_pages.unsure(db, found.page.person_id)],
        may_say=found.visit.opened_by == own_pages.WECHAT,
        pending=_pending(standing, now),
        ends=standing.ends(now, here.zone()),
        idle=standing.idle(now, here.zone()),
        level=_level(db, mine.own, now),
        happened=_lines(db, happened, mine.own),
        following=following,
        wanted=own_rewards.wanted(db, mine, paying),
        redeemed=own_rewards.redeemed(db, mine.own),
        states=own_words.STATES,
        gifts=own_gifts.offered(db, mine),
        giving=own_gifts.on(db),
        groups=own_groups.mine(db, mine),
        grouping=own_groups.on(db),
        group_states=own_words.GROUP_STATES,
        out=consent.is_out(found.person),
    )


def _pending(standing: Standing, now: datetime) -> list[tuple[date, int]]:
    """On which day how many can be spent that cannot yet."""
    found: dict[date, int] = {}
    for lot in standing.lots:
        if lot.activates_at > now and lot.points:
            day = lot.activates_at.astimezone(here.zone()).date()
            found[day] = found.get(day, 0) + lot.points
    return sorted(found.items())


def _level(db: Session, own: Sequence[int], now: datetime) -> dict[str, Any]:
    """Which level they have, what it brings, and what is missing to the next."""
    scheme, level = tiers.scheme(db), tiers.at(db, own, now)
    window = tiers.window_of(scheme, now.astimezone(here.zone()).date())
    counted = tiers.counter(tiers.counting(db, own), here.zone())(window)
    above = next((one for one in scheme.levels if one.points > level.points), None)
    changes = tiers.history(db, own)
    until = changes[0].until if changes and changes[0].after == level.key else None
    missing = 0 if above is None else max(0, above.points - counted)
    return {"level": level, "next": above, "missing": missing, "until": until, "ends": window[1]}


def _lines(db: Session, happened: Sequence[Happening], own: Sequence[int]) -> list[tuple[Happening, str, list[str]]]:
    """Each with what it was, and why it is so many."""
    gifts = gift_words.lines(db, happened, own, lambda ids: letters(db, ids), hidden=True)
    return [
        (one, gift.title if gift else points_words.title(one.txn.kind), _why(one, gift.whom if gift else ""))
        for one in happened
        for gift in (gifts.get(one.txn.id),)
    ]


def _why(one: Happening, whom: str) -> list[str]:
    """Why the number is what it is, without what says something only to the shop."""
    actor, source = one.txn.actor, one.txn.source
    own = {CUSTOMER: "" if whom else _("你自己"), **dict.fromkeys(MACHINES, "")}
    said = points_words.why(one, {actor: own.get(actor, _("店员"))}, whom)
    ours = {actor, points_words.rules(0), source if ":" in source else actor}
    if source.startswith("approval:"):
        ours.add(points_words.about(source))
    return [part for part in said if part not in ours]


# --- messages --------------------------------------------------------------------------------------------------------


@pages.post("/<token>/messages")
def messages(token: str) -> AnyResponse:
    """Hear nothing more from the shop unasked, or hear from it again. As easy as that: the bare address is enough."""
    wanted = request.form.get("wanted") == "1"
    with acting(token) as (work, found):
        change = consent.opt_in if wanted else consent.opt_out
        if change(work, found.person, "page"):
            note(work, found, "customer.opt_in" if wanted else "customer.opt_out")
    return back(token)

"""What a customer's own page has to do with rewards and the counter: what it costs, redeeming it, codes to be shown."""

import secrets
from collections.abc import Sequence
from typing import Any

from flask import redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from console import here, own_visit, own_words
from console.own_visit import CUSTOMER, PAGE, Mine, Opened, acting, back, drawn, looking, mine_of, note
from console.words import _
from loyalty import accounts, group_buys, rewards, tiers
from loyalty.group_buys import Terms
from loyalty.ledger.standing import Standing
from people import own_pages
from storage.tables import Redemption, Reward
from storage.work import Work

pages = own_visit.blueprint("own_rewards")


def hindrance(db: Session, reward: Reward, mine: Mine, paying: Standing, points: int | None = None) -> str:
    """Why they cannot have it now, as redeeming (or a seat for so many points) would say; empty where they can.

    Limits and tier are the whole person's; only what is theirs for certain pays (``paying``).
    """
    price = reward.points if points is None else points
    why = rewards.hindrance(db, reward, mine.own, paying, price, here.now(), here.zone())
    return "" if why is None else own_words.why_not(why, own_visit.shut(db))


def wanted(db: Session, mine: Mine, paying: Standing) -> list[tuple[Reward, str, int | None]]:
    """What there is to redeem, each with what stands in the way, and for how many points they can have it together."""
    terms = group_buys.terms(db)
    return [
        (one, hindrance(db, one, mine, paying), _together(db, one, mine, paying, terms))
        for one in rewards.catalogue(db, here.now())
    ]


def _together(db: Session, reward: Reward, mine: Mine, paying: Standing, terms: Terms) -> int | None:
    """What a seat in a group of theirs would cost; None where they cannot begin one."""
    price = group_buys.offered(reward, terms)
    return None if price is None or hindrance(db, reward, mine, paying, price) else price


def redeemed(db: Session, own: Sequence[int]) -> list[tuple[Redemption, Reward]]:
    """What they have redeemed, the newest first."""
    return [(one, db.get_one(Reward, one.reward_id)) for one in rewards.of_accounts(db, own, limit=PAGE)]


def bring_tier_up(work: Work, mine: Mine) -> None:
    """Bring the tier to the present, as redeeming does before it looks: the page must not say otherwise."""
    if mine.own and any(one.level for one in rewards.catalogue(work.db, work.now)):
        tiers.look(work, mine.own)


# --- a reward --------------------------------------------------------------------------------------------------------


@pages.get("/<token>/rewards/<int:reward_id>")
def show(token: str, reward_id: int) -> Any:
    """Once more what it is and what it costs, before points are spent; with others for less, where that is on."""
    with looking(token, inside=True) as (db, found):
        return asked(db, found, reward_id)


def asked(db: Session, found: Opened, reward_id: int, trouble: str = "") -> Any:
    """The page of a reward; ``trouble``: why what was just asked for was refused."""
    reward = next((one for one in rewards.catalogue(db, here.now()) if one.id == reward_id), None)
    if reward is None:
        return back(found.page.token)
    mine = mine_of(db, found)
    paying = accounts.standing_of(db, mine.sure_anchors, here.now())
    terms = group_buys.terms(db)
    together = group_buys.offered(reward, terms)
    return render_template(
        "own_page/reward.html",
        token=found.page.token,
        reward=reward,
        usable=paying.available,
        trouble=trouble or hindrance(db, reward, mine, paying),
        terms=terms,
        together=together,
        apart="" if together is None else hindrance(db, reward, mine, paying, together),
        key=secrets.token_hex(16),
    )


@pages.post("/<token>/rewards/<int:reward_id>")
def redeem(token: str, reward_id: int) -> Any:
    """Redeem it: once for each form that was shown, however often it is sent."""
    key = request.form.get("key", "")[:64]
    try:
        with acting(token, inside=True) as (work, found):
            if not key:
                return back(token)
            mine = mine_of(work.db, found)
            own = f"me:{found.page.id}:{key}"
            row = rewards.redeem(work, mine.sure_anchors, mine.sure, reward_id, own, by=CUSTOMER)
            note(work, found, "reward.redeem", {"reward": reward_id, "points": row.points})
            number = row.id
    except own_words.REFUSALS as error:
        with looking(token, inside=True) as (db, found):
            return asked(db, found, reward_id, own_words.why_not(error, own_visit.shut(db)))
    return redirect(url_for("own_rewards.redemption", token=token, redemption_id=number), 303)


@pages.get("/<token>/redemptions/<int:redemption_id>")
def redemption(token: str, redemption_id: int) -> Any:
    """What was redeemed, with the code that the counter wants to see."""
    with looking(token, inside=True) as (db, found):
        own = redeemed(db, mine_of(db, found).own)
        row = next((one for one in own if one[0].id == redemption_id), None)
        if row is None:
            return back(token)
        return render_template(
            "own_page/redemption.html",
            token=token,
            row=row[0],
            reward=row[1],
            coupon=rewards.coupon_of(db, redemption_id),
            spelt=rewards.spelt(row[0].code),
            drawn=drawn,
            state=_(own_words.STATES[row[0].state]),
        )


# --- at the counter --------------------------------------------------------------------------------------------------


@pages.post("/<token>/counter")
def ask_for_counter(token: str) -> AnyResponse:
    """Six digits by which the counter knows whose points it takes."""
    with acting(token, inside=True) as (work, found):
        own_pages.show_code(work, found.page)
    return redirect(url_for("own_rewards.for_counter", token=token), 303)


@pages.get("/<token>/counter")
def for_counter(token: str) -> Any:
    """The same digits, large, with a QR code."""
    with looking(token, inside=True) as (db, found):
        shown = own_pages.shown_code(db, found.page, here.now())
        if shown is None:
            return back(token)
        return render_template("own_page/counter.html", token=token, code=shown[0], until=shown[1], drawn=drawn)

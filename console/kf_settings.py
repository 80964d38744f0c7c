"""Accounts of 微信客服 (客服账号): what is said to who opens the chat, whether we ask how it was, who receives."""

from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from console import here
from console.doors import guarded
from console.layout import back_to, say
from console.words import _, said
from people import chat_lists, kf_accounts
from storage.tables import KfAccount, Member

pages = Blueprint("kf_settings", __name__, url_prefix="/answers/accounts")


@pages.get("")
@guarded("see_answers")
def index() -> str:
    """Every account with its settings."""
    return _page()


def _page(wrong: str = "", error: str = "", typed: tuple[str, str] = ("", "")) -> str:
    with here.reading() as db:
        found = chat_lists.accounts(db)
        userids = {userid for one in found for userid in one.servicers}
        names = db.execute(select(Member.userid, Member.name).where(Member.userid.in_(userids)))
        return render_template(
            "answers/accounts.html",
            accounts=found,
            names={userid: name or userid for userid, name in names},
            receiving={one.open_kfid: _receiving(one) for one in found},
            trouble={one.open_kfid: said(one.trouble) for one in found if one.trouble},
            wrong=wrong,
            error=error,
            typed=typed,
            most_bytes=kf_accounts.MOST_WELCOME_BYTES,
        )


def _receiving(account: KfAccount) -> list[tuple[str, bool]]:
    """Its servicers, those who take customers now first."""
    rows = [(one, kf_accounts.receives(account, one)) for one in sorted(account.servicers)]
    return sorted(rows, key=lambda row: not row[1])


@pages.post("/<open_kfid>")
@guarded("edit_answers")
def change(open_kfid: str) -> Any:
    """Change what an account says and asks."""
    text = request.form.get("text", "").replace("\r\n", "\n").strip()
    menu = [one.strip() for one in request.form.get("menu", "").splitlines() if one.strip()]
    asks = "asks_satisfaction" in request.form
    try:
        with here.working() as work:
            account = _account(work.db, open_kfid)
            changed = kf_accounts.set_welcome(account, text, menu)
            turned = account.asks_satisfaction != asks
            account.asks_satisfaction = asks
            if changed or turned:
                here.note(work, "kf_account.change", open_kfid, {"name": account.name, "asks_satisfaction": asks})
    except ValueError as error:
        return _page(open_kfid, said(str(error)), (text, "\n".join(menu))), 422
    say(_("客服账号的设置已保存"))
    return back_to("kf_settings.index")


def _account(db: Session, open_kfid: str) -> KfAccount:
    own = select(KfAccount).where(KfAccount.open_kfid == open_kfid, KfAccount.gone_at.is_(None))
    return db.scalars(own.with_for_update()).one_or_none() or here.not_here(open_kfid)

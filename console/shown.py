"""How values look on a page: numbers, times, names and icons, as Jinja filters and globals.

Numbers stay whole up to 99,999, then ``12.3 万`` or ``123k``; this year's dates go without the year; a relative time
carries the exact one on hover. Everything follows the language of the answer.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from flask import Flask, url_for
from markupsafe import Markup, escape

from console import here
from console.words import N_, _, english, listed, mark
from people import access, persons, phones
from tagging import tags

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MISSING = "–"
ATTACHMENT_WORDS = {"image": N_("图片"), "link": N_("链接"), "miniprogram": N_("小程序")}
TIME = Markup('<time datetime="{}" title="{}">{}</time>')
TINTS = 6
SYMBOL = '<symbol class="[^"]*" viewBox="0 0 16 16" id="{name}">(.*?)</symbol>'


def install(app: Flask) -> None:
    """Give the templates these filters and globals."""
    filters = (
        count,
        exact,
        share,
        moment,
        day,
        last_day,
        month,
        clock,
        ago,
        lasted,
        seconds,
        yuan,
        points,
        initial,
        tint,
        discreet,
    )
    app.jinja_env.filters.update({one.__name__: one for one in filters})
    app.jinja_env.filters.update(
        person_id=persons.public_id, tag_id=tags.public_id, rep=rep, listed=listed, attached=attached
    )
    app.jinja_env.globals.update(
        icon=icon, file=file, mark=mark, may=here.may, shop_day=here.today, shop_now=here.now, masked=access.masked
    )


# --- numbers ---------------------------------------------------------------------------------------------------------


def count(number: int) -> str:
    """1,234; from 100,000 on 12.3 万 or 123k."""
    if abs(number) < 100_000:
        return f"{number:,}".replace("-", "−")
    return f"{number / 1000:,.0f}k" if english() else f"{number / 10_000:,.1f} 万"


def exact(number: int) -> str:
    """1,234,567: where the last digit matters."""
    return f"{number:,}"


def share(part: int, whole: int) -> str:
    """A part of a whole in percent; nothing of nothing is no number."""
    return f"{100 * part / whole:.0f}%" if whole else MISSING


def yuan(amount: Decimal) -> str:
    """¥1,234.50."""
    return f"¥{amount:,.2f}"


def points(number: int) -> str:
    """1,234 分."""
    return f"{number:,} pts" if english() else f"{number:,} 分"


# --- times -----------------------------------------------------------------------------------------------------------


def moment(at: datetime | None) -> str:
    """11月22日 14:05 in the shop's time; other years with the year."""
    if at is None:
        return MISSING
    local = at.astimezone(here.zone())
    return f"{day(local.date())} {local:%H:%M}"


def day(of: date | None) -> str:
    """11月22日, or 22 Nov; other years with the year."""
    if of is None:
        return MISSING
    same_year = of.year == here.today().year
    if english():
        return f"{of.day} {MONTHS[of.month - 1]}" + ("" if same_year else f" {of.year}")
    return ("" if same_year else f"{of.year}年") + f"{of.month}月{of.day}日"


def last_day(ends: datetime) -> date:
    """The last of the shop's days before the moment at which something ends: of midnight the day before."""
    return (ends - timedelta(microseconds=1)).astimezone(here.zone()).date()


def month(of: date) -> str:
    """2026年11月, or November 2026."""
    return f"{of:%B %Y}" if english() else f"{of.year}年{of.month}月"


def clock(at: datetime | None) -> str:
    """14:05:09 in the shop's time."""
    return MISSING if at is None else f"{at.astimezone(here.zone()):%H:%M:%S}"


def ago(at: datetime | None) -> Markup:
    """How long ago, the exact time on hover; older than a month: the day."""
    if at is None:
        return escape(MISSING)
    local = at.astimezone(here.zone())
    exactly = f"{local:%Y-%m-%d %H:%M:%S}"
    words = _ago_in_words(here.now() - at, local)
    return TIME.format(local.isoformat(timespec="seconds"), exactly, words)


def _ago_in_words(passed: timedelta, local: datetime) -> str:
    whole = int(passed.total_seconds())
    if whole < 0:
        return moment(local)
    if whole < 60:
        return _("刚刚")
    if whole < 3600:
        return _("%(n)s 分钟前", n=whole // 60)
    if whole < 86_400:
        return _("%(n)s 小时前", n=whole // 3600)
    if whole < 30 * 86_400:
        return _("%(n)s 天前", n=whole // 86_400)
    return day(local.date())


def lasted(span: timedelta | float | None) -> str:
    """3 天 4 小时: the two largest units."""
    if span is None:
        return MISSING
    rest = int(span.total_seconds() if isinstance(span, timedelta) else span)
    units = ((86_400, _("天")), (3600, _("小时")), (60, _("分")), (1, _("秒")))
    parts: list[str] = []
    for size, name in units:
        number, rest = divmod(rest, size)
        if number or (size == 1 and not parts):
            parts.append(f"{number} {name}")
        if len(parts) == 2:
            break
    return " ".join(parts)


def seconds(number: float | None) -> str:
    """0.42 秒."""
    return MISSING if number is None else f"{number:.2f} {_('秒')}"


# --- names and pictures ----------------------------------------------------------------------------------------------


def rep(userid: str | None, names: Mapping[str, str]) -> str:
    """A rep's name, or the userid while we do not know it."""
    return (names.get(userid) or userid) if userid else MISSING


def discreet(text: str | None) -> str:
    """A free text with the mobile numbers in it masked."""
    return phones.hidden(text)


def attached(one: Mapping[str, Any]) -> str:
    """An attachment as one line."""
    kind = str(one.get("kind"))
    return f"[{_(ATTACHMENT_WORDS.get(kind, kind))}] {one.get('title') or ''}".strip()


def initial(name: str | None) -> str:
    """The first sign of a name that can stand in a circle."""
    return next((sign.upper() for sign in name or "" if sign.isalnum()), "?")


def tint(key: object) -> int:
    """One of six quiet colours, always the same for the same key."""
    return sha256(str(key).encode()).digest()[0] % TINTS


@lru_cache(maxsize=256)
def icon(name: str, words: str = "") -> Markup:
    """An icon of Bootstrap's set as one inline SVG; ``words`` name it for those who cannot see it.

    Raises ``LookupError`` for a name that is not in the set.
    """
    found = re.search(SYMBOL.format(name=re.escape(name)), _sprite())
    if found is None:
        raise LookupError(f"no icon {name}")
    label = Markup('role="img" aria-label="{}"').format(words) if words else Markup('aria-hidden="true"')
    drawing = Markup(found[1])  # noqa: S704  # from the icon set of the wheel  # nosec B704
    return Markup('<svg class="icon" viewBox="0 0 16 16" {}>{}</svg>').format(label, drawing)


@lru_cache(maxsize=1)
def _sprite() -> str:
    return (files("flask_bootstrap") / "static/bootstrap5/icons/bootstrap-icons.svg").read_text(encoding="utf-8")


def file(endpoint: str, filename: str) -> str:
    """The address of a static file with its version in it, so that browsers may keep it for good."""
    return url_for(endpoint, filename=filename, v=_version(endpoint, filename))


@lru_cache(maxsize=64)
def _version(endpoint: str, filename: str) -> str:
    wheel, ours = files("flask_bootstrap") / "static/bootstrap5", files("console") / "static"
    base = wheel if endpoint == "bootstrap.static" else ours
    return sha256((base / filename).read_bytes()).hexdigest()[:10]


def lines(text: Any) -> Markup:
    """A text with its line breaks."""
    return Markup("<br>").join(escape(line) for line in str(text).splitlines())

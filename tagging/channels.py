"""Channel codes (渠道活码): made, changed, stopped and deleted, and kept leading to reps who can answer.

The row comes first and holds our intent, then WeCom is asked; so a crash between the two leaves a row to finish, never
a code at WeCom that nobody knows. Who receives is computed (``tagging.timetable``) and only a change is sent.
"""

import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from storage.tables import CalendarDay, Channel, ChannelSeat, Interval, Material, Media, Member, Person, Tag
from storage.work import Work
from tagging import marks, pictures, placeholders
from tagging import tags as corp_tags
from tagging.timetable import Rota, Serving, Slot, who_serves
from wecom.commands import DeleteContactWay, UpdateContactWay, UploadMedia
from wecom.gateway import ContactWay

MAX_MEMBERS = 100
MAX_NAME = 30
MAX_TEXT_BYTES = 4000
MAX_ATTACHMENTS = 9
NOT_TAKEN = "企业微信没有接受更改："
GONE = "企业微信里已没有这个渠道码，扫码不再有效：请新建一个，并更换印出去的二维码"
TRY_AGAIN_MINUTES = 30
"""A change that WeCom refused is asked for again at the full and half hour, not every minute."""
UNKNOWN_PLACEHOLDER = re.compile(r"\{(?!name\}|rep\}|channel\})[a-z_]*\}")
ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"


class Invalid(ValueError):
    """What is wrong with a form or request: a list of (field, sentence)."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("；".join(f"{name}：{words}" for name, words in problems))
        self.problems = list(problems)


@dataclass(frozen=True)
class Draft:
    """What a person wants a channel code to be. ``tags`` are (group, name); attachments as in ``check_attachment``."""

    name: str
    members: tuple[str, ...]
    tags: tuple[tuple[str, str], ...] = ()
    text: str = ""
    attachments: tuple[dict[str, Any], ...] = ()
    skip_verify: bool = True
    spare: tuple[str, ...] = ()
    daily_cap: int | None = None
    timetable: tuple[dict[str, Any], ...] = field(default_factory=tuple)


def check(db: Session, draft: Draft) -> None:
    """Raise ``Invalid`` with every problem at once, each naming its field and saying what to do."""
    problems: list[tuple[str, str]] = []
    if not 0 < len(draft.name.strip()) <= MAX_NAME:
        problems.append(("name", f"名称需 1–{MAX_NAME} 个字"))
    problems += _check_members(db, draft)
    problems += _check_tags(draft)
    problems += _check_welcome(db, draft)
    if draft.daily_cap is not None and draft.daily_cap < 1:
        problems.append(("daily_cap", "每日上限至少为 1；不限请留空"))
    for number, row in enumerate(draft.timetable, start=1):
        try:
            Slot.read(row)
        except ValueError as error:
            problems.append(("timetable", f"第 {number} 个时段 {error}"))
    if problems:
        raise Invalid(problems)


def _check_members(db: Session, draft: Draft) -> list[tuple[str, str]]:
    problems = []
    slot_members = [str(one) for row in draft.timetable for one in row.get("members") or []]
    everybody = list(dict.fromkeys([*draft.members, *draft.spare, *slot_members]))
    if not draft.members:
        problems.append(("members", "请至少选择一名接待成员"))
    if len(everybody) > MAX_MEMBERS:
        problems.append(("members", f"一个渠道活码最多 {MAX_MEMBERS} 名成员"))
    known = {one.userid: one for one in db.scalars(select(Member).where(Member.userid.in_(everybody)))}
    for userid in everybody:
        member = known.get(userid)
        if member is None:
            problems.append(("members", f"通讯录里没有成员 {userid}；请先在“设置 → 成员”重新读取"))
        elif member.left_at is not None:
            problems.append(("members", f"{member.name or userid} 已离职"))
        elif not member.serves:
            name = member.name or userid
            problems.append(("members", f"{name} 没有客户联系功能（企业微信后台：客户联系 → 权限配置）"))
    return problems


def _check_tags(draft: Draft) -> list[tuple[str, str]]:
    most = corp_tags.MAX_NAME
    return [
        ("tags", f"标签组和标签名各需 1–{most} 个字：“{group}/{name}”")
        for group, name in draft.tags
        if not (0 < len(group.strip()) <= most and 0 < len(name.strip()) <= most)
    ]


def _check_welcome(db: Session, draft: Draft) -> list[tuple[str, str]]:
    problems = []
    if placeholders.size_of(draft.text) > MAX_TEXT_BYTES:
        problems.append(("welcome", f"欢迎语最多 {MAX_TEXT_BYTES} 字节（约 1,333 个汉字）"))
    if unknown := UNKNOWN_PLACEHOLDER.search(draft.text):
        problems.append(("welcome", f"不认识 {unknown[0]}；可用 {{name}} {{rep}} {{channel}}"))
    problems += [("welcome", words) for words in placeholders.problems(db, draft.text)]
    if len(draft.attachments) > MAX_ATTACHMENTS:
        problems.append(("attachments", f"附件最多 {MAX_ATTACHMENTS} 个"))
    for number, one in enumerate(draft.attachments, start=1):
        if trouble := _attachment_trouble(db, one):
            problems.append(("attachments", f"第 {number} 个附件：{trouble}"))
    return problems


def _attachment_trouble(db: Session, one: Mapping[str, Any]) -> str | None:
    """An image is ``{"kind": "image", "media": 3}``; links and mini programs carry their texts."""
    kind = one.get("kind")
    needs: dict[str, tuple[tuple[str, int], ...]] = {
        "image": (),
        "link": (("title", 128), ("url", 2048)),
        "miniprogram": (("title", 64), ("appid", 64), ("page", 1024)),
    }
    if kind not in needs:
        return "类型只能是 image、link 或 miniprogram"
    for name, most in needs[str(kind)]:
        if not 0 < len(str(one.get(name) or "").encode()) <= most:
            return f"{name} 需 1–{most} 字节"
    if one.get("material") is not None and _material_is_gone(db, one):
        return "素材库里没有这一条（可能已删除）；请去掉后重新选择"
    if kind == "link":
        return _link_trouble(one)
    if one.get("media") is None or db.get(Media, int(one["media"])) is None:
        return "请先上传图片"
    return None


def _material_is_gone(db: Session, one: Mapping[str, Any]) -> bool:
    material = db.get(Material, one["material"])
    return material is None or material.deleted_at is not None or material.kind != one.get("kind")


def _link_trouble(one: Mapping[str, Any]) -> str | None:
    for name in ("url", "picurl"):
        address = str(one.get(name) or "")
        if address and (not address.startswith(("https://", "http://")) or len(address) > 2048):
            return f"{name} 要以 https:// 开头，最多 2048 字节"
    return "desc 最多 512 字节（约 170 个汉字）" if len(str(one.get("desc") or "").encode()) > 512 else None


def new_code() -> str:
    """A code that WeCom gives back as State: short enough for it (30) and not to be guessed."""
    return "c" + "".join(secrets.choice(ALPHABET) for _ in range(11))


def create(work: Work, draft: Draft, *, by: str) -> Channel:
    """Keep a new channel as intent; ``made_at_wecom`` completes it. Raises ``Invalid``."""
    check(work.db, draft)
    channel = Channel(code=new_code(), name=draft.name.strip(), created_at=work.now, created_by=by, changed_at=work.now)
    work.db.add(channel)
    _apply(work, channel, draft)
    work.db.flush()
    return channel


def change(work: Work, channel: Channel, draft: Draft) -> None:
    """Bring a channel to what the draft says, and WeCom after it. Raises ``Invalid``."""
    check(work.db, draft)
    channel.name = draft.name.strip()
    channel.version += 1
    _apply(work, channel, draft)


def _apply(work: Work, channel: Channel, draft: Draft) -> None:
    channel.skip_verify, channel.daily_cap = draft.skip_verify, draft.daily_cap
    channel.welcome = {"text": draft.text, "attachments": [dict(one) for one in draft.attachments]}
    channel.timetable = [dict(one) for one in draft.timetable]
    channel.changed_at = work.now
    wanted = [corp_tags.tag_named(work, group, name) for group, name in draft.tags]
    channel.tags = [tag.id for tag in wanted]
    for tag in wanted:
        marks.ensure_at_wecom(work, tag)
    seats = {(userid, False) for userid in draft.members} | {(userid, True) for userid in draft.spare}
    have = {(seat.userid, seat.spare): seat for seat in channel.seats}
    for gone in have.keys() - seats:
        channel.seats.remove(have[gone])
    order = [*((one, False) for one in draft.members), *((one, True) for one in draft.spare)]
    channel.seats.extend(ChannelSeat(userid=u, spare=s) for u, s in dict.fromkeys(order) if (u, s) not in have)
    refresh_pictures(work, channel)


def made_at_wecom(channel: Channel, config_id: str, qr_code: str, users: Sequence[str]) -> None:
    """WeCom has made the code: keep what it answered."""
    channel.config_id, channel.qr_code, channel.at_wecom = config_id, qr_code, list(users)
    channel.trouble = None


def stop(work: Work, channel: Channel) -> None:
    """Stop a code: the printed QR stays alive and leads to the spare reps. Raises ``Invalid`` when there is none."""
    if not any(seat.spare for seat in channel.seats):
        raise Invalid([("spare", "停用前请先指定备用成员：印出去的二维码还会有人扫")])
    channel.state, channel.changed_at = "stopped", work.now
    channel.version += 1
    lead(work, channel)


def resume(work: Work, channel: Channel) -> None:
    """Take a stopped code into use again."""
    channel.state, channel.changed_at = "active", work.now
    channel.version += 1
    lead(work, channel)


def delete(work: Work, channel: Channel) -> None:
    """Take a code down at WeCom for good. Its row stays: who came over it is never forgotten."""
    channel.state, channel.changed_at = "deleted", work.now
    channel.version += 1
    channel.trouble = None
    if channel.config_id:
        command = DeleteContactWay(channel.config_id)
        work.ask(command, once=f"delete-way:{channel.config_id}", key=f"channel:{channel.id}")


def lead(work: Work, channel: Channel) -> Serving:
    """Work out who serves the code now; when that differs from what WeCom has, ask WeCom to change it."""
    serving = serving_now(work.db, channel, work.now, work.zone)
    if channel.config_id is None or channel.state == "deleted" or is_gone(channel):
        return serving
    channel.trouble = serving.trouble
    wanted = list(serving.userids)
    if wanted and wanted != channel.at_wecom:
        _ask_update(work, channel, wanted)
    return serving


def _ask_update(work: Work, channel: Channel, users: list[str]) -> None:
    work.db.flush()
    draw = update(Channel).where(Channel.id == channel.id).values(round=Channel.round + 1).returning(Channel.round)
    turn = work.db.scalars(draw).one()  # two writers at once must not draw the same number
    channel.at_wecom = users
    command = UpdateContactWay(
        config_id=channel.config_id or "",
        user=users,
        remark=channel.name[:MAX_NAME],
        skip_verify=channel.skip_verify,
        state=channel.code,
        channel_id=channel.id,
    )
    work.ask(command, once=f"way:{channel.id}:{turn}", key=f"channel:{channel.id}")


def push_settings(work: Work, channel: Channel) -> None:
    """After a change by hand: send name and verification along with the reps, whether or not those changed."""
    if channel.config_id is None or channel.state == "deleted":
        return
    serving = serving_now(work.db, channel, work.now, work.zone)
    channel.trouble = serving.trouble
    if users := list(serving.userids) or channel.at_wecom:
        _ask_update(work, channel, users)


def update_refused(work: Work, command: UpdateContactWay, refusal: str) -> None:
    """WeCom would not change the code: say so where the operator looks, and forget what we believed it had."""
    channel = work.db.get(Channel, command.channel_id)
    if channel is not None:
        channel.trouble, channel.at_wecom = f"{NOT_TAKEN}{refusal}", []


def serving_now(db: Session, channel: Channel, now: datetime, zone: ZoneInfo) -> Serving:
    """Who should receive this code's customers at this moment."""
    moment = now.astimezone(zone)
    try:
        slots = tuple(Slot.read(row) for row in channel.timetable)
    except ValueError as error:  # written by hand or by another version: it must not hold the other codes
        return Serving((), trouble=f"时段设置有误：{error}")
    rota = Rota(
        main=tuple(seat.userid for seat in channel.seats if not seat.spare),
        spare=tuple(seat.userid for seat in channel.seats if seat.spare),
        slots=slots,
        daily_cap=channel.daily_cap,
        stopped=channel.state == "stopped",
    )
    return who_serves(
        rota,
        moment,
        able=_able(db, channel),
        arrivals_today=_arrivals_today(db, channel, moment) if channel.daily_cap else {},
        calendar=_calendar(db, moment.date()),
    )


def _able(db: Session, channel: Channel) -> set[str]:
    named = {seat.userid for seat in channel.seats} | {one for row in channel.timetable for one in row["members"]}
    fit = select(Member.userid).where(
        Member.userid.in_(named), Member.left_at.is_(None), Member.serves.is_(True), Member.status == 1
    )
    return set(db.scalars(fit))


def _arrivals_today(db: Session, channel: Channel, moment: datetime) -> dict[str, int]:
    midnight = datetime.combine(moment.date(), time(), moment.tzinfo).astimezone(UTC)
    rows = db.execute(
        select(Interval.userid, func.count())
        .where(Interval.channel_id == channel.id, Interval.began_at >= midnight, Interval.origin == "arrival")
        .group_by(Interval.userid)
    )
    return dict(rows.all())


def _calendar(db: Session, day: date) -> dict[date, str]:
    near = select(CalendarDay.day, CalendarDay.kind).where(CalendarDay.day.in_([day, day - timedelta(days=1)]))
    return dict(db.execute(near).all())


def lead_codes_of(work: Work, userid: str) -> int:
    """Lead every code of this member anew, as when they left; how many codes there were."""
    seated = select(ChannelSeat.channel_id).where(ChannelSeat.userid == userid)
    codes = work.db.scalars(select(Channel).where(Channel.state != "deleted", Channel.id.in_(seated))).all()
    timed = work.db.scalars(select(Channel).where(Channel.state != "deleted", Channel.id.not_in(seated))).all()
    affected = [*codes, *(one for one in timed if any(userid in row["members"] for row in one.timetable))]
    for channel in affected:
        lead(work, channel)
    return len(affected)


def hand_over(work: Work, giver: str, taker: str) -> int:
    """Every living code that names the giver names the taker instead, and leads there; how many codes there were."""
    codes = work.db.scalars(select(Channel).where(Channel.state != "deleted").order_by(Channel.id)).all()
    named = [one for one in codes if _names(one, giver)]
    for channel in named:
        for spare in (False, True):
            seats = {seat.userid: seat for seat in channel.seats if seat.spare == spare}
            if giver in seats and taker in seats:
                channel.seats.remove(seats[giver])
            elif giver in seats:
                seats[giver].userid = taker
        channel.timetable = [{**row, "members": _instead(row["members"], giver, taker)} for row in channel.timetable]
        channel.changed_at, channel.version = work.now, channel.version + 1
        lead(work, channel)
    return len(named)


def _names(channel: Channel, userid: str) -> bool:
    seated = any(seat.userid == userid for seat in channel.seats)
    return seated or any(userid in row["members"] for row in channel.timetable)


def _instead(userids: Sequence[str], giver: str, taker: str) -> list[str]:
    return list(dict.fromkeys(taker if one == giver else one for one in userids))


def to_lead(db: Session) -> list[int]:
    """The codes that may have to be led to somebody else as time goes by."""
    living = (Channel.state != "deleted", Channel.taken_over.is_(False))
    return list(db.scalars(select(Channel.id).where(*living).order_by(Channel.id)))


def lead_some(work: Work, ids: Collection[int]) -> int:
    """Every minute: lead each of these that has a timetable, a cap or trouble to whom it should go now."""
    codes = select(Channel).where(Channel.id.in_(ids), Channel.state != "deleted").order_by(Channel.id)
    count = 0
    for channel in work.db.scalars(codes).all():
        if (channel.trouble or "").startswith(NOT_TAKEN) and work.now.minute % TRY_AGAIN_MINUTES:
            continue
        if channel.timetable or channel.daily_cap or channel.trouble or not channel.at_wecom:
            before = list(channel.at_wecom)
            lead(work, channel)
            count += before != channel.at_wecom
    return count


def take_over(work: Work, way: ContactWay) -> Channel | None:
    """Keep a contact way that was made elsewhere (or by us, before a crash); None when it cannot carry a State."""
    db = work.db
    known = select(Channel).where((Channel.config_id == way.config_id) | (Channel.code == way.state))
    channel = db.scalars(known).first()
    if channel is not None:
        if channel.config_id is None:
            made_at_wecom(channel, way.config_id, way.qr_code, way.users)
        return channel
    channel = Channel(
        code=way.state or f"way-{way.config_id[:24]}",
        name=(way.remark or way.state or way.config_id)[:MAX_NAME],
        config_id=way.config_id,
        qr_code=way.qr_code or None,
        skip_verify=way.skip_verify,
        taken_over=True,
        at_wecom=list(way.users),
        created_at=work.now,
        changed_at=work.now,
    )
    channel.seats = [ChannelSeat(userid=userid, spare=False) for userid in dict.fromkeys(way.users)]
    db.add(channel)
    db.flush()
    return channel


def is_gone(channel: Channel) -> bool:
    """Whether WeCom was found not to have this code any more."""
    return channel.trouble == GONE


def gone_at_wecom(work: Work, channel: Channel) -> None:
    """WeCom does not have this code any more: say so where the operator looks, and ask nothing more about it."""
    if channel.state != "deleted":
        channel.trouble, channel.changed_at = GONE, work.now


def seen_at_wecom(work: Work, channel: Channel, users: Sequence[str]) -> None:
    """WeCom leads this code to these reps, not to those we asked for: ask again.

    One that was made elsewhere is not ours to lead: then we follow.
    """
    if is_gone(channel):
        channel.trouble = None
    channel.at_wecom = list(users)
    if channel.taken_over:
        have = {seat.userid: seat for seat in channel.seats if not seat.spare}
        for userid in have.keys() - set(users):
            channel.seats.remove(have[userid])
        channel.seats.extend(ChannelSeat(userid=one, spare=False) for one in dict.fromkeys(users) if one not in have)
    else:
        lead(work, channel)


# --- pictures --------------------------------------------------------------------------------------------------------


def refresh_pictures(work: Work, channel: Channel) -> None:
    """Ask for the upload of every picture of this channel that is not fresh at WeCom."""
    ids = {int(one["media"]) for one in channel.welcome.get("attachments") or [] if one.get("media") is not None}
    for media in work.db.scalars(select(Media).where(Media.id.in_(ids))):
        pictures.bring(work, media)


def refresh_all_pictures(work: Work) -> int:
    """Keep every picture in use fresh at WeCom, so that no upload falls into a welcome's 20 seconds."""
    channels = work.db.scalars(select(Channel).where(Channel.state != "deleted")).all()
    for channel in channels:
        refresh_pictures(work, channel)
    return len(channels)


def picture_uploaded(work: Work, command: UploadMedia, answer: Mapping[str, Any]) -> None:
    """Keep the media_id WeCom gave."""
    media = work.db.get(Media, command.media)
    if media is not None:
        media.media_id, media.uploaded_at, media.trouble = str(answer["media_id"]), work.now, None


def picture_refused(work: Work, command: UploadMedia, refusal: str) -> None:
    """WeCom does not want this picture: say so where the operator looks."""
    work.db.execute(update(Media).where(Media.id == command.media).values(trouble=refusal))


def own_tags(db: Session, channel: Channel) -> Sequence[Tag]:
    """The tags this channel gives."""
    return db.scalars(select(Tag).where(Tag.id.in_(channel.tags)).order_by(Tag.id)).all()


def give_own_tags(work: Work, channel: Channel, person: Person, *, rep_name: str, at: datetime | None) -> list[Tag]:
    """Give a customer who came over this code its tags; the tags of the code."""
    given = list(own_tags(work.db, channel))
    because = f"扫描渠道码“{channel.name}”添加了{rep_name}"
    for tag in given:
        corp_tags.give(work, person, tag, corp_tags.Ground("channel", because, f"channel:{channel.id}", at=at))
    return given


def tag_names(db: Session, channel: Channel) -> list[tuple[str, str]]:
    """(group, name) of the channel's tags."""
    rows = db.execute(select(Tag.id, Tag.group_name, Tag.name).where(Tag.id.in_(channel.tags)))
    named = {tag_id: (group, name) for tag_id, group, name in rows}
    return [named[one] for one in channel.tags if one in named]

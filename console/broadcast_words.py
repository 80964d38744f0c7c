"""What broadcasts are called on their pages: states, WeCom's four words, reasons, days; and how a time recurs."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from console.shown import day
from console.words import N_, _, listed, said
from outreach import broadcasts, budget, groups
from outreach.arms import CONTROL, HELD_OUT
from outreach.audience import GAP, NO_RELATION, OPTED_OUT, QUOTA, REP_AWAY
from outreach.budget import Rules
from outreach.experiments import Saying
from storage.tables import Touch

STATE_WORDS: Mapping[str, tuple[str, str]] = {
    broadcasts.DRAFT: (N_("草稿"), "quiet"),
    broadcasts.ASKED: (N_("等第二个人批准"), "warn"),
    broadcasts.APPROVED: (N_("已批准，等时间到"), "info"),
    broadcasts.RUNNING: (N_("进行中"), "info"),
    broadcasts.STOPPED: (N_("已停止"), "quiet"),
    broadcasts.DONE: (N_("已完成"), "good"),
}
RECURS = (N_("按计划重复"), "info")
RESULT_WORDS: Mapping[str, tuple[str, str]] = {
    "sent": (N_("已发送"), "good"),
    "asked": (N_("待发送"), "info"),
    "no_friend": (N_("未送达：不是好友"), "bad"),
    "quota": (N_("未送达：已达上限"), "bad"),
    "held": (N_("已安排，还没有请成员确认"), "quiet"),
    "refused": (N_("企业微信没有接受"), "bad"),
    "cancelled": (N_("已撤回，没有发"), "quiet"),
    "expired": (N_("成员没有按时确认"), "warn"),
    "left_out": (N_("没有安排"), "quiet"),
    CONTROL: (N_("对照组，有意不发"), "quiet"),
}
"""The first four are WeCom's own."""
FOUR = ("sent", "asked", "no_friend", "quota")
REASON_WORDS: Mapping[str, str] = {
    OPTED_OUT: N_("表示过不再接收消息"),
    NO_RELATION: N_("现在没有成员和他是好友"),
    REP_AWAY: N_("对应的成员已离职，或没有客户联系功能"),
    QUOTA: N_("这段时间已有别的消息，企业微信不会再收"),
    GAP: N_("离另一条消息太近"),
    groups.GONE: N_("群已解散"),
    groups.NOT_YOURS: N_("群主不是你能看到的成员"),
}
WHY_WORDS: Mapping[str, str] = {
    "": N_("会收到"),
    CONTROL: N_("对照组，有意不发"),
    HELD_OUT: N_("长期对照组，有意不发"),
    **REASON_WORDS,
}
TOUCH_WORDS: Mapping[str, tuple[str, str]] = {
    budget.BROADCAST: (N_("群发"), "send"),
    budget.JOURNEY: (N_("旅程"), "signpost-2"),
    budget.CARD: (N_("成员卡片"), "card-text"),
    budget.OWN: (N_("成员自己发的"), "person"),
}
"""What a touch comes from, and its icon."""
HOLDER_WORDS: Mapping[str, str] = {
    budget.BROADCAST: N_("群发“%(name)s”，%(day)s"),
    budget.JOURNEY: N_("旅程“%(name)s”，%(day)s"),
    budget.CARD: N_("成员卡片，%(day)s"),
    budget.OWN: N_("成员自己发的，%(day)s"),
}
"""What takes somebody's place, for which day."""
MODE_WORDS: Mapping[budget.Mode, str] = {
    "day_1": N_("每位客户每天最多一条"),
    "week_7": N_("每位客户每周（周一到周日）最多 7 条"),
    "month_days": N_("每位客户每月最多和当月天数一样多条"),
}
"""How many WeCom takes, by the shop's setting."""
TASK_WORDS: Mapping[str, tuple[str, str]] = {
    "planned": (N_("还没有请他确认"), "quiet"),
    "asked": (N_("正在请他确认"), "info"),
    "unclear": (N_("断线了，正在向企业微信核对"), "warn"),
    "made": (N_("还没有确认"), "warn"),
    "leaving": (N_("正在撤回"), "info"),
    "done": (N_("已确认"), "good"),
    "refused": (N_("企业微信没有接受"), "bad"),
    "cancelled": (N_("已撤回"), "quiet"),
    "watched": (N_("观察模式，没有发"), "quiet"),
}
METRIC_WORDS: Mapping[str, str] = {
    broadcasts.TALKED: N_("7 天内说过话（微信客服，或由成员转来）"),
    broadcasts.OPENED: N_("7 天内打开过我们的链接"),
    broadcasts.LEFT: N_("7 天内删除了成员"),
}
ARM_WORDS: Mapping[str, str] = {
    "a": N_("第一种文字"),
    "b": N_("第二种文字"),
    CONTROL: N_("对照组"),
    HELD_OUT: N_("长期对照组"),
}
SAYING_WORDS: Mapping[Saying, tuple[str, str]] = {
    Saying.NOT_YET: (N_("人数还不够，不能下结论"), "quiet"),
    Saying.NO_DIFFERENCE: (N_("看不出差别"), "quiet"),
    Saying.DIFFERENCE: (N_("有差别"), "good"),
    Saying.WRONG_SPREAD: (N_("分组的人数不对，结论不可信"), "bad"),
}
"""All that is ever said of a comparison."""
EVERY_WORDS: Mapping[str, str] = {"day": N_("每天"), "week": N_("每周"), "month": N_("每月")}
WEEKDAYS = (N_("周一"), N_("周二"), N_("周三"), N_("周四"), N_("周五"), N_("周六"), N_("周日"))
OUTCOME_WORDS: Mapping[str, str] = {
    "stopped by hand": N_("有人停止了"),
    "too many customers deleted their reps": N_("删除成员的客户太多，自动撤回"),
    "quiet hours have begun": N_("到了安静时段，次日再请他确认"),
    "somebody opted out": N_("有客户不再接收，去掉后重新请他确认"),
    "no rep confirmed it in time": N_("没有按时确认"),
    "nobody is left who may get it": N_("没有还能收到的客户了"),
}
"""Why a task is over, as the lower floor writes it."""
FROM_BELOW = (
    N_("名称需 1–60 个字"),
    N_("请选一个分层：发给谁"),
    N_("请选至少一个客户群"),
    N_("群里的人不能分组比较；请只写一段文字，不留对照组"),
    N_("对照组最多占一半"),
    N_("这个时间已经过去；请选以后的时间，或留空表示尽快"),
    N_("写一段文字，或加一个附件"),
    N_("文字太长：最多 %(n)s 字节（约 %(m)s 个汉字）"),
    N_("附件最多 %(n)s 个"),
    N_("已经批准，不能再改；可以停止它，或复制一份再改"),
    N_("已经批准，不能放弃；可以停止它"),
    N_("它已经提交过了"),
    N_("它现在不等待批准"),
    N_("现在没有人会收到：请看下面每种原因各有多少人"),
    N_("现在没有人会收到，请退回给制作人"),
    N_("制作人不能批准自己的群发：请另一位同事来批准"),
    N_("结束日期之前没有一次会发出；请改结束日期"),
    N_("请写明为什么退回"),
    N_("请选每周的哪几天"),
    N_("请填每月的几号（1–31）"),
    N_("请填几点发，例如 10:00"),
    N_("结束日期写作 2027-03-31，或留空"),
    N_("你不在企业微信的成员里，收不到试发"),
    N_("图片、视频或文件还在传到企业微信，请过一分钟再试"),
    N_("请填写标题"),
    N_("请填写网址"),
    N_("请填写AppID"),
    N_("请填写页面路径"),
    N_("网址要以 https:// 开头"),
    N_("封面图网址要以 https:// 开头"),
    N_("标题太长：最多 %(n)s 字节（约 %(m)s 个汉字）"),
    N_("网址太长：最多 %(n)s 字节（约 %(m)s 个汉字）"),
    N_("说明太长：最多 %(n)s 字节（约 %(m)s 个汉字）"),
    N_("页面路径太长：最多 %(n)s 字节（约 %(m)s 个汉字）"),
    N_("请选择要发的图片"),
    N_("请选择要发的封面图"),
    N_("请选择要发的视频"),
    N_("请选择要发的文件"),
    N_("只接受 MP4 视频（看内容，不看文件名），不超过 10 MB；请压缩或另存为 MP4 后再传"),
    N_("文件要大于 5 字节、不超过 20 MB，请压缩后再传"),
    N_(
        "群发对所有人是同一段文字，企业微信没有占位符：只能用 {rep}；"
        "称呼、积分和专属链接请用在欢迎语、客服回复和一对一卡片里（写了 %(what)s）"
    ),
    N_("符合条件的人是批准时的 %(times)s 倍（%(now)s 人，批准时 %(then)s 人），退回给制作人重新确认"),
    N_("制作人已经不能登录控制台，没有发送；请另一位同事看过后重新提交"),
    N_(
        "24 小时内有 %(n)s 位客户删除了成员，平时同样多的客户一天约 %(usual)s 位：剩下的已自动撤回，"
        "请看看内容和人群再决定"
    ),
    N_("24 小时内有 %(n)s 位客户删除了成员，平时同样多的客户一天约 %(usual)s 位：已经全部发出，下次请换内容或人群"),
)
"""What ``outreach`` says about a broadcast, to be found by the catalogue."""


def recurs(repeat: Mapping[str, Any]) -> str:
    """When it comes again, as one says it: 每周一、周五 10:00，遇休息日顺延."""
    if not repeat:
        return ""
    every, days, at = str(repeat["every"]), repeat.get("days") or [], repeat["at"]
    if every == "week":
        words = [_("每%(days)s %(at)s", days=listed(_(WEEKDAYS[one - 1]) for one in days), at=at)]
    elif every == "month":
        words = [_("每月 %(days)s 日 %(at)s", days=listed(days), at=at)]
    else:
        words = [_("每天 %(at)s", at=at)]
    words += [_("遇休息日顺延")] if repeat.get("working") else []
    words += [_("到 %(day)s 为止", day=repeat["until"])] if repeat.get("until") else []
    return listed(words, "，")


def rule_words(why: str, rules: Rules) -> str:
    """The shop's own rule behind a reason: how many there may be, how far apart."""
    if why == QUOTA:
        return _(MODE_WORDS[rules.mode])
    if why == GAP:
        return _("两条消息至少隔 %(n)s 小时", n=f"{rules.gap.total_seconds() / 3600:g}")
    return ""


def reason_words(rules: Rules) -> dict[str, str]:
    """Every reason why somebody gets nothing, with the shop's own rule where one is behind it."""
    spelt = {why: (_(words), rule_words(why, rules)) for why, words in REASON_WORDS.items()}
    return {
        why: _("%(what)s（%(rule)s）", what=words, rule=rule) if rule else words for why, (words, rule) in spelt.items()
    }


def holder_words(touch: Touch, names: Mapping[tuple[str, int], str], zone: ZoneInfo) -> str:
    """What takes somebody's place: of what kind, what it is called, for which day."""
    kind, number = budget.kind_of(touch.source)
    name, on = names.get((kind, number), ""), day(touch.at.astimezone(zone).date())
    return _(HOLDER_WORDS[kind], name=name, day=on)


def told(words: str | None) -> str:
    """What ``outreach`` wrote about a broadcast, in the language of this answer."""
    own = said(words, [(one, one) for one in FROM_BELOW])
    return own if own != words else said(words)


def outcome(words: str | None) -> str:
    """Why a task is over; what WeCom said stays as it is."""
    return said(words, OUTCOME_WORDS.items()) if words in OUTCOME_WORDS else told(words)

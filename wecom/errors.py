"""What can go wrong between us and WeCom, by what the caller may do about it, and the table that sorts WeCom's codes.

Source of the codes: WeCom's official global error table.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType


class WeComError(Exception):
    """Something went wrong between us and WeCom."""


class BadEnvelope(WeComError):
    """A callback that was not signed or sealed for us, or whose body we refuse to read."""


class Malformed(BadEnvelope):
    """A request that no caller of ours would make: fields missing, doubled or out of shape."""


class Answered(WeComError):
    """WeCom answered with an error code. Its free text is never matched on and never shown to customers."""

    def __init__(self, api: str, errcode: int) -> None:
        super().__init__(f"{api}: {explain(errcode)} ({errcode})")
        self.api = api
        self.errcode = errcode


class TryLater(WeComError):
    """WeCom is busy, or we never reached it: nothing was carried out and the same call may be made again."""

    wait: timedelta | None = None
    """How long to wait at least, if known."""


class Busy(Answered, TryLater):
    """WeCom answered that it could not just now."""


class Blocked(TryLater):
    """We called this API too often (45009); no call until ``until``."""

    def __init__(self, api: str, until: datetime, now: datetime) -> None:
        super().__init__(f"{api}: {explain(45009)}, until {until:%H:%M:%S} UTC")
        self.api, self.until, self.errcode = api, until, 45009
        self.wait = max(until - now, timedelta(seconds=1))


class Misconfigured(Answered, TryLater):
    """WeCom refuses us as a whole (secret, trusted IP, permission): an admin must act, then it may be asked again."""

    wait = timedelta(minutes=2)


class Refused(Answered):
    """WeCom understood and said no; asking again would not help."""


class EnoughForToday(Answered, TryLater):
    """WeCom takes no more of these within 24 hours (41094: three reminders of one mass message)."""

    wait = timedelta(hours=24)


class TooLarge(Refused):
    """A file of more bytes than we keep; the rest of it was never read."""

    def __init__(self, api: str, most: int) -> None:
        super().__init__(api, 45001)
        self.args = (f"{api}: {explain(45001)}，最多 {most // (1024 * 1024)} MB",)


class Unclear(WeComError):
    """The line broke after we asked; it may or may not have been carried out."""


STALE_TOKEN = frozenset({40001, 40014, 42001})
"""Fetch a new token once, and make the call once more."""
STILL_DISPATCHING = 41063
"""A mass message that has just been made is still on its way to the members."""
BUSY = frozenset({-1, 6000, 45033, 41096, STILL_DISPATCHING})
TOO_OFTEN = 45009
OURS_TO_FIX = frozenset({40001, 40013, 40014, 40091, 42001, 48001, 48002, 48004, 48006, 50003, 60020, 301042, 301002})
BAD_CURSOR, BAD_KF_TOKEN, NO_SUCH_ACCOUNT = 50100, 95007, frozenset({95000, 95004})
KF_FIVE_SENT, KF_BAD_MOVE, NOT_A_SERVICER, SERVICER_PAUSED = 95001, 95016, 95014, 95019
KF_STATE_IS_OTHER = frozenset({95013, KF_BAD_MOVE, 95018})
"""WeCom has a session of 微信客服 in another state than we thought."""

NOBODY_TO_SEND_TO, MASS_CANCELLED, REMINDED_ENOUGH = 41048, 41093, 41094
"""Of a mass message: no receiver was left, so that none was made; it was cancelled before; no more reminders today."""
NO_SUCH_MASS = frozenset({41046, 41047})

ALREADY_WELCOMED, CODE_DEAD, OTHER_APP_SENDING, NOT_RELATED = 41051, 41050, 41096, 84061

WORDS: Mapping[int, str] = MappingProxyType(
    {
        -1: "企业微信繁忙",
        6000: "数据刚被他人改动",
        40001: "应用 Secret 不对或已停用",
        40003: "成员 userid 无效",
        40007: "素材已过期或无效",
        40013: "企业 ID 不对",
        40014: "access_token 无效",
        40058: "参数不符合要求",
        40068: "标签无效",
        40071: "标签重名",
        40093: "JS-SDK 签名不对",
        40096: "客户不属于本企业可见范围",
        40097: "原成员还没有离职",
        40098: "成员未实名认证",
        40099: "接替成员的客户已达上限",
        40100: "客户正在接替中",
        40128: "客户 90 天内已接替过 2 次",
        40129: "客户正在接替中",
        40130: "原成员和接替成员是同一人",
        40131: "客户不是原成员的客户",
        41041: "联系我的成员超过 100 人",
        41044: "联系我配置不存在",
        41045: "联系我数量已达上限",
        41046: "缺少群发任务 id",
        41047: "群发任务不存在",
        41048: "没有可以发送的客户",
        41050: "欢迎语凭证已失效（超过 20 秒或已使用）",
        41051: "已开始聊天或已发过欢迎语",
        41053: "客户未同意会话存档，不能发欢迎语",
        41054: "成员未激活",
        41063: "群发任务正在下发给成员",
        41064: "附件太多",
        41065: "附件类型不对",
        41080: "附件太大",
        41081: "附件分辨率不对",
        41082: "附件时长不对",
        41090: "附件格式不对",
        41093: "群发任务已被取消",
        41094: "24 小时内已提醒 3 次",
        41096: "另一个应用正在发送欢迎语",
        42001: "access_token 过期",
        42012: "jsapi_ticket 不可用（agentConfig 要用应用的 ticket）",
        44004: "内容为空",
        45002: "内容太长",
        45009: "调用过于频繁，接口被暂停",
        45033: "并发调用过多",
        48002: "应用没有该接口的权限（客户联系 → API → 可调用接口的应用）",
        45001: "文件太大",
        50003: "应用已停用",
        50100: "翻页游标无效",
        60011: "成员不在应用可见范围",
        60020: "服务器 IP 不在企业可信 IP 中",
        60111: "成员不存在",
        81013: "接收人全部无效",
        84061: "客户与成员没有好友关系",
        84074: "成员没有客户联系功能",
        95000: "客服帐号无效",
        95001: "客户最后一次发言后已发满 5 条",
        95002: "客户最后一次发言已超过 48 小时",
        95004: "客服帐号不存在",
        95007: "事件凭证无效或已使用",
        95013: "会话已结束",
        95014: "不是该客服帐号的接待人员，或未激活",
        95016: "会话现在的状态不能这样变更",
        95017: "微信客服的 API 功能已关闭",
        95018: "会话现在的状态不能由我们发消息",
        95019: "接待人员已暂停接待",
        301002: "应用与 agentid 不符",
        48007: "客服帐号没有授权给本应用（微信客服 → API → 可调用接口的应用）",
    }
)


def explain(errcode: int) -> str:
    """The code in words an operator understands."""
    return WORDS.get(errcode, "企业微信拒绝")


def error_for(api: str, errcode: int) -> WeComError:
    """The branch of the tree that a code belongs to; ``TOO_OFTEN`` is the gateway's to turn into a ``Blocked``."""
    if errcode in OURS_TO_FIX:
        return Misconfigured(api, errcode)
    if errcode in BUSY:
        return Busy(api, errcode)
    if errcode == REMINDED_ENOUGH:
        return EnoughForToday(api, errcode)
    return Refused(api, errcode)

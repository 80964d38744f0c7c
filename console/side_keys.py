"""The signatures by which WeCom's client lets the sidebar speak with it, and why there are none .

The client computes them over the page's own full address, so the page says what that is; only an address of ours is
signed. What goes wrong is named as one of ``CHECKS`` with the place in WeCom's admin console where it is mended: the
page shows the whole list and marks what failed, on our side (here) or in the client (``sidebar.js``, by its errors).
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from console import here
from console.words import N_
from wecom.errors import Answered, TryLater
from wecom.jssdk import PageKeys

log = logging.getLogger(__name__)

CONFIG = ("getContext", "getCurExternalContact", "getCurExternalChat", "sendChatMessage")
"""What the page asks the client for."""
ADDRESS, SCRIPT, SERVER, CLOCK, DOMAIN, AGENT, SIGNED, PERMISSION = (
    "address",
    "script",
    "server",
    "clock",
    "domain",
    "agent",
    "signed",
    "permission",
)


@dataclass(frozen=True)
class Check:
    """One thing that must be right, and where it is mended."""

    words: str
    mend: str


CHECKS: Mapping[str, Check] = {
    ADDRESS: Check(
        N_("页面地址和设置一致"),
        N_(
            "管理后台 → 应用管理 → 本应用 → 配置到聊天工具栏：页面地址应以 config.toml 里的 base_url 开头；改其中一个。"
        ),
    ),
    SCRIPT: Check(
        N_("企业微信的脚本已加载"),
        N_("这台设备打不开 res.wx.qq.com 或 open.work.weixin.qq.com：请在网络里放行。"),
    ),
    SERVER: Check(
        N_("服务器能向企业微信取票据"),
        N_("管理后台 → 应用管理 → 本应用 → 企业可信IP 要有服务器的出口 IP；也可运行 scrm check 逐项看。"),
    ),
    CLOCK: Check(N_("时钟一致"), N_("服务器和这台设备的时间差超过 5 分钟：请打开两边的自动对时。")),
    DOMAIN: Check(
        N_("可信域名"),
        N_("管理后台 → 应用管理 → 本应用 → 网页授权及JS-SDK → 设置可信域名：和本页的域名（和端口）完全一样。"),
    ),
    AGENT: Check(
        N_("企业和应用编号"),
        N_("config.toml 的 corp_id、agent_id 要和管理后台 → 我的企业、应用管理 → 本应用 里的一样；改后重启。"),
    ),
    SIGNED: Check(
        N_("签名通过"),
        N_("签名和页面地址对不上：反向代理不要改写路径和参数，页面不要再套一层跳转；若刚换过应用密钥，请重启服务。"),
    ),
    PERMISSION: Check(
        N_("可以读取当前客户"),
        N_("管理后台 → 客户联系 → 客户 → API → 可调用接口的应用：勾选本应用；权限配置 → 使用范围：要有这位成员。"),
    ),
}
"""In the order in which they are looked at."""


def signed(url: str, old: Mapping[str, Any] | None) -> dict[str, Any]:
    """The keys for the page at this address, or ``{"failed": a check, "told": what WeCom said}``.

    ``old``: keys that the client has just refused; the tickets they were made with are fetched anew.
    """
    page = url.split("#", 1)[0]
    if not page.startswith(f"{here.setting('base_url')}/sidebar?"):
        return {"failed": ADDRESS, "told": here.setting("base_url")}
    try:
        if old is not None:
            here.gateway().js.renew(page, _given_back(old))
        keys = here.gateway().js.keys_for(page, CONFIG, here.now())
    except Answered as error:
        log.warning("the sidebar cannot be signed: %s", error)
        return {"failed": _check_of(error), "told": str(error)}
    except TryLater as error:
        return {"failed": SERVER, "told": str(error)}
    return {"config": keys.config, "agent_config": keys.agent_config, "now": _seconds(here.now())}


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _check_of(error: Answered) -> str:
    return AGENT if error.errcode in (40013, 40056, 301002) else SERVER


def _given_back(old: Mapping[str, Any]) -> PageKeys:
    """What the page got from us, as it says: it only decides whether a ticket is fetched anew."""
    config, agent_config = (_part(old.get(name)) for name in ("config", "agent_config"))
    return PageKeys(config, agent_config)


def _part(given: Any) -> dict[str, Any]:
    part = given if isinstance(given, dict) else {}
    stamp = part.get("timestamp")
    return {
        "nonceStr": str(part.get("nonceStr", ""))[:64],
        "timestamp": stamp if isinstance(stamp, int) else 0,
        "signature": str(part.get("signature", ""))[:64],
    }

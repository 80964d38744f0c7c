"""What is told to and heard from other systems, in people's words."""

from collections.abc import Mapping
from types import MappingProxyType

from console.words import N_

EVENT_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "customer.created": N_("新客户"),
        "customer.merged": N_("两位客户合并"),
        "customer.separated": N_("客户拆开"),
        "customer.opted_out": N_("客户不想再收到消息"),
        "customer.opted_in": N_("客户愿意再收到消息"),
        "channel.arrival": N_("扫渠道活码到来"),
        "order.created": N_("订单"),
        "order.refunded": N_("退款"),
        "points.changed": N_("积分变动"),
        "tier.changed": N_("等级变化"),
    }
)
STATES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "waiting": (N_("等待"), "warn"),
        "done": (N_("已送达"), "good"),
        "given_up": (N_("放弃"), "bad"),
        "dropped": (N_("无需通知"), "quiet"),
    }
)
FIELD_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "list": N_("订单列表在哪里"),
        "source": N_("来源"),
        "order_no": N_("订单号"),
        "paid_at": N_("付款时间"),
        "amount": N_("实付金额"),
        "unit": N_("金额单位"),
        "identity_type": N_("买家身份类型"),
        "identity_value": N_("买家身份"),
        "store": N_("门店"),
        "staff": N_("导购"),
        "kind": N_("哪个字段说明是退款"),
        "refund_when": N_("它是什么值时是退款"),
        "refund_no": N_("退款单号"),
        "lines": N_("明细在哪里"),
        "line_sku": N_("明细：货号"),
        "line_name": N_("明细：名称"),
        "line_category": N_("明细：类目"),
        "line_quantity": N_("明细：数量"),
        "line_amount": N_("明细：金额"),
    }
)
_TROUBLES = (
    N_("地址要以 https:// 开头"),
    N_("地址要以 https:// 开头；http 只有在设置里写了 [webhooks] private_networks = true 才能用"),
    N_("这不是一个地址"),
    N_("地址里不能有空格和中文，请写成编码后的样子"),
    N_("地址里不能有用户名和密码"),
    N_("找不到这个域名"),
    N_("这个地址指向内部网络，不会去调用；请换成公网地址，或在设置里写 [webhooks] private_networks = true"),
    N_("请至少选择一种事件"),
    N_("最多 %(n)s 个地址"),
    N_("没有接通：%(why)s"),
    N_("没有可以通知的内容"),
    N_("密钥读不出来：web.secret_key 换过了，请换一个新密钥"),
    N_("对方回答 410：不再接收"),
    N_("三天都没有送达，最后一次：%(why)s"),
    N_("没有这个字段"),
    N_("请填写：没有它就不是一笔订单"),
    N_("写成 data.items[0].id 这样，或以 = 开头写固定值"),
    N_("类型和值要一起填"),
    N_("要写明什么时候是退款（例如 =REFUNDED），以及在哪个字段里"),
    N_("写 =yuan 或 =fen"),
)
TROUBLES = tuple((one, one) for one in _TROUBLES)
"""What the lower floors say."""

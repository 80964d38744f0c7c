"""What the machine writes into its books (events, calls, jobs, causes, audit lines), said in people's words.

The lower floors write short fixed sentences; the tables here say each in Chinese, the catalogue in English. What is
not in a table is shown as it stands.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from flask import Flask

from console.layout import ROLE_WORDS
from console.words import N_, _, listed, said
from storage import lists

NOBODY: Mapping[str, str] = MappingProxyType({})
EVENT_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "change_external_contact.add_external_contact": N_("客户添加了成员"),
        "change_external_contact.add_half_external_contact": N_("客户扫码，等成员确认"),
        "change_external_contact.edit_external_contact": N_("成员修改了客户备注或标签"),
        "change_external_contact.del_external_contact": N_("成员删除了客户"),
        "change_external_contact.del_follow_user": N_("客户删除了成员"),
        "change_external_contact.transfer_fail": N_("客户接替失败"),
        "change_external_contact.msg_audit_approved": N_("客户同意会话存档"),
        "change_external_chat.create": N_("客户群创建"),
        "change_external_chat.update": N_("客户群变更"),
        "change_external_chat.dismiss": N_("客户群解散"),
        "change_external_tag.create": N_("企业标签创建"),
        "change_external_tag.update": N_("企业标签变更"),
        "change_external_tag.delete": N_("企业标签删除"),
        "change_external_tag.shuffle": N_("企业标签重新排序"),
        "change_contact.create_user": N_("新增成员"),
        "change_contact.update_user": N_("成员资料变更"),
        "change_contact.delete_user": N_("成员离开"),
        "change_contact.create_party": N_("新增部门"),
        "change_contact.update_party": N_("部门变更"),
        "change_contact.delete_party": N_("删除部门"),
        "close_inactive_agent": N_("应用被停用"),
        "reopen_inactive_agent": N_("应用恢复使用"),
        "kf_msg_or_event": N_("微信客服有新消息"),
        "subscribe": N_("成员关注应用"),
        "unsubscribe": N_("成员取消关注应用"),
        "enter_agent": N_("成员打开应用"),
        "link_opened": N_("客户打开了链接"),
        "message.text": N_("成员发来文字"),
        "message.image": N_("成员发来图片"),
        "message.voice": N_("成员发来语音"),
        "message.video": N_("成员发来视频"),
        "message.location": N_("成员发来位置"),
        "message.link": N_("成员发来链接"),
        "message.file": N_("成员发来文件"),
        "template_card_event": N_("成员点了卡片按钮"),
    }
)
CALL_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "SendWelcome": N_("发送欢迎语"),
        "MarkTag": N_("打标签"),
        "AddCorpTag": N_("新建企业标签"),
        "UpdateContactWay": N_("修改渠道活码"),
        "DeleteContactWay": N_("删除渠道活码"),
        "UploadMedia": N_("上传图片"),
        "TellMembers": N_("通知成员"),
        "EditCorpTag": N_("修改企业标签"),
        "DeleteCorpTags": N_("删除企业标签"),
        "TransferCustomers": N_("转交客户（在职）"),
        "TransferCustomersOfLeaver": N_("转交客户（离职）"),
        "TellRep": N_("给成员发消息"),
        "UpdateCard": N_("更新卡片"),
        "MakeMass": N_("请成员确认群发"),
        "MakeGroupMass": N_("请群主确认群发"),
        "RemindMass": N_("提醒成员确认群发"),
        "CancelMass": N_("停止群发"),
        "SendKf": N_("发送客服消息"),
        "ReplyKf": N_("自动回复"),
        "SendKfOnEvent": N_("发送客服欢迎语或结束语"),
        "TransKf": N_("分配客服会话"),
        "HandKf": N_("把客服会话转给成员"),
        "ReadKfState": N_("查询客服会话状态"),
        "FetchFile": N_("下载客户发来的文件"),
    }
)
FILL_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "members": N_("成员名单"),
        "tags": N_("企业标签"),
        "ways": N_("联系我"),
        "relations": N_("客户"),
        "done": N_("完成"),
    }
)
"""The steps of the first fill, in order."""
JOB_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "make imported codes": N_("批量创建渠道活码"),
        "carry out rules": N_("补打和收回标签"),
        "lead channel codes": N_("按时段切换接待成员"),
        "tell admins": N_("把提醒发给管理员"),
        "first fill": N_("读入企业微信已有数据"),
        "watch for silence": N_("检查事件是否中断"),
        "read missing profiles": N_("补读客户资料"),
        "refresh pictures": N_("续传图片素材"),
        "fill calendar": N_("更新节假日"),
        "nightly sync": N_("每晚核对"),
        "sync on demand": N_("按需核对"),
        "rep days": N_("读入企业微信的成员统计"),
        "wipe what was erased": N_("清理已删除客户在数据库文件里的残留"),
        "plan broadcasts": N_("安排群发"),
        "make mass tasks": N_("请成员确认群发"),
        "read mass tasks": N_("读入群发结果"),
        "watch for deletions": N_("看群发后有没有客户离开"),
        "read own sends": N_("读入成员自己的群发"),
        "read what happened": N_("看谁该开始、结束或继续旅程"),
        "walk journeys": N_("让旅程往下走"),
        "call webhooks": N_("通知其他系统"),
        "send webhooks": N_("把发生的事告诉外部系统"),
        "keep days": N_("看谁到了日子，该开始旅程"),
        "look into segments": N_("看谁进入了分层，该开始旅程"),
        "tidy": N_("清理过期记录"),
        "remind reps": N_("到时间提醒成员"),
        "end cards": N_("收起过期和不该再做的卡片"),
        "make cards": N_("给成员出今日卡片"),
        "send day lists": N_("早上发今日清单"),
        "do bulk work": N_("批量打标签"),
        "mark waiting": N_("把新建的标签带给等着的客户"),
        "pull kf accounts": N_("取微信客服的新消息"),
        "tend conversations": N_("照看微信客服的会话"),
        "tag who was joined": N_("把合并或拆开的客户的标签同步到企业微信"),
        "tend approvals": N_("处理积分审批"),
        "look at tiers": N_("看等级该不该变"),
        "let go of rewards": N_("退回过期没领的奖品"),
        "put labels": N_("给积分标签"),
        "note notices": N_("记下谁已知道积分要过期"),
        "sweep points": N_("积分到账、到期和放回预留"),
        "seal points": N_("给积分账封账"),
        "reconcile points": N_("每晚核对积分账"),
        "settle handovers": N_("问客户交接的结果"),
        "list kf accounts": N_("读客服账号"),
        "read unassigned": N_("读离职成员留下的客户"),
        "blank old texts": N_("清空过期的聊天文字"),
        "know regions": N_("查手机号归属地"),
        "score forecasts": N_("核对公布过的积分兑换预测"),
        "settle newcomers": N_("判断新客户的生命周期"),
        "settle life cycles": N_("判断每位客户的生命周期"),
        "measure segments": N_("重新数分层的人数"),
        "watch order sources": N_("看订单来源有没有断"),
        "give birthday points": N_("给今天生日的客户送积分"),
    }
)
OUTCOMES: tuple[tuple[str, str], ...] = (
    ("done", N_("已处理")),
    (lists.NO_STEP, N_("已保存，没有后续步骤")),
    ("welcome asked for", N_("已请企业微信发欢迎语")),
    ("the worker stopped in the middle of it", N_("处理到一半中断了")),
    ("the sender stopped in the middle of it", N_("发到一半中断了，不知道发出没有")),
    ("its time was over before it could leave", N_("还没发出就过了时限")),
    ("another code of this arrival worked", N_("另一个凭证已经发成功")),
    ("given up by hand", N_("有人决定不再发送")),
    ("it was gone already", N_("企业微信那边已经没有了")),
    ("given up after %(n)s tries: %(why)s", N_("试了 %(n)s 次后放弃：%(why)s")),
    ("labels given: %(n)s, taken: %(m)s", N_("给了 %(n)s 位积分标签，去掉 %(m)s 位")),
    ("lots told of: %(n)s", N_("%(n)s 笔积分的过期已告诉客户")),
    ("accounts: %(n)s, holds let go: %(m)s", N_("动了 %(n)s 个账户，放回 %(m)s 笔预留")),
    (
        "rewards let go of: %(n)s, gifts: %(m)s, groups looked at: %(k)s",
        N_("退回 %(n)s 份过期没领的奖品、%(m)s 笔没人接受的转赠，看了 %(k)s 个拼团"),
    ),
    ("customers looked at: %(n)s", N_("看了 %(n)s 位客户")),
    ("carried out: %(n)s, over: %(m)s, told: %(told)s", N_("执行了 %(n)s 件，过期 %(m)s 件，通知了 %(told)s 人")),
    ("transactions sealed: %(n)s", N_("封了 %(n)s 笔")),
    ("months scored: %(n)s", N_("核对了 %(n)s 个月的预测")),
    (
        "days closed: %(n)s, transactions: %(m)s, all of it holds",
        N_("结了 %(n)s 天的账，%(m)s 笔全都对得上"),
    ),
    (
        "days closed: %(n)s, transactions: %(m)s, faults: %(faults)s",
        N_("结了 %(n)s 天的账，%(m)s 笔里有 %(faults)s 处对不上"),
    ),
    ("portions planned: %(n)s", N_("安排了 %(n)s 批")),
    ("tasks asked for: %(n)s, taken back: %(m)s", N_("请求了 %(n)s 个任务，撤回 %(m)s 个")),
    ("tasks read: %(n)s", N_("读了 %(n)s 个任务")),
    ("broadcasts looked at: %(n)s, withdrawn: %(m)s", N_("看了 %(n)s 条群发，撤回 %(m)s 条")),
    ("messages of reps: %(n)s, customers: %(m)s", N_("读了成员自己的 %(n)s 条群发，涉及 %(m)s 位客户")),
    ("cards made: %(n)s, not made: %(m)s", N_("出了 %(n)s 张卡片，%(m)s 张没有出")),
    ("occasions make no cards", N_("没有开启：只由旅程出卡片")),
    ("lines about journeys: %(n)s, set out: %(m)s", N_("读了 %(n)s 条与旅程有关的记录，%(m)s 位客户开始")),
    ("set out: %(n)s", N_("%(n)s 位客户开始")),
    (
        "steps taken: %(n)s, tasks cut: %(m)s, messages settled: %(settled)s",
        N_("走了 %(n)s 步，请求了 %(m)s 个任务，%(settled)s 条消息有了结果"),
    ),
    ("sources: %(n)s, silent: %(m)s", N_("看了 %(n)s 个来源，%(m)s 个安静得不寻常")),
    ("birthday points: %(n)s", N_("给 %(n)s 位客户送了生日积分")),
    ("birthdays earn no points", N_("生日不送积分")),
    ("messages told: %(n)s", N_("通知了 %(n)s 次")),
    ("webhooks called: %(n)s of %(all)s", N_("通知了 %(n)s / %(all)s 次")),
    ("cards ended: %(n)s", N_("收起 %(n)s 张卡片")),
    ("lists sent: %(n)s", N_("发了 %(n)s 份清单")),
    ("not the hour for lists", N_("不在发清单的时间")),
    ("no lists on a day off", N_("休息日不发清单")),
    ("all have their lists", N_("今天的清单都发过了")),
    (
        "taken back: outside hours, or its customer wants no contact or has gone",
        N_("收回：不在上班时间，或客户不想再收到消息、已离开"),
    ),
    ("nothing was erased", N_("没有要清理的")),
    ("files cleaned", N_("已清理")),
    ("portions marked: %(n)s", N_("标注了 %(n)s 批")),
    ("people concerned: %(n)s", N_("涉及 %(n)s 位客户")),
    ("codes led anew: %(n)s", N_("%(n)s 个渠道活码换了接待成员")),
    ("codes made: %(n)s", N_("建好 %(n)s 个渠道活码")),
    ("alarms told: %(n)s", N_("发出 %(n)s 条提醒")),
    ("codes whose pictures were looked at: %(n)s", N_("看过 %(n)s 个渠道活码的图片")),
    (
        "members: %(n)s, left: %(left)s, corp tags: %(tags)s",
        N_("成员 %(n)s 人，离开 %(left)s 人，企业标签 %(tags)s 个"),
    ),
    ("profiles read: %(n)s of %(all)s", N_("补读了 %(n)s / %(all)s 位客户的资料")),
    (
        "removed: %(events)s events, %(calls)s calls, %(runs)s job runs",
        N_("清理了 %(events)s 个事件、%(calls)s 个请求、%(runs)s 次任务记录"),
    ),
    ("all taken over", N_("全部读入了")),
    ("stopped in the middle", N_("读到一半，下次接着读")),
    ("not a busy hour", N_("现在不是营业高峰，不检查")),
    ("events keep coming", N_("事件一直在来")),
    ("cleared", N_("事件又来了，提醒已解除")),
    ("raised", N_("已提醒管理员")),
    ("calendar complete", N_("节假日齐全")),
    ("bulk rows settled: %(n)s", N_("处理了 %(n)s 行")),
    ("unassigned customers: %(n)s", N_("待分配的客户 %(n)s 位")),
    ("handed over, refused or asked again: %(n)s", N_("有结果或再次请求的客户 %(n)s 位")),
    ("tasks reps were reminded of: %(n)s", N_("提醒了 %(n)s 条待办")),
    ("one member takes only so many messages a minute", N_("同一成员每分钟接收有限，稍后发")),
    ("the card was changed already", N_("卡片已更新")),
    ("accounts to be pulled: %(n)s of %(all)s", N_("取 %(n)s / %(all)s 个客服账号的消息")),
    ("accounts: %(n)s", N_("%(n)s 个客服账号")),
    ("chats over: %(n)s, waiting too long: %(waiting)s", N_("结束 %(n)s 个会话，%(waiting)s 位客户等得太久")),
    ("days: %(n)s, reps: %(reps)s", N_("读了 %(n)s 天，%(reps)s 名成员")),
    ("people looked at: %(n)s", N_("看了 %(n)s 位客户")),
    ("people looked at: %(n)s, moved: %(moved)s", N_("看了 %(n)s 位客户，%(moved)s 位换了阶段")),
    ("newcomers: %(n)s", N_("新客户 %(n)s 位")),
    ("numbers looked at: %(n)s", N_("查了 %(n)s 个手机号")),
    ("segments: %(n)s", N_("数了 %(n)s 个分层")),
    ("texts let go of: %(n)s", N_("清空了 %(n)s 段文字")),
    ("not for us: %(why)s", N_("没有微信客服的权限：%(why)s")),
    ("not now: %(why)s", N_("现在不行：%(why)s")),
    ("a portion is kept, there is more", N_("收下了一部分，接着取")),
    ("kept: it concerns no customer", N_("已保存，与客户无关")),
    ("the chat is in other hands by now", N_("会话已经到了别人手里")),
    ("the code is used up: it arrived the first time", N_("凭证已用过：第一次就送达了")),
    ("unclear: the repetition was refused: %(why)s", N_("不确定：重发被拒绝：%(why)s")),
    ("the person was erased", N_("这位客户已被删除")),
    ("nothing was asked for", N_("没有人要求核对")),
    ("different: %(n)s, fixed: %(fixed)s (%(what)s)", N_("不同 %(n)s 处，补好 %(fixed)s 处")),
    ("not now: another sync is under way", N_("另一次核对正在进行")),
    ("another sync is under way", N_("另一次核对正在进行")),
    ("kept for ever", N_("没有设保留期限，都留着")),
    ("nothing to pull", N_("没有要取的消息")),
    (
        "not now: what was there before us is still being taken over; `scrm serve` does that",
        N_("还在读入已有数据，读完再核对"),
    ),
    ("not published yet: %(years)s", N_("国家还没有公布：%(years)s 年")),
)
CAUSES: tuple[tuple[str, str], ...] = (
    ("event %(n)s %(name)s", N_("事件 #%(n)s")),
    ("call %(n)s %(name)s", N_("请求 #%(n)s 的结果")),
    ("console: channels.%(page)s", N_("有人在控制台改了渠道活码")),
    ("console: channel_imports.%(page)s", N_("有人在控制台批量创建")),
    ("console: customers.%(page)s", N_("有人在控制台改了客户")),
    ("console: operations.%(page)s", N_("有人在控制台操作了运行页")),
    ("console: own_page.%(page)s", N_("客户在自己的页面上操作")),
    ("console: sidebar.%(page)s", N_("有人在侧边栏操作")),
    ("console: %(page)s", N_("有人在控制台操作")),
    ("api: %(page)s", N_("开放接口")),
    ("first fill", N_("读入企业微信已有数据")),
    ("organisation", N_("读取成员和部门")),
    ("command line", N_("命令行")),
    ("demo", N_("演示")),
)
ACTORS: tuple[tuple[str, str], ...] = (
    ("demo", N_("演示")),
    ("first start", N_("首次启动")),
    ("command line", N_("命令行")),
    ("key:%(key)s", N_("API 密钥“%(key)s”")),
    ("-", N_("没有登录的人")),
    ("nightly", N_("每晚自动")),
)
"""Who acts without being a member."""
ACTIONS: Mapping[str, str] = MappingProxyType(
    {
        "order.claim": N_("补登订单"),
        "campaign.save": N_("保存积分活动"),
        "campaign.submit": N_("提交积分活动审批"),
        "campaign.pause": N_("暂停积分活动"),
        "campaign.resume": N_("恢复积分活动"),
        "campaign.end": N_("提前结束积分活动"),
        "reward.save": N_("保存奖品"),
        "reward.go": N_("开始兑换奖品"),
        "reward.pause": N_("暂停奖品"),
        "reward.stock": N_("更改奖品库存"),
        "reward.codes": N_("上传券码"),
        "reward.hand_out": N_("核销奖品"),
        "reward.return": N_("退回奖品"),
        "reward.settle": N_("记下捐赠已付"),
        "points_rules.submit": N_("提交积分规则审批"),
        "refund.match": N_("指明退款的订单"),
        "sign_in.good": N_("登录成功"),
        "sign_in.bad": N_("登录失败"),
        "sign_in.slow_down": N_("登录太频繁，已放慢"),
        "sign_in.out": N_("退出登录"),
        "sign_in.out_everywhere": N_("在所有设备退出"),
        "password.change": N_("改了自己的密码"),
        "password.reset": N_("让人重设密码"),
        "access.refuse": N_("访问被拒绝"),
        "customers.export": N_("导出客户"),
        "person.phone": N_("查看完整手机号"),
        "person.note": N_("写备注"),
        "person.birthday": N_("记下生日"),
        "customer.birthday": N_("记下生日"),
        "person.note_delete": N_("删除备注"),
        "person.tag": N_("添加标签"),
        "person.untag": N_("去掉标签"),
        "person.owner": N_("更改负责人"),
        "customer.identity": N_("添加身份"),
        "customer.resolve": N_("合并或拆开身份"),
        "customer.ask_join": N_("提出合并两位客户"),
        "customer.join": N_("合并两位客户"),
        "customer.apart": N_("认定是两位客户"),
        "customer.separate": N_("把身份拆开"),
        "customer.bind": N_("绑定会员手机号"),
        "customer.confirm": N_("确认是客户本人"),
        "customer.wechat": N_("客户用微信登录自己的页面"),
        "customer.bound": N_("客户确认了绑定的会员"),
        "customer.opt_out": N_("客户不再接收消息"),
        "customer.opt_in": N_("客户重新接收消息"),
        "customer.own_page": N_("给客户建积分页地址"),
        "customer.own_page_revoke": N_("收回客户的积分页地址"),
        "customer.tag": N_("添加标签"),
        "customer.untag": N_("去掉标签"),
        "channel.create": N_("新建渠道活码"),
        "channel.change": N_("修改渠道活码"),
        "channel.finish": N_("补完渠道活码"),
        "channel.withdraw": N_("撤回没建成的渠道活码"),
        "channel.stop": N_("停用渠道活码"),
        "channel.resume": N_("恢复渠道活码"),
        "channel.delete": N_("删除渠道活码"),
        "channel.export": N_("导出渠道活码"),
        "channel.picture": N_("下载二维码"),
        "channel.pictures": N_("打包下载二维码"),
        "channel_import.prepare": N_("准备批量创建"),
        "channel_import.start": N_("开始批量创建"),
        "channel_import.stop": N_("停止批量创建"),
        "channel_import.resume": N_("继续批量创建"),
        "channel_import.rejected": N_("下载没通过的行"),
        "picture.keep": N_("保存图片"),
        "chat.reply": N_("回复客户"),
        "chat.hand_over": N_("转接会话"),
        "chat.end": N_("结束会话"),
        "chat.read": N_("标为已看"),
        "answer.create": N_("新建自动回复"),
        "answer.change": N_("修改自动回复"),
        "answer.stop": N_("停用自动回复"),
        "answer.resume": N_("启用自动回复"),
        "answer.delete": N_("删除自动回复"),
        "kf_account.change": N_("修改客服账号"),
        "rule.create": N_("新建规则"),
        "rule.change": N_("修改规则"),
        "rule.stop": N_("停用规则"),
        "rule.resume": N_("启用规则"),
        "rule.delete": N_("删除规则"),
        "rule.backfill": N_("补打规则"),
        "rule.undo": N_("收回规则打的标签"),
        "material.create": N_("新建素材"),
        "material.change": N_("修改素材"),
        "material.delete": N_("删除素材"),
        "material.take_back": N_("收回链接打的标签"),
        "segment.create": N_("新建分层"),
        "segment.change": N_("修改分层"),
        "segment.snapshot": N_("把分层存成名单"),
        "segment.delete": N_("删除分层"),
        "life_cycle.rules": N_("修改生命周期的规则"),
        "rep_day.rules": N_("修改成员上班时间和清单"),
        "holdout.share": N_("修改长期对照组的大小"),
        "holdout.draw": N_("换一批长期对照组的人"),
        "card.sent": N_("一对一发送"),
        "card.done": N_("处理卡片"),
        "card.snoozed": N_("推迟卡片"),
        "card.irrelevant": N_("卡片不相关"),
        "points.award": N_("发积分"),
        "points.adjust": N_("调整积分"),
        "points.bulk_award": N_("提交批量发积分"),
        "points.bulk_clear": N_("提交批量清零"),
        "points.bulk_undo": N_("提交撤回一批积分"),
        "points.take_over": N_("提交切换到这里的积分"),
        "points.differences": N_("导出积分对照"),
        "webhook.create": N_("新增通知地址"),
        "webhook.delete": N_("删除通知地址"),
        "webhook.remove": N_("删除通知地址"),
        "webhook.enable": N_("恢复通知"),
        "webhook.on": N_("恢复通知"),
        "webhook.off": N_("停止通知"),
        "webhook.secret": N_("换签名密钥"),
        "webhook.replay": N_("再发一次通知"),
        "door.create": N_("新建订单入口"),
        "door.keep": N_("修改订单入口"),
        "door.secret": N_("换签名密钥"),
        "door.shut": N_("关闭订单入口"),
        "door.open": N_("重新开放订单入口"),
        "import.customers": N_("导入客户"),
        "import.events": N_("导入行为"),
        "import.points": N_("导入积分"),
        "points.authority": N_("提交修改审批额度"),
        "points.tiers": N_("提交修改等级"),
        "liability.parameters": N_("修改一分积分值多少"),
        "liability.publish": N_("公布积分兑换预测"),
        "points_labels.change": N_("修改积分标签的规则"),
        "points.staff": N_("修改自己人的名单"),
        "approval.approve": N_("同意审批"),
        "approval.reject": N_("驳回审批"),
        "approval.cancel": N_("撤销审批"),
        "broadcast.create": N_("写群发"),
        "broadcast.change": N_("修改群发"),
        "broadcast.submit": N_("提交群发"),
        "broadcast.approve": N_("批准群发"),
        "broadcast.return": N_("退回群发"),
        "broadcast.discard": N_("放弃群发"),
        "broadcast.stop": N_("停止群发"),
        "broadcast.try": N_("把群发发给自己看看"),
        "broadcast.remind": N_("提醒成员确认群发"),
        "broadcast.managers": N_("通知主管谁没有确认群发"),
        "broadcast.export": N_("导出群发结果"),
        "journey.create": N_("新建旅程"),
        "journey.change": N_("修改旅程的草稿"),
        "journey.open_version": N_("为旅程建新版本"),
        "journey.drop_draft": N_("放弃旅程的草稿"),
        "journey.discard": N_("扔掉没有发布过的旅程"),
        "journey.publish": N_("发布旅程"),
        "journey.stop": N_("停止旅程"),
        "journey.enrol": N_("让客户走上旅程"),
        "tag.create": N_("新建标签"),
        "tag.rename": N_("标签改名"),
        "tag.delete": N_("删除标签"),
        "sync.ask": N_("要求核对"),
        "bulk.prepare": N_("准备批量打标签"),
        "bulk.start": N_("开始批量打标签"),
        "bulk.confirm": N_("确认并开始批量打标签"),
        "bulk.stop": N_("暂停批量打标签"),
        "bulk.resume": N_("继续批量打标签"),
        "bulk.cancel": N_("取消批量打标签"),
        "bulk.undo": N_("收回批量打的标签"),
        "bulk.rejected": N_("下载没有改的行"),
        "handover.begin": N_("交接客户"),
        "handover.cancel": N_("取消客户交接"),
        "person.opt_out": N_("记为不再接收消息"),
        "person.opt_in": N_("记为愿意接收"),
        "customer.export": N_("导出客户的全部资料"),
        "customer.erase": N_("删除客户的全部资料"),
        "task.add": N_("记待办"),
        "task.finish": N_("完成待办"),
        "task.postpone": N_("推迟待办"),
        "event.replay": N_("再处理事件"),
        "call.again": N_("再发一次请求"),
        "call.drop": N_("不再发送请求"),
        "organisation.read": N_("读取成员和部门"),
        "organisation.read_failed": N_("读取成员和部门没有成功"),
        "user.add": N_("添加用户"),
        "user.role": N_("更改角色"),
        "user.disable": N_("停用用户"),
        "user.enable": N_("恢复用户"),
        "user.link": N_("给出登录链接"),
        "key.create": N_("新建接口密钥"),
        "key.revoke": N_("作废接口密钥"),
        "calendar.change": N_("更改节假日"),
        "audit.export": N_("导出操作记录"),
    }
)
DETAILS: Mapping[str, str] = MappingProxyType(
    {
        "name": N_("名称"),
        "order": N_("订单"),
        "store": N_("门店"),
        "count": N_("数量"),
        "kind": N_("种类"),
        "missing": N_("缺少"),
        "dry": N_("只看不改"),
        "reason": N_("用途"),
        "filters": N_("条件"),
        "whole_phones": N_("完整手机号"),
        "role": N_("角色"),
        "by": N_("方式"),
        "tag": N_("标签"),
        "to": N_("改为"),
        "from": N_("原来"),
        "rows": N_("行数"),
        "rejected": N_("没通过"),
        "why": N_("为什么"),
        "members": N_("有关成员"),
        "left": N_("离开"),
        "scopes": N_("范围"),
        "hint": N_("开头"),
        "arrivals_30_days": N_("近 30 天到来"),
        "pictures": N_("图片"),
        "fields": N_("改了哪些"),
        "asks_satisfaction": N_("问满意度"),
        "starts": N_("几点上班"),
        "ends": N_("几点下班"),
        "morning": N_("几点发清单"),
        "late": N_("最晚到几点还补发"),
        "most": N_("每天最多几位只有卡片的客户"),
        "gap_days": N_("处理过的客户几天内不再出现"),
        "rest_days": N_("点过“不相关”的，几天内不再来"),
        "occasions": N_("新客户、生日、沉睡自动出卡片"),
        "working_days": N_("只在工作日发清单（按设置里的节假日历）"),
        "version": N_("版本"),
        "cut": N_("路上的立即离开"),
        "customer": N_("客户"),
        "key": N_("为了哪件事"),
    }
)


VALUES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "by": {"password": N_("密码"), "link": N_("一次性链接"), "wecom": N_("企业微信扫码")},
        "role": ROLE_WORDS,
        "from": {"holiday": N_("放假"), "workday": N_("上班")},
        "to": {"holiday": N_("放假"), "workday": N_("上班")},
    }
)
"""What the values of some details are called."""


def install(app: Flask) -> None:
    """Give the templates these words."""
    app.jinja_env.filters.update(said=said, actor=actor)
    app.jinja_env.globals.update(
        in_words=in_words,
        cause_in_words=cause_in_words,
        action_in_words=action_in_words,
        details_in_words=details_in_words,
    )


def in_words(outcome: str | None) -> str:
    """What became of an event, a call or a job."""
    return said(outcome, OUTCOMES)


def cause_in_words(cause: str) -> str:
    """What made us call WeCom: an event, a page, a job."""
    return _(JOB_WORDS[cause]) if cause in JOB_WORDS else said(cause, CAUSES)


def action_in_words(action: str) -> str:
    """What an audit line says was done."""
    return _(ACTIONS[action]) if action in ACTIONS else action


def actor(who: str, names: Mapping[str, str]) -> str:
    """Who did it: a member by name, or one of ``ACTORS``."""
    return names.get(who) or said(who, ACTORS)


def details_in_words(details: Mapping[str, Any], names: Mapping[str, str] = NOBODY) -> str:
    """What else an audit line holds, on one line; ``names`` say what the ids in it are called."""
    return " · ".join(
        f"{_(DETAILS.get(name, name))} {_value(name, value, names)}"
        for name, value in details.items()
        if value not in ("", None)
    )


def _value(name: str, value: Any, names: Mapping[str, str]) -> str:
    known = VALUES.get(name, {})
    if isinstance(value, str):
        return _(known[value]) if value in known else names.get(value, value)
    return _plain(value)


def _plain(value: Any) -> str:
    """A detail without the brackets of its data type."""
    if isinstance(value, Mapping):
        parts = (f"{_(DETAILS.get(str(one), str(one)))}={_plain(each)}" for one, each in value.items())
        return listed(parts, "，") or "–"
    if isinstance(value, list):
        return listed(_plain(each) for each in value)
    if isinstance(value, bool):
        return _("是") if value else _("否")
    return str(value)

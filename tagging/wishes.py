"""What a customer asks of the bot itself, whatever the shop's answers are: a human being, to be left alone.

Short messages only, and the whole of them: somebody who talks about 人工智能 or asks how to cancel an order wants
neither. Values in, values out.
"""

import re

from tagging.normal import normalise

LONGEST = 24
MARKS = " \n.。!?~,;:、'\"()…·"
POLITE = (
    "(?:你好|您好|hi|请问|请|麻烦|劳驾|帮我|帮忙|给我|替我|我想|我要|我想要|想|要"
    "|可以|可不可以|能不能|能|快|[,。!?、 ])*"
)
ENDING = "(?:一下|谢谢|谢了|吧|吗|呢|啊|呀|好吗|可以吗|行吗|[,。!?~、 ])*"
HUMAN = re.compile(
    f"{POLITE}(?:(?:转|找|接|叫|换|来|有|和|跟|是|联系|呼叫)(?:一下|个|位|到|接)?)*"
    "(?:人工(?:客服|服务|坐席|座席|接待|回复)?|真人(?:客服|回复|服务)?|活人|在线客服|客服人员|店员"
    "|客服(?=$|[吧吗。!?, ]))"
    f"(?:聊|说话|沟通|说|接待|服务)?{ENDING}"
)
NO, WORDS = "(?:不要|别|请勿|停止|不用)", "(?:消息|信息|广告|短信|推送)"
STOP = re.compile(
    f"{POLITE}(?:{NO}(?:再(?:给我)?|给我)(?:发|发送|推送|打扰|骚扰)(?:我|给我|{WORDS}|了)*"
    f"|{NO}(?:发|发送|推送)(?:给我)?{WORDS}(?:给我|了)*"
    f"|{NO}(?:推送|打扰|骚扰)(?:我|了)*"
    f"|(?:怎么|如何)?退订(?:{WORDS})?|取消订阅|td){ENDING}"
)
BACK = re.compile(f"{POLITE}(?:恢复|重新|取消退订)(?:订阅|推送|接收)?{ENDING}")


def wants_human(text: str) -> bool:
    """Whether somebody asks for a human being and for nothing else."""
    return _is(HUMAN, text)


def wants_to_stop(text: str) -> bool:
    """Whether somebody wants no more messages."""
    return _is(STOP, text)


def wants_back(text: str) -> bool:
    """Whether somebody who wanted no more messages wants them again."""
    return _is(BACK, text)


def _is(pattern: re.Pattern[str], text: str) -> bool:
    if len(text) > 4 * LONGEST:
        return False
    said = normalise(text).text.strip(MARKS)
    return 0 < len(said) <= LONGEST and pattern.fullmatch(said) is not None

"""Passwords that are guessed first: those in zxcvbn's lists and of the shapes it knows, and the words of our customers.

zxcvbn estimates how many guesses a password takes (words, names, dates, keyboard walks, repetitions, letters swapped
for digits); its lists are English, so what people in China choose most is told to it.
"""

GUESSES = 10**6
"""Guessing is slowed down to ten in ten minutes (``sign_in``); a list of a million is more than anybody tries."""
ITS_LONGEST = 72
CHINESE = (
    *("5201314", "520", "1314", "521", "168", "888", "666", "woaini", "woaiwojia", "wobuaini", "aini", "nihao"),
    *("zhangsan", "lisi", "wangwu", "zhaoliu", "xiaomei", "baobao", "baobei", "tianya", "caonima", "mima", "yonghu"),
    *("guanliyuan", "laoban", "dianzhang", "gongsi", "shanghu", "kehu", "huiyuan", "kafei", "naicha", "zhongguo"),
    *("beijing", "shanghai", "guangzhou", "shenzhen", "hangzhou", "chengdu", "wuhan", "nanjing", "weixin", "wechat"),
    *("wecom", "qq", "taobao", "tmall", "alibaba", "tencent", "baidu", "huawei", "xiaomi", "douyin", "weibo", "scrm"),
)


def too_common(password: str, userid: str = "") -> bool:
    """Whether this password is among the first that somebody would try."""
    from zxcvbn import zxcvbn  # 15 MB of word lists, wanted when somebody sets a password

    told = [one for one in (userid, *CHINESE) if one]
    return float(zxcvbn(password[:ITS_LONGEST], user_inputs=told)["guesses"]) < GUESSES

"""Passwords that are guessed first: a short list typed by us, and the shapes that most of the long lists are made of.

This is not one of the published lists. It holds the words people (in China and elsewhere) choose most, and refuses
what is only such a word dressed up: with digits or signs around it, repeated, reversed, or with letters swapped for
digits; walks over the keyboard; dates and phone numbers; the user's own name.
"""

import re

WORDS = frozenset(
    """
    password passwd pass passw0rd admin administrator root user guest test tester testing demo sample default login
    welcome letmein changeme secret master access hello iloveyou loveyou love lovely princess sunshine shadow monkey
    dragon football baseball basketball soccer hockey superman batman spiderman pokemon starwars ninja mustang michael
    jordan jennifer jessica ashley michelle daniel charlie andrew thomas robert george william matthew anthony joshua
    hunter ranger killer soccer harley trustno1 freedom whatever computer internet samsung iphone apple google baidu
    tencent alibaba taobao tmall weixin wechat wecom wework qqmail weibo douyin huawei xiaomi china zhongguo beijing
    shanghai guangzhou shenzhen hangzhou chengdu wuhan nanjing nihao woaini woaiwo woaiwojia aini wobuaini wojiushiwo
    zhangsan lisi wangwu zhaoliu caonima tianya dearbook aptx woaizhongguo woshishei buzhidao meiyou mima mimamima
    yonghu guanliyuan dianzhang laoban xiaomei baobao baobei gongsi shanghu kehu huiyuan kafei naicha qwerty qwert
    asdfgh asdf zxcvbn zxcv qazwsx qaz wsx edc asd qwe zxc abc abcd abcde abcdef abcdefg aaa bbb xxx zzz crm scrm
    summer winter spring autumn monday friday january december money dollar happy lucky angel jesus heaven family
    mother father sister brother flower orange banana cookie chocolate coffee pepper ginger tigger buster maggie
    jasmine purple yellow silver golden diamond crystal phoenix matrix merlin thunder cheese system server oracle
    mysql postgres redis database manager operator sales shop store boss office company business customer service
    support info contact public private temp temporary newpass mypass nopass blank null none qwertyuiop asdfghjkl
    zxcvbnm qazwsxedc qweasd qweasdzxc asdfasdf asdasd qweqwe zxczxc fuckyou fuck shit sex sexy hottie loveme
    babygirl jordan23 naruto sakura doraemon gundam liverpool chelsea arsenal barcelona juventus realmadrid
    """.split()  # noqa: SIM905  (a list of words, not of quotes)
)
SWAPPED = str.maketrans({"0": "o", "1": "l", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i"})
WALKS = (
    "01234567890123456789",
    "qwertyuiopasdfghjklzxcvbnm",
    "abcdefghijklmnopqrstuvwxyz",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik", "zaq12wsxcde34rfv",
    "qazwsxedcrfvtgbyhnujmikolp",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "!@#$%^&*()",
    "147258369", "741852963", "159357", "789456123", "123321", "147896325", "520131452013145201314",
)  # fmt: skip
ONLY_DIGITS_MEAN_SOMETHING = re.compile(r"(1[3-9]\d{9})|((19|20)\d{6})|(\d{8,10})")
"""A mobile number, a date of birth, or any eight to ten digits: all of them are in the lists."""


def too_common(password: str, userid: str = "") -> bool:
    """Whether this password is among the first that somebody would try."""
    plain = password.casefold().strip()
    return (
        len(set(plain)) <= 2
        or ONLY_DIGITS_MEAN_SOMETHING.fullmatch(plain) is not None
        or _repeats(plain)
        or _walks(plain)
        or _is_a_word(plain, userid.casefold())
    )


def _repeats(plain: str) -> bool:
    """One short piece, again and again: abcabcabc."""
    return any(plain == (plain[:size] * (len(plain) // size + 1))[: len(plain)] for size in range(1, 5))


def _walks(plain: str) -> bool:
    """A walk over the keyboard or along the alphabet, or two of them, forwards or backwards."""
    ways = [*WALKS, *(way[::-1] for way in WALKS)]
    half = len(plain) // 2
    return any(plain in way for way in ways) or all(
        any(part in way for way in ways) for part in (plain[:half], plain[half:])
    )


def _is_a_word(plain: str, userid: str) -> bool:
    """Nothing but common words, the userid, and digits or signs around them."""
    own = {userid} if len(userid) >= 3 else set()
    undressed = plain.strip("0123456789!@#$%^&*()_+-=.,?~ ")
    letters = [re.sub(r"[^a-z]+", "", one) for one in (plain, plain.translate(SWAPPED), undressed.translate(SWAPPED))]
    for text in [undressed, *letters, *(one[::-1] for one in letters)]:
        if text in WORDS or text in own or _made_of_words(text):
            return len(plain) - len(max(letters, key=len)) <= 8
    return bool(own) and userid in plain and len(plain) - len(userid) <= 4


def _made_of_words(text: str) -> bool:
    """Two common words in a row: adminadmin, woainibaobao."""
    return any(text[:cut] in WORDS and text[cut:] in WORDS for cut in range(2, len(text) - 1))

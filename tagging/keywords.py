"""Which keyword rules a message meets, and where: values in, values out, no database.

A message goes this way, and each step is only for what the one before let through:

1. ``normalise``: one form for messages and keywords (``tagging.normal``);
2. one Aho-Corasick pass over the keywords and exclusion phrases of all rules;
3. for each place found, why it may not count (``REASONS``): a longer exclusion phrase lies over it, it is a piece of a
   longer Latin word or number, it cuts across Chinese words (``tagging.segment``), it is denied;
4. for each rule: any of these, all of those, none of those; of hits inside each other the longest is the evidence.

Everything is decided rule by rule and place by place, so a rule's hits never depend on what other rules there are.
The rules of the art are analytics.md §4.2; the figures are in ``benchmarks/README.md``.

A ``Tagger`` never changes and may be used by several threads. When a rule changes, build another (50,000 keywords:
under a second) and put it in its place: one assignment; whoever is at work with the old one ends with the old one.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any, NamedTuple

from tagging.channels import Invalid
from tagging.normal import HAN, normalise, simpler
from tagging.segment import Reading

CONTAINS, WORD, EXACT, PATTERN = "contains", "word", "exact", "pattern"
MODES = (CONTAINS, WORD, EXACT, PATTERN)
"""Anywhere but across words; only as words of its own; the whole message; a regular expression (RE2's)."""
ANY, ALL, NOT = "any_keywords", "all_keywords", "not_keywords"
LISTS = (ANY, ALL, NOT)

MAX_KEYWORD, MAX_PATTERN = 50, 200
MAX_KEYWORDS, MAX_PATTERNS, MAX_EXCLUSIONS = 5_000, 20, 100
"""For one rule; exclusion phrases for one keyword."""
MAX_PROGRAM = 500
"""Instructions of a regular expression: with ``PATTERN_READS`` they bound what it can cost, about 8 ms at worst."""
PATTERN_MEMORY = 1 << 20
READS, PATTERN_READS = 4_000, 2_000
"""So many characters of a message are read; WeCom's own texts hold at most 2,048 bytes."""
MAX_PLACES, MAX_HITS = 50, 20
"""So many places of one keyword are looked at, and so many hits of a rule are kept as evidence."""
CONTEXT = 12
"""Characters quoted on each side of a hit."""
SURE = 7
"""A keyword this long is not made up by chance of pieces of other words."""

SIGNS = ("不想要", "不需要", "不用", "不要", "不是", "没有", "不", "没", "别", "无", "未")
"""What denies the keyword that follows it directly, longest first."""
NO_SIGNS = (
    *("别的", "别人", "别家", "无论", "不过", "不错", "不仅", "不但", "不止", "不光", "不管", "不论"),
    *("没问题", "没关系", "没事", "没错", "没准", "要不", "差不多", "对不起", "不得不", "不能不", "有无", "无不"),
    *("特别", "区别", "分别", "个别", "级别", "类别", "性别", "差别", "告别", "识别", "辨别"),
)
"""Words in which such a character denies nothing."""
ACCIDENTS: Mapping[str, tuple[str, ...]] = {
    "租车": ("出租车",),
    "出租": ("出租车",),
    "电器": ("充电器",),
    "动车": ("电动车", "机动车"),
    "面包": ("面包车",),
    "服务": ("服务器",),
    "保险": ("保险丝", "保险杠", "保险箱", "保险柜"),
    "好吃": ("好吃懒做",),
    "眼镜": ("大跌眼镜", "有色眼镜"),
    "十分": ("十分钟",),
}
"""Everyday words that hold a shop's word without its sense: exclusion phrases that every rule has."""

_HAN = re.compile(f"[{HAN}]")
_UNFIT = re.compile(r"[\ud800-\udfff\x00]")
_MARKS = " \n.。!?~,、;:"
"""In the normal form, so ！ and the like are among them."""
_NO_SIGNS = {
    sign[0]: [(word, n) for word in NO_SIGNS for n, one in enumerate(word) if one == sign[0]] for sign in SIGNS
}
"""For each first character of a sign the harmless words that hold it, and where in them."""

EXCLUDED, PIECE, ACROSS, PART, DENIED = "excluded", "piece", "across", "part", "denied"
REASONS: Mapping[str, str] = {
    EXCLUDED: "在排除词“{}”里",
    PIECE: "只是更长的单词或数字“{}”的一段",
    ACROSS: "跨在两个词上：{}",
    PART: "不是单独的词：{}",
    DENIED: "前面是否定：{}",
}


@dataclass(frozen=True)
class Keyword:
    """What a rule looks for; in the phrases of ``exclude`` it does not count, and with ``guard`` not after a denial."""

    text: str
    mode: str = CONTAINS
    exclude: tuple[str, ...] = ()
    guard: bool = False

    @classmethod
    def read(cls, row: object) -> "Keyword":
        """From ``"价格"`` or ``{"text": "价格", "mode": "word", "exclude": ["价格表"], "guard": true}``.

        Raises ``ValueError`` with a sentence for the operator.
        """
        if isinstance(row, str):
            row = {"text": row}
        if not isinstance(row, Mapping) or not isinstance(row.get("text"), str):
            raise ValueError('关键词写作文字，或 {"text": 文字, "mode": 匹配方式}')
        unknown = sorted(set(map(str, row)) - {"text", "mode", "exclude", "guard"})
        if unknown:
            raise ValueError(f"关键词“{row['text'][:MAX_KEYWORD]}”有不认识的设置：{'、'.join(unknown)}")
        text, mode, guard = row["text"].strip(), str(row.get("mode") or CONTAINS), row.get("guard") or False
        if not isinstance(guard, bool):
            raise ValueError(f"关键词“{text[:MAX_KEYWORD]}”的 guard 只能是 true 或 false")
        keyword = cls(text, mode, _phrases(row.get("exclude")), guard)
        problems = list(keyword._problems())
        if problems:
            raise ValueError("；".join(problems))
        return keyword

    def row(self) -> str | dict[str, Any]:
        """What ``read`` makes this keyword of."""
        if (self.mode, self.exclude, self.guard) == (CONTAINS, (), False):
            return self.text
        return {"text": self.text, "mode": self.mode, "exclude": list(self.exclude), "guard": self.guard}

    @cached_property
    def form(self) -> str:
        """What is searched for: the keyword in normal form; of a regular expression the simplified characters."""
        if self.mode == PATTERN:
            return "".join(simpler().get(one, one) for one in self.text)
        return _bare(normalise(self.text).text) if self.mode == EXACT else normalise(self.text).text

    def _problems(self) -> Iterator[str]:
        shown = f"“{_UNFIT.sub('', self.text)[:MAX_KEYWORD]}”"
        longest = MAX_PATTERN if self.mode == PATTERN else MAX_KEYWORD
        if self.mode not in MODES:
            yield f"关键词{shown}的匹配方式只能是 {'、'.join(MODES)}"
        elif not self.text:
            yield "关键词不能为空"
        elif len(self.text) > longest:
            yield f"关键词最多 {longest} 个字：{shown}…"
        elif self.mode == PATTERN and not _UNFIT.search(self.form):
            yield from _pattern_problems(self.form, shown)
        elif self.mode == PATTERN or not self.form or "\ufffd" in self.form:
            yield f"关键词{shown}里没有可以查找的文字"
        if len(self.exclude) > MAX_EXCLUSIONS:
            yield f"关键词{shown}的排除词最多 {MAX_EXCLUSIONS} 个"
        for phrase in self.exclude:
            if not 0 < len(normalise(phrase).text) <= MAX_KEYWORD:
                yield f"关键词{shown}的排除词需 1–{MAX_KEYWORD} 个字：“{phrase[:MAX_KEYWORD]}”"
            elif normalise(phrase).text == self.form:
                yield f"关键词{shown}不能同时是自己的排除词"

    def _warnings(self) -> Iterator[str]:
        if self.mode in (CONTAINS, WORD) and len(self.form) == 1:
            yield f"“{self.text}”只有一个字：只在它单独成词时才算，容易漏，也容易错"
        for phrase in self.exclude:
            if self.mode != PATTERN and not set(normalise(phrase).text) & set(self.form):
                yield f"排除词“{phrase}”和关键词“{self.text}”没有相同的字，不会起作用"


@dataclass(frozen=True)
class Rule:
    """Met when any of the first (if there are some), all of the second and none of the third list are hit."""

    id: int
    version: int
    any_keywords: tuple[Keyword, ...] = ()
    all_keywords: tuple[Keyword, ...] = ()
    not_keywords: tuple[Keyword, ...] = ()

    @classmethod
    def read(cls, row: Mapping[str, Any], *, id: int = 0, version: int = 0) -> "Rule":  # noqa: A002
        """From the contract's ``{"any_keywords": ["价格"], "all_keywords": [], "not_keywords": ["不谈价格"]}``.

        Beside these: ``exclude``, phrases in which none of the keywords counts, and ``guard`` for all that do not say
        otherwise. What else the row has is another's. Raises ``Invalid`` with everything that is wrong, field by field.
        """
        if not isinstance(row, Mapping):
            raise Invalid([("definition", '规则写作 {"any_keywords": [关键词, …]}')])
        problems: list[tuple[str, str]] = []
        lists = {name: _read_list(row, name, problems) for name in LISTS}
        rule = cls(id, version, **lists)
        if not problems:
            problems = list(rule._problems())
        if problems:
            raise Invalid(problems)
        return rule

    def row(self) -> dict[str, Any]:
        """What ``read`` makes this rule of."""
        return {name: [keyword.row() for keyword in getattr(self, name)] for name in LISTS}

    def warnings(self) -> list[str]:
        """What an operator should know before saving; nothing of it forbids to."""
        return [words for name in LISTS for keyword in getattr(self, name) for words in keyword._warnings()]

    def _problems(self) -> Iterator[tuple[str, str]]:
        if not self.any_keywords and not self.all_keywords:
            yield ANY, "至少要有一个关键词（任一，或全部）"
        wanted = {(keyword.form, keyword.mode) for keyword in (*self.any_keywords, *self.all_keywords)}
        for keyword in self.not_keywords:
            if (keyword.form, keyword.mode) in wanted:
                yield NOT, f"“{keyword.text}”既在要找的词里，又在不能出现的词里"
        everything = (*self.any_keywords, *self.all_keywords, *self.not_keywords)
        if len(everything) > MAX_KEYWORDS:
            yield ANY, f"一条规则最多 {MAX_KEYWORDS} 个关键词，现在有 {len(everything)} 个"
        if sum(keyword.mode == PATTERN for keyword in everything) > MAX_PATTERNS:
            yield ANY, f"一条规则最多 {MAX_PATTERNS} 个正则"


class Hit(NamedTuple):
    """A keyword of a rule in a message: ``start`` and ``end`` count code points of the message as it came.

    ``words`` is what stands there, with up to ``CONTEXT`` characters ``before`` and ``after``; fit to be stored.
    """

    rule_id: int
    version: int
    keyword: str
    start: int
    end: int
    words: str
    before: str
    after: str


@dataclass(frozen=True)
class Match:
    """A rule that a message meets, with the hits that show it, by place."""

    rule_id: int
    version: int
    hits: tuple[Hit, ...]


@dataclass(frozen=True)
class Finding:
    """A place where a keyword stands, for the live test of a rule: in which list, and why it does not count."""

    hit: Hit
    list: str
    refused: str | None
    """A sentence for the operator, or None when it counts."""


class _Sought:
    """One keyword of one rule, ready to be looked for."""

    __slots__ = ("edges", "exclude", "form", "guard", "list", "mode", "read", "rule", "text")

    def __init__(self, rule: int, list_: str, keyword: Keyword) -> None:
        self.rule, self.list, self.text, self.guard = rule, list_, keyword.text, keyword.guard
        self.form = form = keyword.form
        self.mode = WORD if keyword.mode == CONTAINS and len(form) == 1 else keyword.mode
        self.exclude = tuple(normalise(phrase).text for phrase in keyword.exclude)
        words = self.mode in (CONTAINS, WORD)
        if words:
            self.exclude += ACCIDENTS.get(form, ())
        self.edges = words and bool(_kind(form[0]) or _kind(form[-1]))
        """Whether it begins or ends with a letter or a figure, which may belong to more of them."""
        self.read = words and len(form) < SURE and _HAN.search(form) is not None
        """Whether its places must be read as words: long ones and those without Chinese characters need not."""


Place = tuple[int, int]
Found = dict[_Sought, list[Place]]


class _Message:
    """One message on its way through the tagger; places count characters of its normal form."""

    __slots__ = ("_quotable", "_reading", "excluded", "found", "normal", "text")

    def __init__(self, text: str) -> None:
        self.normal = normalise(text[:READS])
        self.text = self.normal.text[:READS]
        self.found: defaultdict[int, Found] = defaultdict(dict)
        """By number of the rule: where its keywords stand."""
        self.excluded: Found = {}
        """Where their exclusion phrases stand."""
        self._reading: Reading | None = None
        self._quotable: str | None = None

    @property
    def reading(self) -> Reading:
        """The message as words."""
        if self._reading is None:
            self._reading = Reading(self.text)
        return self._reading

    @property
    def quotable(self) -> str:
        """The message, character for character, as every database takes it: no half characters, no NUL."""
        if self._quotable is None:
            self._quotable = _UNFIT.sub("\ufffd", self.normal.original)
        return self._quotable

    def refusal(self, sought: _Sought, place: Place) -> str | None:
        """Why a keyword does not count at a place: one of ``REASONS``."""
        start, end = place
        if sought.exclude and self._exclusion(sought, place):
            return EXCLUDED
        whole = sought.mode == WORD
        if sought.edges and _is_piece(self.text, start, end, whole):
            return PIECE
        if sought.read and whole and not self.reading.parts(start, end):
            return PART
        if sought.read and not whole and not self.reading.holds(start, end) and not _asks(self.text, start - 1):
            return ACROSS
        return DENIED if sought.guard and _denial(self.text, start) else None

    def shown(self, sought: _Sought, place: Place, reason: str) -> str:
        """The reason in words, with what shows it."""
        shows: Mapping[str, Callable[[], str]] = {
            EXCLUDED: lambda: self._exclusion(sought, place),
            PIECE: lambda: _piece_around(self.text, *place),
            DENIED: lambda: _denial(self.text, place[0]),
        }
        return REASONS[reason].format(shows.get(reason, lambda: self.reading.around(*place))())

    def _exclusion(self, sought: _Sought, place: Place) -> str:
        """The exclusion phrase that lies over a place and is longer, or nothing."""
        start, end = place
        for first, last in self.excluded.get(sought, ()):
            if first < end and start < last and last - first > end - start:
                return self.text[first:last]
        return ""

    def accepted(self, number: int) -> Found:
        """The places that count, for one rule."""
        accepted: Found = {}
        for sought, places in self.found[number].items():
            good = [place for place in places if self.refusal(sought, place) is None]
            if good:
                accepted[sought] = good
        return accepted

    def hit(self, rule: Rule, sought: _Sought, start: int, end: int) -> Hit:
        """A place in the message as it came."""
        start, end = self.normal.span(start, end)
        text = self.quotable
        before, after = text[start - CONTEXT if start > CONTEXT else 0 : start], text[end : end + CONTEXT]
        return Hit(rule.id, rule.version, sought.text, start, end, text[start:end], before, after)


class _Ready:
    """A rule and what is looked for on its behalf."""

    __slots__ = ("all", "any", "none", "plain", "rule", "sought")

    def __init__(self, number: int, rule: Rule) -> None:
        self.rule = rule
        lists = [[_Sought(number, name, keyword) for keyword in getattr(rule, name)] for name in LISTS]
        self.sought = [sought for each in lists for sought in each]
        self.any, self.all, self.none = map(frozenset, lists)
        self.plain = not self.all and not self.none
        """Whether any hit will do."""

    def hopeful(self, found: Found) -> bool:
        """Whether the rule could be met if all that was found counts."""
        return self.plain or ((not self.any or not self.any.isdisjoint(found)) and self.all <= found.keys())

    def met(self, accepted: Found) -> bool:
        """Whether the rule is met by what counts."""
        return bool(accepted) and (self.plain or (self.hopeful(accepted) and self.none.isdisjoint(accepted)))

    def evidence(self, message: _Message, accepted: Found) -> tuple[Hit, ...]:
        """The hits to show, by place: of those inside each other the longest, and not those of ``none``."""
        places = [
            (start, -end, sought)
            for sought, all_ in accepted.items()
            if self.plain or sought not in self.none
            for start, end in all_
        ]
        if len(places) > 1:
            places.sort(key=itemgetter(0, 1))
        shown: list[Hit] = []
        reached = 0
        for start, end, sought in places:
            if -end > reached and len(shown) < MAX_HITS:
                reached = -end
                shown.append(message.hit(self.rule, sought, start, reached))
        return tuple(shown)


class Tagger:
    """All rules at once."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        """From rules as ``Rule.read`` gives them. Raises ``re2.error`` for a pattern that ``read`` would refuse."""
        self._owners: list[list[tuple[_Sought, bool]]] = []  # of each phrase; True: as an exclusion phrase
        self._exact: defaultdict[str, list[_Sought]] = defaultdict(list)
        self._patterns: list[tuple[_Sought, Any]] = []
        numbers: dict[str, int] = {}
        self._rules = [_Ready(number, rule) for number, rule in enumerate(rules)]
        for ready in self._rules:
            for sought in ready.sought:
                self._look_for(sought, numbers)
        import ahocorasick_rs  # this and RE2: 3 MB in every process that tags, and in no other

        self._automaton = ahocorasick_rs.AhoCorasick(list(numbers))

    @property
    def rules(self) -> tuple[Rule, ...]:
        """What it was built from."""
        return tuple(ready.rule for ready in self._rules)

    def _look_for(self, sought: _Sought, numbers: dict[str, int]) -> None:
        phrases = [(phrase, True) for phrase in sought.exclude]
        if sought.mode == EXACT:
            self._exact[sought.form].append(sought)
        elif sought.mode == PATTERN:
            self._patterns.append((sought, _compiled(sought.form)))
        else:
            phrases.append((sought.form, False))
        for phrase, excludes in phrases:
            number = numbers.setdefault(phrase, len(numbers))
            if number == len(self._owners):
                self._owners.append([])
            self._owners[number].append((sought, excludes))

    def scan(self, text: str) -> list[tuple[int, int, int]]:
        """The first stage alone, as the benchmark measures it: phrase, start and end in the normal form."""
        return self._automaton.find_matches_as_indexes(normalise(text[:READS]).text[:READS], overlapping=True)

    def hits(self, text: str) -> list[Hit]:
        """Every hit of ``any_keywords`` and ``all_keywords`` of every rule, whether or not the rule is met."""
        message = self._search(text)
        return [hit for n in sorted(message.found) for hit in self._rules[n].evidence(message, message.accepted(n))]

    def matches(self, text: str) -> list[Match]:
        """The rules a message meets, in their order, each with its hits. Never raises, whatever the text."""
        message = self._search(text)
        matches = []
        for number, found in sorted(message.found.items()) if len(message.found) > 1 else message.found.items():
            ready = self._rules[number]
            if ready.hopeful(found) and ready.met(accepted := message.accepted(number)):
                matches.append(Match(ready.rule.id, ready.rule.version, ready.evidence(message, accepted)))
        return matches

    def explain(self, text: str) -> list[Finding]:
        """Every place where a keyword of any list stands, counted or not, by rule and place: the live test of rules."""
        message = self._search(text)
        findings = []
        for number in sorted(message.found):
            places = [(place, sought) for sought, all_ in message.found[number].items() for place in all_]
            for place, sought in sorted(places, key=itemgetter(0)):
                hit = message.hit(self._rules[number].rule, sought, *place)
                reason = message.refusal(sought, place)
                findings.append(Finding(hit, sought.list, reason and message.shown(sought, place, reason)))
        return findings

    def _search(self, text: str) -> _Message:
        """Where keywords and exclusion phrases stand, whether or not they count there."""
        message = _Message(text)
        for number, start, end in self._automaton.find_matches_as_indexes(message.text, overlapping=True):
            for sought, excludes in self._owners[number]:
                _note(message.excluded if excludes else message.found[sought.rule], sought, (start, end))
        if self._exact and (bare := _bare(message.text)) in self._exact:
            start = message.text.index(bare)
            for sought in self._exact[bare]:
                _note(message.found[sought.rule], sought, (start, start + len(bare)))
        for sought, compiled in self._patterns:
            for found in compiled.finditer(message.text[:PATTERN_READS]):
                if found.end() > found.start():
                    _note(message.found[sought.rule], sought, found.span())
        return message


def _note(found: Found, sought: _Sought, place: Place) -> None:
    """Note a place, but not more than ``MAX_PLACES`` of one keyword."""
    places = found.get(sought)
    if places is None:
        found[sought] = [place]
    elif len(places) < MAX_PLACES:
        places.append(place)


def _read_list(row: Mapping[str, Any], name: str, problems: list[tuple[str, str]]) -> tuple[Keyword, ...]:
    """One of the three lists of a rule, without repetitions; what is wrong goes to ``problems``."""
    given = row.get(name) or []
    if not isinstance(given, Sequence) or isinstance(given, str):
        problems.append((name, "请给出关键词的列表"))
        return ()
    keywords: dict[tuple[str, str], Keyword] = {}
    for one in given[: MAX_KEYWORDS + 1]:
        try:
            keyword = Keyword.read(one if name == NOT else _with_common(one, row))
        except ValueError as error:
            problems.append((name, str(error)))
        else:
            keywords.setdefault((keyword.form, keyword.mode), keyword)
    return tuple(keywords.values())


def _with_common(one: object, row: Mapping[str, Any]) -> object:
    """A keyword of a rule, with the exclusion phrases and the guard that the rule has for all of them."""
    common, guard = row.get("exclude"), row.get("guard")
    if not common and guard is None:
        return one
    own: Mapping[str, Any] = {"text": one} if isinstance(one, str) else one if isinstance(one, Mapping) else {}
    others = [phrase for phrase in _phrases(common) if phrase != own.get("text")]
    return {"guard": guard, **own, "exclude": [*others, *_phrases(own.get("exclude"))]} if own else one


def _phrases(given: object) -> tuple[str, ...]:
    """Exclusion phrases as given, without repetitions. Raises ``ValueError`` for what is no list of texts."""
    if given is None:
        return ()
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) for one in given):
        raise ValueError("排除词请给出文字的列表")
    return tuple(dict.fromkeys(stripped for one in given if (stripped := one.strip())))


def _compiled(pattern: str) -> Any:
    """A regular expression of RE2, which takes time in proportion to the text, whatever the pattern."""
    import re2

    options = re2.Options()
    options.max_mem, options.log_errors = PATTERN_MEMORY, False
    options.never_capture, options.case_sensitive = True, False
    return re2.compile(pattern, options)


def _pattern_problems(pattern: str, shown: str) -> Iterator[str]:
    import re2

    try:
        compiled = _compiled(pattern)
    except re2.error as error:
        words = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        yield f"正则{shown}不能用（不支持反向引用和环视）：{words}"
    else:
        if compiled.programsize > MAX_PROGRAM:
            yield f"正则{shown}太复杂：请减少 {{…}} 里的重复次数，或拆成几条"
        elif compiled.search("") is not None:
            yield f"正则{shown}会匹配空白内容，等于匹配所有消息"


def _bare(text: str) -> str:
    """A message without the blanks and marks at its ends (unless it is nothing else)."""
    return text.strip(_MARKS) or text


def _is_piece(text: str, start: int, end: int, whole: bool) -> bool:
    """Whether a place begins or ends within a Latin word or a number; ``whole``: or between a word and a number."""
    return (start > 0 and _one(text[start - 1], text[start], whole)) or (
        end < len(text) and _one(text[end - 1], text[end], whole)
    )


def _one(left: str, right: str, whole: bool) -> bool:
    """Whether two neighbours belong to one Latin word or number."""
    kinds = _kind(left), _kind(right)
    return "" not in kinds and (whole or kinds[0] == kinds[1])


def _kind(one: str) -> str:
    if one.isdecimal():
        return "digit"
    return "letter" if one < "\u1100" and one.isalpha() else ""


def _piece_around(text: str, start: int, end: int) -> str:
    """The word or number that a place is a piece of, as far as it can be shown."""
    first, last = max(0, start - MAX_KEYWORD), end + MAX_KEYWORD
    while start > first and _one(text[start - 1], text[start], True):
        start -= 1
    while end < min(last, len(text)) and _one(text[end - 1], text[end], True):
        end += 1
    return text[start:end]


def _denial(text: str, start: int) -> str:
    """What denies a place from directly before it, or nothing: 有没有 and 是不是 ask, 特别 is another word."""
    for sign in SIGNS:
        at = start - len(sign)
        if text.endswith(sign, 0, start):
            harmless = any(text.startswith(word, at - n) for word, n in _NO_SIGNS[sign[0]] if n <= at)
            return "" if harmless or _asks(text, at) else sign
    return ""


def _asks(text: str, at: int) -> bool:
    """Whether a question of the form 好不好, 有没有 has its middle here."""
    return 0 < at < len(text) - 1 and text[at] in "不没" and text[at - 1] == text[at + 1]

"""Words of a Chinese text, and whether a place in it can be read as a word: the one way to jieba.

jieba's dictionary takes about 60 MB and 0.7 s. It is loaded by whoever first needs it, so only in processes that tag;
such a process calls ``warm_up`` when it starts. jieba's cache file (one name for all in the temporary folder, where
others could put theirs) is neither read nor written; it would save a quarter of a second. The dictionary is an instance
of our own and nobody's words are added to it: keywords belong into the tagger, not here.

How a place is judged (analytics.md §4.2, refined on texts of shops). jieba's reading of a text is the likeliest row of
dictionary words. Inside one of them (电话 in 打电话) a place counts unless the ways to take the word apart that respect
the place are less likely than others by more than ``INSIDE``. Elsewhere it counts unless the likeliest reading that
respects it is less likely than the likeliest of all by more than ``ACROSS`` (衣服 in 洗衣|服务); there a lone character
has its price, as in older rules of thumb: of 有空|调货 and 有|空调|货 the first is meant.

Only as much is read as can make a difference: from the place to where no word of the dictionary lies across any more.
That is a handful of characters, whatever the length of the text, and but for lone ones the same as reading all of it.
"""

import logging
import re
import threading
import warnings
from collections.abc import Mapping
from functools import cached_property
from itertools import pairwise
from math import inf, log
from typing import Any

INSIDE, ACROSS = log(15), log(1.5)
LEANS = "不太"
"""These belong to what follows (不|好用) and not to what precedes: after them ``INSIDE`` is the measure."""
KNOWN = 150
"""How often a keyword counts as seen at least, in jieba's dictionary of 60 million words: the shop says it is one."""
LONE = log(12)
"""The price of a lone character, or of two together that are no word of the dictionary: a name, or a new word."""
FREE = frozenset("的地得了着过吗呢吧啊呀哦嘛么是在我你您他她它这那就都也还又再不没很太最要会能可和跟给把被让向从对到个")
"""Characters that stand alone at no price."""
LONG = 4
"""So far back from a place the beginning of a word that lies across it is looked for."""
STEP, FAR = 32, 12
"""Where words lie across everywhere, a place is read with its step of the text and so much to each side."""
AT_ONCE = 500
"""Characters that are cut into words at once."""

_WORDS = r"\u4E00-\u9FD5a-zA-Z0-9+#&._%-"  # what jieba takes together to cut it into words
_PIECE = re.compile(rf"(?s).{{1,{AT_ONCE - 1}}}(?:[^{_WORDS}]|$)|.{{1,{AT_ONCE}}}")
_OTHER = re.compile(rf"[^{_WORDS}]")
_LOCK = threading.Lock()
_HELD: list[Any] = []

Way = tuple[int, float]


def segment(text: str) -> list[str]:
    """The words of a text, in order; joined they are the text again. Costs about 4 µs a character, at worst 30.

    Long texts are cut in pieces of at most ``AT_ONCE`` characters, where possible beside a character of no word.
    """
    return [word for piece in _PIECE.findall(text) for word in _dictionary().cut(piece)]


def warm_up() -> threading.Thread:
    """Load the dictionary beside other work; until it is there, whoever needs it waits."""
    thread = threading.Thread(target=_dictionary, name="load the dictionary", daemon=True)
    thread.start()
    return thread


def load() -> None:
    """Load the dictionary now, unless it is there: for who is about to need it inside a transaction, before that."""
    _dictionary()


def loaded() -> bool:
    """Whether the dictionary is in memory."""
    return bool(_HELD)


def _dictionary() -> Any:
    """Our own tokenizer of jieba, loaded once."""
    if not _HELD:
        with _LOCK:
            if not _HELD:
                _HELD.append(_load())
    return _HELD[0]


def _load() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its regular expressions are written in the old way
        import jieba
    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer


class Reading:
    """One text (normalised) as words, worked out only round the places that are asked about."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._known: Mapping[str, int] = _dictionary().FREQ
        self._crossings: dict[int, bool] = {}
        self._stretches: dict[tuple[int, int], _Stretch] = {}

    def holds(self, start: int, end: int) -> bool:
        """Whether ``text[start:end]`` can be read as a word or several, by themselves or inside a longer one."""
        if not self._crossed(start) and not self._crossed(end):
            return True
        stretch, at = self._stretch(start, end)
        return stretch.holds(start - at, end - at)

    def parts(self, start: int, end: int) -> bool:
        """Whether ``text[start:end]`` is whole words: its borders are those of words, or of words inside longer ones.

        As jieba cuts the text, with the new words it guesses; the inner words are those of its search mode. A single
        character must be a word of the likeliest reading: the guesses would swallow it (太贵, 很赞).
        """
        if end - start == 1:
            return self._stands(start, end)
        before = _OTHER.split(self._text[max(0, start - FAR) : start])[-1]
        after = _OTHER.split(self._text[end : end + FAR], maxsplit=1)[0]
        tokens = _dictionary().tokenize(f"{before}{self._text[start:end]}{after}", mode="search")
        borders = {border for _, first, last in tokens for border in (first, last)}
        return len(before) in borders and len(before) + end - start in borders

    def _stands(self, start: int, end: int) -> bool:
        if not self._crossed(start) and not self._crossed(end):
            return True
        stretch, at = self._stretch(start, end)
        return stretch.stands(start - at, end - at)

    def around(self, start: int, end: int) -> str:
        """The words that a place lies in or cuts, with ``/`` between them, to show why it was refused."""
        stretch, at = self._stretch(start, end)
        return stretch.around(start - at, end - at)

    def _crossed(self, place: int) -> bool:
        """Whether a word of the dictionary could lie across a place."""
        crossed = self._crossings.get(place)
        if crossed is None:
            crossed = self._crossings[place] = self._cross(place)
        return crossed

    def _cross(self, place: int) -> bool:
        text, known, length = self._text, self._known, len(self._text)
        if not 0 < place < length or not _is_han(text[place - 1]) or not _is_han(text[place]):
            return False
        after = place + 1
        for start in range(place - 1, place - LONG if place > LONG else -1, -1):
            times = known.get(text[start:after])
            end = after
            while times is not None:  # also what only begins a word is known, with 0
                if times:
                    return True
                end += 1
                times = known.get(text[start:end]) if end <= length else None
        return False

    def _stretch(self, start: int, end: int) -> "tuple[_Stretch, int]":
        """What must be read to judge a place, and where it begins."""
        step = start // STEP * STEP
        first, last = start, end
        while first > step - FAR and self._crossed(first):
            first -= 1
        while last < step + STEP + FAR and self._crossed(last):
            last += 1
        first, last = first - self._lone(first, -1), last + self._lone(last, 1)
        if (first, last) not in self._stretches:
            self._stretches[first, last] = _Stretch(self._text[first:last])
        return self._stretches[first, last], first

    def _lone(self, place: int, step: int) -> int:
        """How many lone characters (two at most) stand before or after a place: they may belong together."""
        found = 0
        while found < 2 and not self._crossed(place + step):
            beside = place if step > 0 else place - 1
            if not 0 <= beside < len(self._text) or not _is_han(self._text[beside]):
                break
            found, place = found + 1, place + step
        return found


def _is_han(one: str) -> bool:
    """Whether this is a Chinese character, as jieba counts them."""
    return "\u4e00" <= one <= "\u9fd5"


class _Stretch:
    """A few characters, read as words of the dictionary."""

    def __init__(self, text: str) -> None:
        tokenizer = _dictionary()
        self._text, self._known, self._all = text, tokenizer.FREQ, log(tokenizer.total)
        self._plain = _Ways([self._words(start) for start in range(len(text))])
        self._borders = self._plain.borders()

    @cached_property
    def _priced(self) -> "_Ways":
        """The same, where a lone character has its price."""
        return _Ways([self._at_a_price(start) for start in range(len(self._text))])

    @cached_property
    def _free(self) -> bool:
        """Whether the likeliest reading has no character at a price: then it is the likeliest with prices too."""
        return all(last - first > 1 or self._text[first] in FREE for first, last in pairwise(sorted(self._borders)))

    def stands(self, start: int, end: int) -> bool:
        """Whether both borders of a place are borders of the likeliest reading."""
        return start in self._borders and end in self._borders

    def holds(self, start: int, end: int) -> bool:
        """Whether a place can be read as a word or several, by themselves or inside a longer one."""
        stands = self.stands(start, end)
        if stands and self._free:
            return True
        as_word = self._weight(start, end, KNOWN)
        if not stands and self._borders.isdisjoint(range(start + 1, end)):
            return self._plain.without(start, end) - self._plain.through(start, end, as_word) <= INSIDE
        leans = start > 0 and self._text[start - 1] in LEANS
        return self._priced.rest[0] - self._priced.through(start, end, as_word) <= (INSIDE if leans else ACROSS)

    def around(self, start: int, end: int) -> str:
        """The words that a place lies in or cuts."""
        borders = self._priced.borders() if self.stands(start, end) else self._borders
        first = max(border for border in borders if border <= start)
        last = min(border for border in borders if border >= end)
        return "/".join(self._text[a:b] for a, b in pairwise(sorted(one for one in borders if first <= one <= last)))

    def _weight(self, start: int, end: int, least: int = 1) -> float:
        return log(max(self._known.get(self._text[start:end]) or 0, least)) - self._all

    def _words(self, start: int) -> list[Way]:
        """The words of the dictionary that begin at a place; one character always is one."""
        text, known, length = self._text, self._known, len(self._text)
        words = [(start + 1, self._weight(start, start + 1))]
        end = start + 2
        times = known.get(text[start:end])
        while times is not None and end <= length:  # also what only begins a word is known, with 0
            if times:
                words.append((end, log(times) - self._all))
            end += 1
            times = known.get(text[start:end])
        return words

    def _at_a_price(self, start: int) -> list[Way]:
        """The same at the price of lone characters, and two of them together."""
        words = self._plain.ways[start]
        if self._text[start] in FREE:
            return words
        (end, weight), *longer = words
        pair = self._text[start : start + 2]
        if len(pair) == 2 and pair[1] not in FREE and not self._known.get(pair):
            longer.append((end + 1, weight + self._weight(end, end + 1) - LONE))
        return [(end, weight - LONE), *longer]


class _Ways:
    """All rows of words through a few characters. Weights are logarithms of likelihoods; a way is (end, weight)."""

    def __init__(self, ways: list[list[Way]]) -> None:
        self.ways = ways
        self.rest = [0.0] * (len(ways) + 1)
        """The weight of the likeliest way from each place to the end."""
        self._then = [len(ways)] * len(ways)
        for start in range(len(ways) - 1, -1, -1):
            best = -inf
            for end, weight in ways[start]:
                if weight + self.rest[end] >= best:
                    best, self._then[start] = weight + self.rest[end], end
            self.rest[start] = best

    @cached_property
    def reach(self) -> list[float]:
        """The weight of the likeliest way from the beginning to each place."""
        reach = [0.0] + [-inf] * len(self.ways)
        for start, words in enumerate(self.ways):
            for end, weight in words:
                reach[end] = max(reach[end], reach[start] + weight)
        return reach

    def borders(self) -> set[int]:
        """Where the words of the likeliest reading begin and end."""
        borders, place = {0}, 0
        while place < len(self.ways):
            place = self._then[place]
            borders.add(place)
        return borders

    def through(self, start: int, end: int, as_word: float) -> float:
        """The weight of the likeliest reading with borders at both places; ``as_word``: what lies between, as one."""
        reach = [0.0] + [-inf] * (end - start)
        for place in range(start, end):
            for then, weight in self.ways[place]:
                if then <= end:
                    reach[then - start] = max(reach[then - start], reach[place - start] + weight)
        return self.reach[start] + max(reach[-1], as_word) + self.rest[end]

    def without(self, start: int, end: int) -> float:
        """The weight of the likeliest reading without any word that holds the place and more."""
        rest = self.rest.copy()
        for place in range(start, -1, -1):
            ways = self.ways[place]
            rest[place] = max(
                (weight + rest[then] for then, weight in ways if then < end or (place == start and then == end)),
                default=-inf,
            )
        return rest[0]

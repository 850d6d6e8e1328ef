"""Texts of many kinds, for comparing tokenizers: languages, code, emoji, white space, control characters, tokens."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_PLAIN: Final = (
    *("", " ", "  \n\n \t x", "I'LL we've 'S it's", "1234567 3.14159 ٣٤ ๓ Ⅷ ½", "naïve café ﷺ ẞ e\u0301", "ǅ"),
    *(
        "日本語とEnglish",
        "你好，世界。",
        "Привет, мир!",
        "שלום עולם",
        "مرحبا بالعالم",
        "नमस्ते दुनिया",
        "สวัสดีชาวโลก",
        "안녕 하세요",
    ),
    *(
        "안녕 하세요",
        "🦙🏽‍♀️ 👩‍👩‍👧 🇵🇪",
        "a\r\nb\r\n\r\n",
        "\u200b\ufeff\u00ad\u00a0\u3000",
        "x" * 500,
        "\x01\x07\x1b[0m\x7f\x80",
    ),
    *("def f(x):\n    return {'a': [x]}\n\n\n", "https://example.com/?q=%20#!", " leading", "trailing ", "<b>a</b>"),
    *("\n" * 40, " " * 80, "\t" * 35, "for (;;) { i++; }", "`a` **b** _c_ ~~d~~ | e |", "SELECT * FROM t WHERE a='b';"),
)
_COMMON: Final = "aeiou tnsr .,'\n\n  \t019{}\"_<|>"
_RARE: Final = (range(0xA0, 0x2FFF), range(0x3040, 0xD7FF), range(0x1F000, 0x1FAFF))


def corpus(count: int, spellings: Sequence[str]) -> list[str]:
    """`count` texts, always the same; among them are some with the `spellings` of tokens, whole and in parts."""
    source = random.Random(31)  # noqa: S311 - test data
    rare = [chr(code) for block in _RARE for code in source.sample(block, 150)]
    parts = [half for spelling in spellings for half in (spelling, spelling[:-1], spelling[1:])]
    texts = [*_PLAIN, *parts][:count]
    while len(texts) < count:
        drawn = [source.choice(_COMMON if source.random() < 0.7 else rare) for _ in range(60)]
        for _ in range(source.randrange(4) if parts else 0):
            drawn.insert(source.randrange(len(drawn)), source.choice(parts))
        texts.append("".join(drawn))
    return texts

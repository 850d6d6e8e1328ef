"""Trains the byte-level BPE and turns rendered conversations into token ids with a mask of the assistant's tokens."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from tests.demo_model.spec import BOS, EOT, HEADER_END, HEADER_START, SPECIAL_TOKENS

# llama.cpp knows this split as "llama-bpe"; it is the one of Llama 3's tokenizer.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SPACED_WORDS = 200
_MARKER = re.compile(r"<\|[a-z_]+\|>")
_DIGIT = re.compile(r"\d")
_WORD = re.compile(r" ([A-Za-z]+)")
_SPACE = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(" ")[0][0]


def train_tokenizer(texts: Sequence[str], vocabulary: int) -> Tokenizer:
    """A tokenizer of `vocabulary` ids whose last ones are the special tokens.

    A small model copies best when a word has the same pieces wherever it stands, so pieces are learned without the
    space before them; only the commonest words get one with the space, by the last merges. Digits are never merged:
    numbers are copied and calculated digit by digit.
    """
    learned = _learn(texts, vocabulary - len(SPECIAL_TOKENS) - _SPACED_WORDS)
    ids: dict[str, int] = dict(learned["vocab"])
    merges = [tuple(merge) for merge in learned["merges"]]
    for word in _common_words(texts, ids):
        merges.append((_SPACE, word))
        ids[_SPACE + word] = len(ids)
    if len(ids) != vocabulary - len(SPECIAL_TOKENS):
        raise ValueError(f"The texts give {len(ids)} pieces, and {vocabulary - len(SPECIAL_TOKENS)} are wanted.")
    tokenizer = Tokenizer(models.BPE(ids, merges, ignore_merges=True))
    tokenizer.pre_tokenizer = _split_by(SPLIT)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
            ),
        ]
    )
    return tokenizer


def _split_by(*patterns: str) -> pre_tokenizers.PreTokenizer:
    splits = [pre_tokenizers.Split(Regex(pattern), behavior="isolated") for pattern in patterns]
    return pre_tokenizers.Sequence([*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _learn(texts: Sequence[str], size: int) -> Any:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _split_by(r"\p{L}+", SPLIT)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(_without_digits(texts), trainer)
    return json.loads(tokenizer.to_str())["model"]


def _without_digits(texts: Sequence[str]) -> Iterator[str]:
    for text in texts:
        for part in _MARKER.split(text):
            yield _DIGIT.sub("\n", part)


def _common_words(texts: Sequence[str], ids: Mapping[str, int]) -> list[str]:
    """The commonest words after a space that are one piece each."""
    counts = Counter(word for text in texts for word in _WORD.findall(text) if word in ids)
    return [word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_SPACED_WORDS]]


def encode(tokenizer: Tokenizer, rendered: str) -> list[int]:
    """Ids of a rendered prompt, which holds its own begin marker."""
    return list(tokenizer.encode(rendered, add_special_tokens=False).ids)


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """The id of a token; raises ValueError when there is none."""
    if (number := tokenizer.token_to_id(token)) is None:
        raise ValueError(f"The tokenizer has no token {token!r}.")
    return number


class AssistantSpans:
    """Finds the tokens that the assistant wrote: from behind its header up to and with the end-of-turn marker."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._header = tuple(encode(tokenizer, f"{HEADER_START}assistant{HEADER_END}\n\n"))
        self._end = token_id(tokenizer, EOT)

    def mask(self, ids: list[int], learned: list[bool]) -> list[bool]:
        """True for each id to be learned; `learned` tells it for each assistant turn in order."""
        mask = [False] * len(ids)
        length, inside, turns = len(self._header), False, iter(learned)
        for position in range(len(ids)):
            if not inside and tuple(ids[max(0, position - length) : position]) == self._header:
                inside, learn = True, next(turns)
            mask[position] = inside and learn
            if inside and ids[position] == self._end:
                inside = False
        return mask


def merges_in_order(tokenizer: Tokenizer) -> list[tuple[str, str]]:
    """The BPE merges, earliest first, as tokenizer.json holds them."""
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return [tuple(merge) if isinstance(merge, list) else tuple(merge.split(" ")) for merge in merges]

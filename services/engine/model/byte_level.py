"""Byte-level BPE tokenizers through the `tokenizers` library, which runs outside the GIL."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tokenizers import AddedToken, Regex, models, pre_tokenizers
from tokenizers import Tokenizer as BpeTokenizer

from services.engine.load_error import EngineLoadError
from services.engine.model.tokenizer import Tokenizer, TooManyTokensError
from services.engine.model.vocabulary import (
    BYTE_LEVEL,
    Vocabulary,
    byte_level_bytes,
    control_bytes,
    is_marker,
    vocabulary_of,
)
from services.low_priority import low_priority_threads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.engine.model.checkpoint import Checkpoint
    from services.engine.model.gguf_file import GgufModel


@dataclass(frozen=True, slots=True)
class _PreTokenizer:
    """How a family cuts text into words before BPE: each pattern cuts what the one before it has left."""

    patterns: tuple[str, ...]
    ignore_merges: bool = False  # a word that is a token is encoded as that token, even if no merges lead to it


# From the checkpoints' tokenizer.json; the names are llama.cpp's.
_CONTRACTIONS: Final = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_TAIL: Final = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_GPT2: Final = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3: Final = _PreTokenizer((_CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + _TAIL,), ignore_merges=True)
_PRE_TOKENIZERS: Final = {
    "llama-bpe": _LLAMA3,
    "llama3": _LLAMA3,
    "qwen2": _PreTokenizer((_CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + _TAIL,)),
    "gpt-2": _PreTokenizer((_GPT2,)),
    "smollm": _PreTokenizer((r"\p{N}", _GPT2)),
    "starcoder": _PreTokenizer((r"\p{N}", _GPT2)),
}
FAMILIES: Final = tuple(_PRE_TOKENIZERS)
# Characters that are encoded without letting other threads run, in at most 2 ms.
_SHORT: Final = 4096
# Characters that are encoded with a low priority, in 20 ms and more; and how many such texts at a time.
_LONG: Final = 65_536
_LONG_AT_A_TIME: Final = 2


def is_known(model: GgufModel) -> bool:
    """Whether `tokenizer_from_gguf` has the model's family."""
    return model.tokenizer_model == BYTE_LEVEL and model.pre_tokenizer in _PRE_TOKENIZERS


def tokenizer_from_gguf(model: GgufModel) -> Tokenizer:
    """The tokenizer of a GGUF file; EngineLoadError if it is not of a known byte-level family."""
    if not is_known(model):
        raise EngineLoadError(
            f"{model.path} has a tokenizer of kind {model.tokenizer_model}/{model.pre_tokenizer}; "
            f"supported are {BYTE_LEVEL}/{f' and {BYTE_LEVEL}/'.join(FAMILIES)}."
        )
    family = _PRE_TOKENIZERS[model.pre_tokenizer]
    vocabulary = vocabulary_of(model)
    # BPE without the special tokens cannot produce one.
    known = {token: index for index, token in enumerate(model.tokens) if token not in vocabulary.special}
    merges = [(left, right) for left, _, right in (merge.partition(" ") for merge in model.merges)]
    try:
        bpe = BpeTokenizer(models.BPE(vocab=known, merges=merges, ignore_merges=family.ignore_merges))
    except Exception as error:
        raise EngineLoadError(f"{model.path} has a tokenizer that contradicts itself: {error}.") from error
    words = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in family.patterns]
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bpe.pre_tokenizer = pre_tokenizers.Sequence([*words, to_bytes])
    bpe.add_tokens([AddedToken(token, normalized=False) for token in vocabulary.added])
    return _tokenizer(bpe, vocabulary, (model.bos_id,) if model.adds_bos else ())


def tokenizer_from_checkpoint(model: Checkpoint) -> Tokenizer:
    """The tokenizer of a tokenizer.json; EngineLoadError if it is not byte-level BPE."""
    described = model.tokenizer
    special, added = _added_tokens(described, model.chat_template + model.tool_template)
    plain = described | {
        "added_tokens": [entry for entry in described["added_tokens"] if entry["content"] in added],
        "post_processor": None,
    }
    try:
        # BPE without the special tokens cannot produce one.
        bpe = BpeTokenizer.from_str(json.dumps(plain))
        # The tokens that its post-processor puts before every text.
        opening = BpeTokenizer.from_str(json.dumps(described)).encode("").ids
    except Exception as error:
        raise EngineLoadError(f"{model.path}/tokenizer.json cannot be used: {error}.") from error
    if described["model"].get("type", "BPE") != "BPE" or "ByteLevel" not in json.dumps(described.get("pre_tokenizer")):
        raise EngineLoadError(f"{model.path} has a tokenizer that is not byte-level BPE.")
    # Ids beyond the tokenizer's own are padding of the embedding and add nothing to a text.
    token_bytes = [b""] * max(model.vocabulary_size, *(index + 1 for index in special.values()))
    for token, index in described["model"]["vocab"].items():
        token_bytes[index] = byte_level_bytes(token)
    for entry in described["added_tokens"]:
        token = entry["content"]
        token_bytes[entry["id"]] = control_bytes(token) if entry.get("special", True) else token.encode()
    return _tokenizer(bpe, Vocabulary(token_bytes, special, added), opening)


def _added_tokens(described: Mapping[str, Any], templates: str) -> tuple[dict[str, int], dict[str, int]]:
    """The special tokens of a tokenizer.json and the other added ones, by spelling."""
    special: dict[str, int] = {}
    added: dict[str, int] = {}
    for entry in described["added_tokens"]:
        token = entry["content"]
        closed = entry.get("special", True) or is_marker(token, templates)
        (special if closed else added)[token] = entry["id"]
    return special, added


def _tokenizer(bpe: BpeTokenizer, vocabulary: Vocabulary, opening: tuple[int, ...] | list[int]) -> Tokenizer:
    # The library's own threads do not make one text faster, and inherit the priority of the thread that starts them.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    threads = low_priority_threads(_LONG_AT_A_TIME, "tokenize", need_gil=False)

    def encode(text: str, most: int | None) -> list[int]:
        if len(text) <= _SHORT:
            ids: list[int] = bpe.encode(text, add_special_tokens=False).ids
            return ids
        if len(text) < _LONG:
            [encoded] = bpe.encode_batch_fast([text], add_special_tokens=False)
        else:
            [encoded] = threads.submit(bpe.encode_batch_fast, [text], add_special_tokens=False).result()
        # Before they become a list, which holds the GIL.
        if most is not None and len(encoded) > most:
            raise TooManyTokensError(len(encoded))
        return encoded.ids

    return Tokenizer(encode, vocabulary, opening)

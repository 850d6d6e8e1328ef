"""Meta's own package for Llama's prompts, `llama-models`: its ids for dialogues and texts, and its tokeniser as ours.

It lives in the environment that `make clients` builds, and works in a process there.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from services.engine.model.byte_level import tokenizer_from_gguf
from services.engine.model.gguf_file import GgufModel
from services.engine.model.vocabulary import BYTE_ALPHABET
from tests.support.clients import CLIENTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from services.engine.model.tokenizer import Tokenizer

_NORMAL, _CONTROL = 1, 3

_SCRIPT = """
import json, sys
from pathlib import Path
from llama_models.datatypes import RawMessage
from llama_models.llama3 import chat_format, tokenizer
meta = tokenizer.Tokenizer.get_instance()
encoder = chat_format.ChatFormat(meta)
asked = json.load(sys.stdin)
json.dump({
    "file": str(Path(tokenizer.__file__).parent / "tokenizer.model"),
    "special": meta.special_tokens,
    "dialogues": [
        encoder.encode_dialog_prompt([RawMessage(**message) for message in dialogue]).tokens
        for dialogue in asked["dialogues"]
    ],
    "texts": [meta.encode(text, bos=False, eos=False) for text in asked["texts"]],
}, sys.stdout)
"""


def ask_meta(dialogues: Sequence[Sequence[Mapping[str, Any]]], texts: Sequence[str]) -> dict[str, Any]:
    """Ids of `dialogues` (lists of its RawMessage) and of `texts`; the tokeniser's `file`, and its `special` tokens."""
    question = json.dumps({"dialogues": dialogues, "texts": texts})
    answer: dict[str, Any] = CLIENTS["llama-models"].run(_SCRIPT, given=question)
    return answer


def llama_tokenizer(file: Path, special: Mapping[str, int]) -> Tokenizer:
    """Our tokeniser with the vocabulary of a tiktoken file, by way of what a GGUF file of the model says."""
    spelling = {byte: character for character, byte in BYTE_ALPHABET.items()}
    ranks = {base64.b64decode(line.split()[0]): rank for rank, line in enumerate(file.read_bytes().splitlines())}
    spelled = {token: "".join(spelling[byte] for byte in token) for token in ranks}
    model = GgufModel(
        path=file,
        name="Llama 3.1",
        context_length=131_072,
        quantization="F16",
        digest="",
        chat_template="",
        tool_template="",
        tokenizer_model="gpt2",
        pre_tokenizer="llama-bpe",
        tokens=[*spelled.values(), *special],
        token_types=[*[_NORMAL] * len(ranks), *[_CONTROL] * len(special)],
        merges=[f"{spelled[left]} {spelled[right]}" for left, right in _merges(ranks)],
        bos_id=special["<|begin_of_text|>"],
        adds_bos=True,
        eos_id=special["<|eot_id|>"],
    )
    return tokenizer_from_gguf(model)


def _merges(ranks: Mapping[bytes, int]) -> Iterator[tuple[bytes, bytes]]:
    """Every pair of tokens that makes a token, in the order of what they make: tiktoken's files leave them out."""
    for token in ranks:
        pairs = [(token[:at], token[at:]) for at in range(1, len(token))]
        known = [pair for pair in pairs if pair[0] in ranks and pair[1] in ranks]
        yield from sorted(known, key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))

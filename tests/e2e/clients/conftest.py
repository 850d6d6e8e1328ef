"""What the clients share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from services.engine.model.gguf_file import read_gguf
from services.settings import DEMO_MODEL


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model's tokenizer as `transformers` reads it."""
    gguf = read_gguf(DEMO_MODEL)
    merges = [(left, right) for left, _, right in (merge.partition(" ") for merge in gguf.merges)]
    bpe = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(gguf.tokens)}, merges=merges))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    folder = tmp_path_factory.mktemp("tokenizer")
    bpe.save(str(folder / "tokenizer.json"))
    ends = {"bos_token": gguf.tokens[gguf.bos_id], "eos_token": gguf.tokens[gguf.eos_id]}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"} | ends))
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    return folder

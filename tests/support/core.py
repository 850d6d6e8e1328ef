"""llama.cpp's server core without an engine around it, for what it says about a model's tokens."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import xllamacpp

from services.engine.llama_cpp.core import CoreOptions, load_core
from services.engine.llama_cpp.core_tokenizer import core_tokenizer
from services.engine.llama_cpp.listener import PrivateListener
from services.engine.model.gguf_file import read_gguf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from services.engine.model.gguf_file import GgufModel
    from services.engine.model.tokenizer import Tokenizer


@contextmanager
def llama_cpp(path: Path) -> Iterator[tuple[GgufModel, Tokenizer]]:
    """A model in the core, and the tokenizer that asks it."""
    model = read_gguf(path)
    listener = PrivateListener()
    listener.open()
    server = load_core(xllamacpp, CoreOptions(path, 512, 1, 1), listener, model.bos_id)
    try:
        yield model, core_tokenizer(model, listener)
    finally:
        del server
        listener.close()

"""Reads the metadata of a GGUF file: name, context, tokenizer and chat template. Reads no weights.

The format is that of the ggml project, versions 2 and 3. The `gguf` package reads it too, by way of NumPy: for the
vocabulary of an 8B model that took 11.5 s where this takes 0.2 s, and NumPy costs the server 20 MB for its lifetime.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from services.engine.load_error import EngineLoadError

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC: Final = b"GGUF"
_VERSIONS: Final = (2, 3)
_HASHED_BYTES: Final = 1 << 20

# Value types of the metadata, by their number: scalars as `struct` names them, then the two others.
_SCALARS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING: Final = 8
_ARRAY: Final = 9

# `general.file_type`, by its number.
_FILE_TYPES: Final = {
    **{0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S"},
    **{12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K"},
    **{24: "IQ1_S", 25: "IQ4_NL", 30: "IQ4_XS", 32: "BF16"},
}


@dataclass(frozen=True, slots=True)
class GgufModel:
    """The metadata of a GGUF file."""

    path: Path
    name: str
    context_length: int
    quantization: str
    digest: str  # 12 hexadecimal digits of SHA-256 over the size, the first and the last MiB of the file
    chat_template: str  # Jinja source; empty for a base model
    tool_template: str  # the one for calls with tools, where the file has two; else empty
    tokenizer_model: str
    pre_tokenizer: str
    tokens: list[str]
    token_types: list[int]
    merges: list[str]
    bos_id: int
    adds_bos: bool  # whether every prompt begins with bos_id
    eos_id: int


def read_gguf(path: Path) -> GgufModel:
    """The metadata of the file at `path`; EngineLoadError if it is missing or no GGUF file of a language model."""
    if not path.is_file():
        raise EngineLoadError(f"There is no model file {path}.")
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise EngineLoadError(f"{path} is not a GGUF file.")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                metadata = _Reader(data).metadata()
        return _describe(metadata, path)
    except OSError as error:
        raise EngineLoadError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, IndexError, struct.error) as error:
        raise EngineLoadError(f"{path} is a damaged GGUF file: {error}.") from error


class _Reader:
    """Reads the file from its beginning; struct.error or ValueError where it is truncated or invalid."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._offset = len(_MAGIC)

    def metadata(self) -> dict[str, Any]:
        version = self._scalar("I")
        if version not in _VERSIONS:
            raise ValueError(f"its version is {version}")
        self._scalar("Q")  # the number of tensors
        return {self._string(): self._value(self._scalar("I")) for _ in range(self._scalar("Q"))}

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind != _ARRAY:
            return self._scalar(self._code(kind))
        kind, count = self._scalar("I"), self._scalar("Q")
        if kind == _STRING:
            return [self._string() for _ in range(count)]
        form = f"<{count}{self._code(kind)}"
        values = struct.unpack_from(form, self._data, self._offset)
        self._offset += struct.calcsize(form)
        return list(values)

    def _string(self) -> str:
        length = self._scalar("Q")
        end = self._offset + length
        if end > len(self._data):
            raise ValueError("it ends inside a text")
        text = self._data[self._offset : end].decode()
        self._offset = end
        return text

    def _scalar(self, code: str) -> Any:
        (value,) = struct.unpack_from(f"<{code}", self._data, self._offset)
        self._offset += struct.calcsize(f"<{code}")
        return value

    def _code(self, kind: int) -> str:
        code = _SCALARS.get(kind)
        if code is None:
            raise ValueError(f"a value is of the unknown type {kind}")
        return code


def _describe(metadata: dict[str, Any], path: Path) -> GgufModel:
    def get(key: str, default: Any = None) -> Any:
        value = metadata.get(key, default)
        if value is None:
            raise EngineLoadError(f"{path} lacks {key}, which a language model needs.")
        return value

    eos = get("tokenizer.ggml.eos_token_id")
    kind, pre = get("tokenizer.ggml.model"), get("tokenizer.ggml.pre", "default")
    return GgufModel(
        path=path,
        name=get("general.name", path.stem),
        context_length=get(f"{get('general.architecture')}.context_length"),
        quantization=_FILE_TYPES.get(get("general.file_type", -1), "unknown"),
        digest=_digest(path),
        chat_template=get("tokenizer.chat_template", ""),
        tool_template=get("tokenizer.chat_template.tool_use", ""),
        tokenizer_model=kind,
        pre_tokenizer=pre,
        tokens=get("tokenizer.ggml.tokens"),
        token_types=get("tokenizer.ggml.token_type"),
        merges=get("tokenizer.ggml.merges", []),
        bos_id=get("tokenizer.ggml.bos_token_id", eos),
        # llama.cpp's default is to add it for SentencePiece and Llama 3.
        adds_bos=get("tokenizer.ggml.add_bos_token", kind == "llama" or pre in ("llama-bpe", "llama3")),
        eos_id=eos,
    )


def _digest(path: Path) -> str:
    """Identifies the file without reading gigabytes."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(_HASHED_BYTES))
        file.seek(max(0, size - _HASHED_BYTES))
        digest.update(file.read(_HASHED_BYTES))
    return digest.hexdigest()[:12]

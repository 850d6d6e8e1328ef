"""What a GGUF file says about its model: name, context, tokenizer and chat template. Reads no weights."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.engine.api import EngineLoadError

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC = b"GGUF"
_HASHED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class GgufModel:
    """The metadata of a GGUF file; keys as in the GGUF specification of the ggml project."""

    path: Path
    name: str
    context_length: int
    quantization: str
    digest: str  # 12 hexadecimal digits of SHA-256 over the size, the first and the last MiB of the file
    chat_template: str
    tokenizer_model: str
    pre_tokenizer: str
    tokens: list[str]
    token_types: list[int]
    merges: list[str]
    bos_id: int
    eos_id: int


def read_gguf(path: Path) -> GgufModel:
    """The metadata of the file at `path`; EngineLoadError if it is missing or no GGUF file with a chat template."""
    import gguf  # heavy: it brings NumPy

    if not path.is_file():
        raise EngineLoadError(f"There is no model file {path}.")
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise EngineLoadError(f"{path} cannot be read: {error.strerror}.") from error
    if magic != _MAGIC:
        raise EngineLoadError(f"{path} is not a GGUF file.")
    try:
        return _describe(gguf, gguf.GGUFReader(path), path)
    except (ValueError, IndexError, KeyError) as error:
        raise EngineLoadError(f"{path} is a damaged GGUF file: {str(error).rstrip('.')}.") from error


def _describe(gguf: Any, reader: Any, path: Path) -> GgufModel:
    def get(key: str, default: Any = None) -> Any:
        found = reader.get_field(key)
        if found is None:
            if default is None:
                raise EngineLoadError(f"{path} lacks {key}, which a chat model needs.")
            return default
        return found.contents()

    eos = get("tokenizer.ggml.eos_token_id")
    return GgufModel(
        path=path,
        name=get("general.name", path.stem),
        context_length=get(f"{get('general.architecture')}.context_length"),
        quantization=_quantization(gguf, get("general.file_type", -1)),
        digest=_digest(path),
        chat_template=get("tokenizer.chat_template"),
        tokenizer_model=get("tokenizer.ggml.model"),
        pre_tokenizer=get("tokenizer.ggml.pre", "default"),
        tokens=get("tokenizer.ggml.tokens"),
        token_types=get("tokenizer.ggml.token_type"),
        merges=get("tokenizer.ggml.merges", []),
        bos_id=get("tokenizer.ggml.bos_token_id", eos),
        eos_id=eos,
    )


def _quantization(gguf: Any, file_type: int) -> str:
    """The name of a GGUF file type without its MOSTLY_ and ALL_ prefixes."""
    try:
        name: str = gguf.LlamaFileType(file_type).name
    except ValueError:
        return "unknown"
    return name.removeprefix("MOSTLY_").removeprefix("ALL_")


def _digest(path: Path) -> str:
    """Identifies the file without reading gigabytes."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(_HASHED_BYTES))
        file.seek(max(0, size - _HASHED_BYTES))
        digest.update(file.read(_HASHED_BYTES))
    return digest.hexdigest()[:12]

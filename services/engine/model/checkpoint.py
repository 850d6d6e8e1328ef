"""Reads the metadata of a Hugging Face model directory: sizes, context, tokenizer, template. Reads no weights.

The format is that of `transformers`: config.json, generation_config.json, tokenizer.json, tokenizer_config.json and
safetensors; ModelOpt adds hf_quant_config.json.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from services.engine.load_error import EngineLoadError

if TYPE_CHECKING:
    from pathlib import Path

# The files that this module reads, which a compiled engine keeps a copy of.
METADATA_FILES: Final = (
    *("config.json", "generation_config.json", "hf_quant_config.json"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"),
)
_HASHED_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The metadata of a checkpoint directory."""

    path: Path
    name: str
    context_length: int
    vocabulary_size: int  # rows of the embedding, which may be more than the tokenizer has tokens
    layers: int
    kv_heads: int
    head_dim: int
    weight_bytes: int  # of all safetensors; 0 where there are none
    quantization: str  # "bfloat16", "fp8", ...
    kv_cache_dtype: str  # "fp8", "nvfp4", ..., or "auto": that of the activations, 16 bits
    digest: str  # 12 hexadecimal digits of SHA-256 over the metadata, and the size and first MiB of each weight file
    chat_template: str  # Jinja source; empty for a base model
    tool_template: str  # the one for calls with tools, where the model has two; else empty
    bos_token: str
    eos_token: str
    end_ids: tuple[int, ...]  # the ids that end a choice, the tokenizer's own first
    tokenizer: dict[str, Any]  # tokenizer.json


def read_checkpoint(path: Path) -> Checkpoint:
    """The metadata of the directory at `path`; EngineLoadError if a file is missing, damaged or lacks something."""
    try:
        return _describe(path)
    except OSError as error:
        raise EngineLoadError(f"{error.filename} cannot be read: {error.strerror}.") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise EngineLoadError(
            f"{path} is not a checkpoint of a chat model: {type(error).__name__}: {error}."
        ) from error


def _describe(path: Path) -> Checkpoint:
    config = _json(path / "config.json")
    tokenizer_config = _json(path / "tokenizer_config.json")
    tokenizer = _json(path / "tokenizer.json")
    eos_token = _token_text(tokenizer_config["eos_token"])
    templates = _chat_templates(path, tokenizer_config)
    heads = config["num_attention_heads"]
    return Checkpoint(
        path=path,
        name=_name(path.absolute()),
        context_length=config["max_position_embeddings"],
        vocabulary_size=config["vocab_size"],
        layers=config["num_hidden_layers"],
        kv_heads=config.get("num_key_value_heads", heads),
        head_dim=config.get("head_dim") or config["hidden_size"] // heads,
        weight_bytes=sum(file.stat().st_size for file in path.glob("*.safetensors")),
        quantization=_modelopt(path, "quant_algo") or _other_quantization(config),
        kv_cache_dtype=_modelopt(path, "kv_cache_quant_algo") or "auto",
        digest=checkpoint_digest(path),
        chat_template=templates.get("default", ""),
        tool_template=templates.get("tool_use", ""),
        bos_token=_token_text(tokenizer_config.get("bos_token") or eos_token),
        eos_token=eos_token,
        end_ids=_end_ids(path, config, tokenizer, eos_token),
        tokenizer=tokenizer,
    )


def checkpoint_digest(path: Path) -> str:
    """Identifies the directory's files without reading gigabytes."""
    digest = hashlib.sha256()
    for name in METADATA_FILES:
        if (path / name).is_file():
            digest.update(name.encode() + (path / name).read_bytes())
    for weights in sorted(path.glob("*.safetensors")):
        digest.update(f"{weights.name} {weights.stat().st_size}".encode())
        with weights.open("rb") as file:
            digest.update(file.read(_HASHED_BYTES))
    return digest.hexdigest()[:12]


def _name(path: Path) -> str:
    """The directory's; in the hub's cache, models--ORG--REPO/snapshots/COMMIT, the repository's."""
    repository = path.parent.parent.name
    if path.parent.name == "snapshots" and repository.startswith("models--"):
        return repository.removeprefix("models--").replace("--", "/", 1)
    return path.name


def _json(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(value, dict):
        raise ValueError(f"{path.name} is not an object")
    return value


def _modelopt(path: Path, field: str) -> str:
    """A field of ModelOpt's file in lower case; empty where there is none."""
    file = path / "hf_quant_config.json"
    return str(_json(file)["quantization"].get(field) or "").lower() if file.is_file() else ""


def _other_quantization(config: dict[str, Any]) -> str:
    """`quantization_config` of other tools, or else the type of the weights."""
    other = config.get("quantization_config") or {}
    return str(other.get("quant_method") or config.get("torch_dtype") or config.get("dtype") or "unknown")


def _chat_templates(path: Path, tokenizer_config: dict[str, Any]) -> dict[str, str]:
    """The chat templates by name: "default" and, rarely, others."""
    file = path / "chat_template.jinja"
    given = file.read_text(encoding="utf-8") if file.is_file() else tokenizer_config.get("chat_template") or {}
    if isinstance(given, list):
        given = {entry["name"]: entry["template"] for entry in given}
    templates = {"default": given} if isinstance(given, str) else given
    if not all(isinstance(template, str) for template in templates.values()):
        raise ValueError("its chat template is not text")
    return templates


def _token_text(token: str | dict[str, str]) -> str:
    return token if isinstance(token, str) else token["content"]


def _end_ids(path: Path, config: dict[str, Any], tokenizer: dict[str, Any], eos_token: str) -> tuple[int, ...]:
    generation = path / "generation_config.json"
    declared = (_json(generation) if generation.is_file() else {}).get("eos_token_id", config.get("eos_token_id"))
    others = declared if isinstance(declared, list) else [] if declared is None else [declared]
    ids = {entry["content"]: entry["id"] for entry in tokenizer["added_tokens"]} | tokenizer["model"]["vocab"]
    return tuple(dict.fromkeys([ids[eos_token], *others]))

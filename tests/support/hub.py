"""The Hugging Face hub without a network: the two functions of `huggingface_hub` that are used."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, RemoteEntryNotFoundError, RepositoryNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

# The hub's HTTP library is its own choice, httpx in some versions and httpx2 in others; its error is the first base.
_http = importlib.import_module(HfHubHTTPError.__bases__[0].__module__)
_MISSING = _http.Response(404, request=_http.Request("GET", "https://huggingface.co/api"))


def no_connection() -> Exception:
    """What listing a repository raises when the hub cannot be reached."""
    error: Exception = _http.ConnectError("[Errno -2] Name or service not known")
    return error


def no_repository() -> Exception:
    """What is raised for a repository that does not exist; the message has several lines, as the hub's."""
    return RepositoryNotFoundError(
        "404 Client Error.\n\nRepository Not Found for url: /x.\nPlease log in.", response=_MISSING
    )


@dataclass
class FakeHub:
    """Holds repositories, name -> files. With `failure` set, every function raises what it makes."""

    cache: Path
    repositories: dict[str, list[str]] = field(default_factory=dict)
    failure: Callable[[], Exception] | None = None
    downloads: list[tuple[str, str]] = field(default_factory=list)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Replace the real functions."""
        monkeypatch.setattr(huggingface_hub, "list_repo_files", self.list_repo_files)
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", self.hf_hub_download)

    def list_repo_files(self, repo_id: str) -> list[str]:
        """All files of a repository."""
        if self.failure is not None:
            raise self.failure()
        if repo_id not in self.repositories:
            raise no_repository()
        return self.repositories[repo_id]

    def hf_hub_download(self, repo_id: str, filename: str) -> str:
        """The local path of a file."""
        if filename not in self.list_repo_files(repo_id):
            raise RemoteEntryNotFoundError("404 Client Error.\n\nEntry Not Found for url: /x.", response=_MISSING)
        self.downloads.append((repo_id, filename))
        return str(self.cache / repo_id / filename)

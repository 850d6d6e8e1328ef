"""Clients that others wrote, in environments that `make clients` builds, and what is run with each of them.

The table in edge/README.md is made from `CLIENTS`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROOT: Final = Path(__file__).parents[2]
_ENVIRONMENTS: Final = Path(os.environ.get("CLIENT_ENVIRONMENTS") or _ROOT / "build" / "clients")
# One file per environment: these clients do not all agree on the versions of what they need.
_REQUIREMENTS: Final = _ROOT / "tests" / "e2e" / "clients"
_NPM: Final = "npm"
# None of them may look for files on the hub, or report home.
_OFFLINE: Final = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}


@dataclass(frozen=True, slots=True)
class Client:
    """A package of others; `environment` is that of `make clients` which has it, or npm."""

    package: str  # as its index spells it; for npm with @version
    environment: str
    ran: str  # against the service
    passed: str = "all"
    needs: str = ""  # what the rest would need

    @property
    def version(self) -> str:
        """The version that the tests are written for."""
        if self.environment == _NPM:
            return self.package.rpartition("@")[2]
        requirements = (_REQUIREMENTS / f"{self.environment}.txt").read_text(encoding="utf-8")
        found = re.search(rf"^{re.escape(self.package)}(?:\[\w+\])?==(\S+)$", requirements, re.MULTILINE)
        if found is None:
            raise LookupError(f"{self.environment}.txt does not pin {self.package}.")
        return found[1]

    def skip_unless_installed(self) -> None:
        """Skip the test where `make clients` has not installed this version."""
        # The name of the folder in which pip keeps what it knows of the package.
        folder = f"{re.sub('[-_.]+', '_', self.package)}-{self.version}.dist-info"
        if not any((_ENVIRONMENTS / self.environment).glob(f"lib/python*/site-packages/{folder}")):
            pytest.skip(f"{self.package} {self.version} is not installed: `make clients` installs it, or says why not")

    def run(self, program: str, *arguments: str, given: str = "") -> Any:
        """The JSON in the last line that a Python program prints in the client's environment; it may read `given`."""
        printed = self.command("python", "-c", program, *arguments, given=given)
        return json.loads(printed.strip().splitlines()[-1])

    def command(self, name: str, *arguments: str, given: str = "", cwd: Path | None = None, **environ: str) -> str:
        """What a command of the client's environment prints; AssertionError, with its errors, if it fails."""
        self.skip_unless_installed()
        done = subprocess.run(  # noqa: S603
            [str(_ENVIRONMENTS / self.environment / "bin" / name), *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            cwd=cwd,
            env={**os.environ, **_OFFLINE, **environ},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


AGENTS: Final = "agents"
APIS: Final = "apis"
LLAMA_INDEX: Final = "llama-index"
LOAD: Final = "load"
CLIENTS: Final[Mapping[str, Client]] = {
    "LangChain": Client(
        "langchain-openai", AGENTS, "chats whole and streamed, log probabilities, an agent with two tools"
    ),
    "LangChain's standard suite": Client(
        "langchain-tests",
        AGENTS,
        "its integration suite for `ChatOpenAI`, on the demo model",
        "42 of 50",
        "images, PDF and audio in messages (5 tests), Anthropic's content blocks (1), recorded traffic (1), a model "
        "that can repeat Chinese (1)",
    ),
    "LiteLLM": Client("litellm", AGENTS, "chats, texts, streams, schemas, forced calls; errors are of its own classes"),
    "Vercel's SDK": Client("ai@7.0.173", "npm", "chats, texts, streams, objects, forced calls, errors"),
    "instructor": Client("instructor", AGENTS, "Pydantic models whole and in parts, in four modes"),
    "pydantic-ai": Client(
        "pydantic-ai-slim", AGENTS, "typed output in three ways, streams, an agent with a tool, an error"
    ),
    "smolagents": Client("smolagents", AGENTS, "an agent whose every step is a forced call, whole and streamed"),
    "openai-agents": Client("openai-agents", AGENTS, "chats, streams, typed output, a handoff and a tool"),
    "openai-agents over Responses": Client(
        "openai-agents",
        APIS,
        "an agent with two tools over the API that it uses by default, whole, streamed and on stored responses",
    ),
    "openai over Responses": Client("openai", APIS, "`create`, `stream` and `parse`; stored responses; errors"),
    "openai for Node over Responses": Client(
        "openai@7.57.0", _NPM, "`create`, `stream`, `parse`; stored responses; errors"
    ),
    "Codex": Client("@openai/codex@0.171.0", _NPM, "`codex exec` of a task with a shell command"),
    "anthropic": Client("anthropic", APIS, "messages, streams, its tool runner, `parse`, counts, models; errors"),
    "anthropic for Node": Client("@anthropic-ai/sdk@1.14.0", _NPM, "messages, a stream with a tool, counts; an error"),
    "Claude Code": Client("@anthropic-ai/claude-code@2.1.197", _NPM, "print mode: an answer, a task with a command"),
    "LangChain over Responses": Client("langchain-openai", APIS, "an agent with two tools, whole and streamed"),
    "LangChain for Anthropic": Client("langchain-anthropic", APIS, "an agent with two tools, whole and streamed"),
    "Vercel's SDK over Responses": Client(
        "@ai-sdk/openai@3.0.141", _NPM, "texts, streams, objects, an agent with two tools whole and streamed"
    ),
    "Vercel's SDK for Anthropic": Client("@ai-sdk/anthropic@3.0.140", _NPM, "the same"),
    "joserfc": Client("joserfc", APIS, "scoped tokens, signed with a key"),
    "jsonwebtoken": Client("jsonwebtoken@9.0.3", _NPM, "the same"),
    "llm-comply": Client(
        "llm-comply",
        APIS,
        "its checks of chat completions, Responses and Messages",
        "25 of 31",
        "images (3 checks); reasoning, which it skips (3)",
    ),
    "LlamaIndex": Client(
        "llama-index-llms-openai-like",
        LLAMA_INDEX,
        "chats, texts, streams, structured prediction, an agent with a tool",
    ),
    "llm": Client("llm", AGENTS, "the command: whole, streamed, with a schema"),
    "schemathesis": Client("schemathesis", AGENTS, "requests generated from `/openapi.json`: no 5xx but 503 and 504"),
    "guidellm": Client("guidellm", LOAD, "20 synthetic chats, 4 at a time"),
    "aiperf": Client("aiperf", LOAD, "20 synthetic chats, 4 at a time, with the usage of every chunk"),
    "lm-evaluation-harness": Client(
        "lm-eval", LOAD, "`local-completions`: log likelihoods of continuations and whole texts, generation"
    ),
    "llama-models": Client("llama-models", AGENTS, "Meta's own prompts and tokens, compared with ours"),
}

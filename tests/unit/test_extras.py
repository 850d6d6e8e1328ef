"""Every entry point runs with exactly its extra: whatever its modules import, some package of the extra provides."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.extras import Environment
from tests.support.imports import Import, imports_under

if TYPE_CHECKING:
    from pathlib import Path

# Extra -> the modules that its users start from; those of `up` are all of them.
ENTRY_POINTS = {
    "accounts": (
        "services.cli",
        "services.commands.keys",
        "services.accounts.sql.accounts",
        "services.accounts.sql.key_store",
        "services.accounts.limiting.valkey",
    ),
    "server": ("services.cli", "services.chat.process", "services.engine.simulated.engine"),
    "client": ("services.cli", "services.commands.batch_client"),
    "edge": ("services.cli", "edge.worker", "edge.envoy.config"),
    "llama-cpp": ("services.cli", "services.chat.process", "services.engine.llama_cpp.engine"),
    "tensorrt-llm": (
        *("services.cli", "services.chat.process"),
        *("services.engine.tensorrt_llm.factory", "services.engine.tensorrt_llm.build"),
    ),
}
# Inside functions these import what only one of their commands, or one engine, needs.
CHOOSING = (
    *("services/accounts/factory.py", "services/batches/factory.py", "services/responses/factory.py"),
    *("services/cli.py", "services/commands/batch.py", "services/engine/factory.py"),
)
CHOSEN = (
    "edge",
    "services.accounts.limiting.valkey",
    "services.accounts.sql",
    "services.accounts.keys.token_signature",
    "services.batches",
    "services.chat",
    "services.commands.batch_client",
    "services.engine",
    "services.responses",
    "services.up",
)
# What NVIDIA's image has.
WITH_TENSORRT_LLM = {"tensorrt_llm", "torch"}


def closure(*entries: str) -> list[Import]:
    """Every import that is reached from the entries' modules."""
    by_file: dict[str, list[Import]] = {}
    for one in imports_under("services", "edge"):
        if not (one.in_function and one.file in CHOOSING and one.within(*CHOSEN)):
            by_file.setdefault(one.file, []).append(one)
    waiting, reached = [f"{name.replace('.', '/')}.py" for name in entries], set[str]()
    while waiting:
        file = waiting.pop()
        if file not in reached:
            reached.add(file)
            waiting += [found for one in by_file.get(file, ()) for found in _files(one.module) if found in by_file]
    return [one for file in sorted(reached) for one in by_file.get(file, ())]


def _files(module: str) -> list[str]:
    """Where a module of ours, or the name that is imported from it, may be."""
    parts = module.split(".")
    packages = [*parts, ""][:-1]
    return [
        *("/".join(parts[:length]) + ".py" for length in range(1, len(parts) + 1)),
        *("/".join(packages[:length]) + "/__init__.py" for length in range(1, len(parts) + 1)),
    ]


def provided(module: str, folder: Path) -> bool:
    """Whether a module is in the standard library or in the folder; a namespace alone is nothing."""
    where = folder
    for part in module.split("."):
        if part in sys.stdlib_module_names and where == folder:
            return True
        if (where / part / "__init__.py").exists() or any(where.glob(f"{part}.*")):
            return True
        where /= part
    return False


@pytest.mark.parametrize("extra", ENTRY_POINTS)
def test_what_an_entry_point_imports_comes_with_its_extra(extra: str, tmp_path: Path) -> None:
    environment = Environment(tmp_path, extra)
    found = closure(*ENTRY_POINTS[extra])
    assert {one.file for one in found} > {f"{name.replace('.', '/')}.py" for name in ENTRY_POINTS[extra]}
    allowed = WITH_TENSORRT_LLM if extra == "tensorrt-llm" else set()
    foreign = [one for one in found if one.module.partition(".")[0] not in allowed]
    assert [str(one) for one in foreign if not provided(one.module, environment.folder)] == []


def test_a_module_of_another_extra_is_not_provided(tmp_path: Path) -> None:
    environment = Environment(tmp_path, "server")
    assert provided("google.rpc.status_pb2", environment.folder)
    assert not provided("starlette.routing", environment.folder)
    assert not provided("xllamacpp", environment.folder)
    assert not provided("google.nothing", environment.folder)

"""Who may import whom, read from the source of every file."""

from __future__ import annotations

import pytest

from tests.support.imports import Import, circles, imports_of, imports_under, module_imports

# A back end's package -> the one file that may import it, inside a function.
BACK_ENDS = {
    "xllamacpp": "services/engine/llama_cpp/core.py",
    "llama_cpp": "services/engine/llama_cpp/engine.py",
    "tensorrt_llm": "services/engine/tensorrt_llm/runtime.py",
}
ENGINES = ("services.engine.llama_cpp", "services.engine.simulated", "services.engine.tensorrt_llm")
# From the bottom to the top: a module imports from its own package and from the lines above it, never from below.
# Each module belongs to the longest name that it begins with; names in one line do not import each other.
LAYERS = (
    (
        *("services.errors", "services.garbage", "services.low_priority", "services.rate_limit_headers"),
        *("services.service_links", "services.service_tier"),
        *("services.setting_values", "services.stop_signals", "services.tasks"),
    ),
    ("services.engine_settings",),
    ("services.settings",),
    ("services.limits",),
    ("services.json_text",),
    ("services.fold", "services.telemetry"),
    ("services.engine.load_error",),
    ("services.accounts.prices",),
    ("services.accounts.keys", "services.accounts.ledger"),
    ("services.accounts.limiting",),
    ("services.accounts.api",),
    ("services.accounts.sql",),
    ("services.accounts.factory",),
    ("services.batches", "services.responses"),
    ("services.commands",),
    ("services.engine.model",),
    ("services.engine.api", "services.engine.slots"),
    ("services.engine.llama_cpp", "services.engine.simulated", "services.engine.tensorrt_llm"),
    ("services.engine.factory",),
    ("services.chat.accounting", "services.chat.grammar", "services.chat.scheduling"),
    ("services.chat.answer", "services.chat.request"),
    ("services.chat.pipeline",),
    ("services.chat.transport",),
    ("services.chat.accounts", "services.chat.batches"),
    ("services.chat",),
    ("edge.http2",),
    ("edge.http",),
    ("edge.upstream",),
    ("edge.api",),
    ("edge.anthropic", "edge.openai"),
    ("edge.responses",),
    ("edge.batches",),
    ("edge.endpoints", "edge.envoy"),
    ("edge",),
    ("services",),
)
SHARED = (
    "services.garbage",
    "services.low_priority",
    "services.rate_limit_headers",
    "services.service_links",
    "services.service_tier",
    "services.stop_signals",
    "services.tasks",
    "services.setting_values",
    "services.engine_settings",
    "services.settings",
    "services.telemetry",
    "services.errors",
    "services.limits",
    "services.fold",
    "services.accounts.ledger.entry",
    "services.accounts.prices.money",
    "services.batches",
    "services.responses",
    "services.__version__",
)


def _sentences(found: list[Import]) -> list[str]:
    return [str(one) for one in found]


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import grpc.aio", ["grpc.aio"]),
        ("import a, b.c as d", ["a", "b.c"]),
        ("from services import engine", ["services.engine"]),
        (
            "from services.engine.api import End, TokenDelta",
            ["services.engine.api.End", "services.engine.api.TokenDelta"],
        ),
        ("from . import call", ["services.chat.call"]),
        ("from .call import ChatCall", ["services.chat.call.ChatCall"]),
        ("from ..engine import api", ["services.engine.api"]),
        ("if TYPE_CHECKING:\n    import edge", ["edge"]),
    ],
)
def test_every_form_of_import_is_seen_with_its_full_name(source: str, modules: list[str]) -> None:
    assert [found.module for found in imports_of(source, "services/chat/pipeline.py")] == modules


@pytest.mark.parametrize(
    ("source", "in_function"),
    [
        ("import a", False),
        ("class C:\n    import a", False),
        ("if x:\n    import a", False),
        ("def f():\n    import a", True),
        ("async def f():\n    try:\n        import a\n    finally: ...", True),
        ("class C:\n    def f(self):\n        from a import b", True),
    ],
)
def test_an_import_knows_whether_it_runs_in_a_function(source: str, in_function: bool) -> None:
    assert [found.in_function for found in imports_of(source, "services/cli.py")] == [in_function]


def test_engines_know_nothing_of_grpc_the_contract_the_chat_server_or_the_edge() -> None:
    found = imports_under("services/engine")
    assert _sentences([one for one in found if one.within("grpc", "chasqui", "services.chat", "edge")]) == []
    assert any(one.within("services.engine") for one in found)


def test_a_back_end_package_is_imported_only_inside_a_function_of_its_own_engine() -> None:
    found = [one for one in imports_under("services", "edge") if one.within(*BACK_ENDS)]
    assert any(one.module == "xllamacpp" for one in found)
    allowed = [one for one in found if one.in_function and one.file == BACK_ENDS[one.module.partition(".")[0]]]
    assert _sentences([one for one in found if one not in allowed]) == []


def test_an_engine_is_imported_only_inside_the_function_that_builds_it() -> None:
    own = tuple(engine.replace(".", "/") + "/" for engine in ENGINES)
    found = [one for one in imports_under("services", "edge") if one.within(*ENGINES) and not one.file.startswith(own)]
    allowed = [one for one in found if one.in_function and one.file == "services/engine/factory.py"]
    assert allowed != []
    assert _sentences([one for one in found if one not in allowed]) == []


def test_the_edge_uses_only_the_contract_and_the_shared_leaves_of_services() -> None:
    ours = [one for one in imports_under("edge") if one.within("services")]
    assert ours != []
    assert _sentences([one for one in ours if not one.within(*SHARED)]) == []


def test_the_shared_leaves_import_nothing_else_of_ours() -> None:
    above = ("services.fold", "services.batches", "services.responses", "services.__version__")
    leaves = tuple(name.replace(".", "/") for name in SHARED if name not in above)
    ours = [
        one
        for one in imports_under("services")
        if one.file.startswith(leaves) and one.within("services", "edge", "chasqui")
    ]
    assert ours != []
    assert _sentences([one for one in ours if one.module != "services" and not one.within(*SHARED)]) == []


def test_the_chat_server_never_imports_the_edge() -> None:
    found = imports_under("services/chat")
    assert found != []
    assert _sentences([one for one in found if one.within("edge")]) == []


def test_imports_run_down_the_layers() -> None:
    height = {name: level for level, names in enumerate(LAYERS) for name in names}

    def package(module: str) -> str:
        return max((name for name in height if f"{module}.".startswith(f"{name}.")), key=len)

    found = module_imports("services", "edge")
    assert {package(module) for pair in found for module in pair} == set(height)
    upwards = [
        f"{source} imports {target}"
        for source, target in found
        if package(source) != package(target) and height[package(target)] >= height[package(source)]
    ]
    assert upwards == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles(module_imports("services", "edge")) == []


def test_a_circle_of_imports_is_found() -> None:
    assert circles([("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")]) == [["b", "c"]]

"""Who may import whom, read from the source of every file."""

from __future__ import annotations

import pytest

from tests.support.imports import Import, imports_of, imports_under

# A back end's package -> the one file that may import it, inside a function.
BACK_ENDS = {
    "xllamacpp": "services/engine/llama_cpp.py",
    "llama_cpp": "services/engine/llama_cpp.py",
    "tensorrt_llm": "services/engine/tensorrt_llm/runtime.py",
}
# Judges the weights apart from the service: with grammars and token ids that the service does not pass on.
EVALUATION = "services/demo_model/answerers.py"
ENGINES = ("services.engine.llama_cpp", "services.engine.simulated", "services.engine.tensorrt_llm")
# This engine is a package, whose files import each other.
OWN_PACKAGE = "services/engine/tensorrt_llm/"
SHARED = ("services.settings", "services.telemetry", "services.errors", "services.limits", "services.__version__")


def _sentences(found: list[Import]) -> list[str]:
    return [str(one) for one in found]


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import grpc.aio", ["grpc.aio"]),
        ("import a, b.c as d", ["a", "b.c"]),
        ("from services import engine", ["services.engine"]),
        ("from services.engine.api import End, Piece", ["services.engine.api.End", "services.engine.api.Piece"]),
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
    found = [one for one in imports_under("services", "edge") if one.within(*BACK_ENDS) and one.file != EVALUATION]
    assert any(one.module == "xllamacpp" for one in found)
    allowed = [one for one in found if one.in_function and one.file == BACK_ENDS[one.module.partition(".")[0]]]
    assert _sentences([one for one in found if one not in allowed]) == []


def test_an_engine_is_imported_only_inside_the_function_that_builds_it() -> None:
    found = [one for one in imports_under("services", "edge") if one.within(*ENGINES)]
    allowed = [
        one
        for one in found
        if (one.in_function and one.file == "services/engine/factory.py") or one.file.startswith(OWN_PACKAGE)
    ]
    assert allowed != []
    assert _sentences([one for one in found if one not in allowed]) == []


def test_the_edge_uses_only_the_contract_and_the_shared_leaves_of_services() -> None:
    ours = [one for one in imports_under("edge") if one.within("services")]
    assert ours != []
    assert _sentences([one for one in ours if not one.within(*SHARED)]) == []


def test_the_shared_leaves_import_nothing_else_of_ours() -> None:
    leaves = ("settings.py", "errors.py", "limits.py", "telemetry/")
    ours = [
        one
        for one in imports_under("services")
        if one.file.removeprefix("services/").startswith(leaves) and one.within("services", "edge", "chasqui")
    ]
    assert ours != []
    assert _sentences([one for one in ours if one.module != "services" and not one.within(*SHARED)]) == []


def test_the_chat_server_never_imports_the_edge() -> None:
    found = imports_under("services/chat")
    assert found != []
    assert _sentences([one for one in found if one.within("edge")]) == []

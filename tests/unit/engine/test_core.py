"""How llama.cpp's server core is configured, with a fake in place of its binding."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from services.engine.llama_cpp.core import CoreOptions, can_have_grammars, import_xllamacpp, load_core
from services.engine.llama_cpp.listener import PrivateListener
from services.engine.load_error import EngineLoadError


class FakeServer:
    """Remembers its parameters and requests; refuses the model "broken"."""

    def __init__(self, params: Any) -> None:
        if params.model.path == "broken":
            raise RuntimeError("no tensors")
        self.params = params
        self.requests: list[Any] = []

    def handle_completions(self, request: Any, callback: Any) -> None:
        self.requests.append(request)


CPU = {"name": "CPU", "description": "AMD EPYC", "type": "cpu"}
GPU = {"name": "CUDA0", "description": "NVIDIA L4", "type": "gpu"}


def binding(*devices: dict[str, str]) -> Any:
    def params() -> SimpleNamespace:
        return SimpleNamespace(model=SimpleNamespace(), cpuparams=SimpleNamespace())

    return SimpleNamespace(
        CommonParams=params,
        Server=FakeServer,
        ggml_type=SimpleNamespace(GGML_TYPE_Q8_0="q8_0 of the binding"),
        llama_flash_attn_type=SimpleNamespace(LLAMA_FLASH_ATTN_TYPE_ENABLED=1, LLAMA_FLASH_ATTN_TYPE_DISABLED=0),
        ggml_backend_dev_type=SimpleNamespace(
            GGML_BACKEND_DEVICE_TYPE_GPU="gpu", GGML_BACKEND_DEVICE_TYPE_IGPU="integrated gpu"
        ),
        get_device_info=lambda: devices,
    )


def load(
    *devices: dict[str, str],
    path: str = "model",
    parallel: int = 3,
    threads: int = 0,
    kv_cache_dtype: str = "auto",
    flash_attention: str = "auto",
) -> FakeServer:
    listener = PrivateListener()
    listener.open()
    options = CoreOptions(Path(path), 100, parallel, threads, kv_cache_dtype, flash_attention)
    try:
        loaded: FakeServer = load_core(binding(*devices), options, listener, 7)
    finally:
        listener.close()
    return loaded


def test_the_context_of_all_slots_is_allocated() -> None:
    server = load()
    assert (server.params.n_parallel, server.params.n_ctx) == (3, 300)
    assert not hasattr(server.params.cpuparams, "n_threads")
    assert load(threads=5).params.cpuparams.n_threads == 5


@pytest.mark.parametrize(
    ("devices", "parallel", "tokens"), [((CPU,), 3, 256), ((GPU, CPU), 3, 512), ((CPU,), 200, 400)]
)
def test_a_batch_is_short_on_cpus_and_has_room_for_prompts_when_all_slots_decode(
    devices: tuple[dict[str, str], ...], parallel: int, tokens: int
) -> None:
    assert load(*devices, parallel=parallel).params.n_batch == tokens


def test_the_kv_cache_has_16_bits_unless_a_type_is_set() -> None:
    assert not hasattr(load().params, "cache_type_k")
    params = load(kv_cache_dtype="q8_0").params
    assert (params.cache_type_k, params.cache_type_v) == ("q8_0 of the binding", "q8_0 of the binding")


def test_flash_attention_is_the_core_s_choice_unless_it_is_set() -> None:
    assert not hasattr(load().params, "flash_attn_type")
    assert [load(flash_attention=word).params.flash_attn_type for word in ("on", "off")] == [1, 0]


def test_a_first_token_is_generated_before_the_core_is_used() -> None:
    assert [request["prompt"] for request in load().requests] == [[7]]


def test_the_devices_that_llama_cpp_found_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        load(GPU, CPU)
    (record,) = [record for record in caplog.records if record.name == "services.engine.llama_cpp.core"]
    assert record.__dict__["fields"]["devices"] == {"CUDA0": "NVIDIA L4", "CPU": "AMD EPYC"}


@pytest.mark.parametrize(
    ("environ", "spins"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "passive"}, None)],
)
def test_threads_that_wait_leave_the_cpu_soon_unless_the_operator_says_when(
    environ: dict[str, str], spins: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", ModuleType("xllamacpp"))
    monkeypatch.setattr(os, "environ", environ)
    assert import_xllamacpp() is sys.modules["xllamacpp"]
    assert environ.get("GOMP_SPINCOUNT") == spins


def test_what_llama_cpp_rejects_is_a_sentence() -> None:
    with pytest.raises(EngineLoadError, match=r"llama\.cpp cannot load broken: no tensors"):
        load(path="broken")


@pytest.mark.parametrize(
    ("sizes", "fits"),
    [
        ([7] * 128_000, True),
        ([1024], True),
        ([1025], False),
        ([1024] * 1039 + [256], True),
        ([1024] * 1039 + [257], False),
    ],
)
def test_a_vocabulary_has_grammars_where_its_tokens_fit_into_the_buffer_of_llama_cpp(
    sizes: list[int], fits: bool
) -> None:
    assert can_have_grammars(sizes) == fits

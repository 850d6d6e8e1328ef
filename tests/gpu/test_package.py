"""What only NVIDIA's package and a GPU can prove; elsewhere these tests are reported as skipped, with that reason."""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
from typing import Any

import pytest

from tests.support.tensorrt_llm import table

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_llm") is None, reason="not run: needs tensorrt_llm and a GPU (make test-gpu)"
)


def given(parameters: Any, names: dict[str, Any]) -> dict[str, Any]:
    """The defaults of those parameters that the table has; a missing one is not in the result."""
    found = {name: parameter.default for name, parameter in parameters.items() if name in names}
    return {name: table.REQUIRED if value is inspect.Parameter.empty else value for name, value in found.items()}


@pytest.fixture
def api() -> Any:
    from tensorrt_llm import llmapi

    return llmapi


def test_the_constructor_takes_what_the_table_says(api: Any) -> None:
    parameters = inspect.signature(api.LLM.__init__).parameters
    assert given(parameters, table.LLM_INIT) == table.LLM_INIT


def test_generate_async_takes_exactly_what_the_table_says(api: Any) -> None:
    parameters = dict(inspect.signature(api.LLM.generate_async).parameters)
    del parameters["self"]
    assert given(parameters, dict.fromkeys(parameters)) == table.GENERATE_ASYNC


@pytest.mark.parametrize(
    ("name", "fields"),
    [("SamplingParams", table.SAMPLING_PARAMS), ("GuidedDecodingParams", table.GUIDED_DECODING_PARAMS)],
)
def test_the_parameter_classes_have_exactly_the_fields_of_the_table(
    api: Any, name: str, fields: dict[str, Any]
) -> None:
    found = {field.name: field.default for field in dataclasses.fields(getattr(api, name)) if field.init}
    assert found == fields


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("TorchLlmArgs", table.TORCH_ARGUMENTS),
        ("KvCacheConfig", table.KV_CACHE_CONFIG),
        ("CudaGraphConfig", table.CUDA_GRAPH_CONFIG),
        ("NGramDecodingConfig", table.NGRAM_DECODING_CONFIG),
        ("EagleDecodingConfig", table.EAGLE_DECODING_CONFIG),
    ],
)
def test_the_configuration_classes_have_the_fields_of_the_table(api: Any, name: str, fields: dict[str, Any]) -> None:
    known = getattr(api, name).model_fields
    assert sorted(set(fields) - set(known)) == []


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("TorchLlmArgs", table.TORCH_ARGUMENTS),
        ("KvCacheConfig", table.KV_CACHE_CONFIG),
        ("CudaGraphConfig", table.CUDA_GRAPH_CONFIG),
        ("EagleDecodingConfig", table.EAGLE_DECODING_CONFIG),
    ],
)
def test_the_defaults_of_the_configuration_are_those_of_the_table(api: Any, name: str, fields: dict[str, Any]) -> None:
    """Numbers, texts and None; a default that is made anew each time or is of an enumeration is left to the names."""
    found = {key: field.default for key, field in getattr(api, name).model_fields.items() if key in fields}
    plain = {key: value for key, value in found.items() if type(value) in (bool, int, float, str, type(None))}
    assert plain
    assert plain == {key: fields[key] for key in plain}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("TrtLlmArgs", table.TENSORRT_ARGUMENTS),
        ("BuildConfig", table.BUILD_CONFIG),
        ("QuantConfig", table.QUANT_CONFIG),
    ],
)
def test_the_classes_of_compiled_engines_have_the_fields_of_the_table(
    api: Any, name: str, fields: dict[str, Any]
) -> None:
    kind = getattr(api, name, None)
    if kind is None:
        pytest.skip("not run: this release has no compiled engines")
    known = inspect.signature(kind).parameters
    assert sorted(set(fields) - set(known)) == []


def test_the_results_have_the_members_of_the_table(api: Any) -> None:
    outputs = {field.name for field in dataclasses.fields(api.CompletionOutput)}
    assert sorted(set(table.COMPLETION_OUTPUT) - outputs) == []
    assert [
        name for name in table.REQUEST_OUTPUT if name.startswith("a") and not hasattr(api.RequestOutput, name)
    ] == []


def test_the_samplers_have_the_names_of_the_table() -> None:
    from tensorrt_llm.llmapi import llm_args

    assert list(llm_args.SamplerType.__members__) == list(table.SAMPLER_TYPES)


def test_the_grammar_library_reads_the_grammars_that_the_chat_server_writes() -> None:
    import llguidance

    assert llguidance.LLMatcher.validate_grammar('start: %json {"type": "object"}') == ""

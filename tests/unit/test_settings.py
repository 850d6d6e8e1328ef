"""Settings: read from variables and flags, refused by name, and handed on to other processes unchanged."""

from __future__ import annotations

import dataclasses
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.settings import (
    DEMO_MODEL,
    Settings,
    SettingsError,
    fields,
    flag,
    ignored_variables,
    read_environment,
    variable,
)
from tests.support.wording import is_one_sentence

HINTS = get_type_hints(Settings)
NUMBERS = [setting for setting in fields() if HINTS[setting.name] in (int, float)]
CHOICES = [setting for setting in fields() if HINTS[setting.name] is str and setting.metadata["choices"]]
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters=","), min_size=1, max_size=8)


def _values(setting: dataclasses.Field[Any]) -> st.SearchStrategy[Any]:
    """Every value that a setting can have."""
    low, high = setting.metadata["minimum"], setting.metadata["maximum"]
    kind = HINTS[setting.name]
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(low, high)
    if kind is float:
        return st.floats(low, high, allow_nan=False, allow_infinity=False)
    if kind is str:
        return st.sampled_from(setting.metadata["choices"]) if setting.metadata["choices"] else st.text(max_size=8)
    return st.lists(NAMES, max_size=3).map(tuple)


def _refusal(environ: dict[str, str], flags: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.read(environ, flags)
    assert is_one_sentence(str(caught.value))
    return str(caught.value)


def test_nothing_given_means_every_default() -> None:
    assert Settings.read({}) == Settings()
    assert Settings.read({"HOME": "/root", "PORT": "9"}) == Settings()


def test_the_demo_model_ships_with_the_package() -> None:
    assert DEMO_MODEL.is_file()


@pytest.mark.parametrize(
    ("variable_name", "text", "field", "value"),
    [
        ("CHASQUI_HOST", "0.0.0.0", "host", "0.0.0.0"),  # noqa: S104 - read, not bound
        ("CHASQUI_PORT", "9000", "port", 9000),
        ("CHASQUI_ENGINE", "simulated", "engine", "simulated"),
        ("CHASQUI_MODEL", "", "model", ""),
        ("CHASQUI_SIMULATED_RATE", "0", "simulated_rate", 0.0),
        ("CHASQUI_SIMULATED_RATE", "1e-3", "simulated_rate", 0.001),
        ("CHASQUI_MAX_QUEUE", "0", "max_queue", 0),
        ("CHASQUI_MODEL_ALIASES", "a, b/c ,,d", "model_aliases", ("a", "b/c", "d")),
        ("CHASQUI_MODEL_ALIASES", "", "model_aliases", ()),
        ("CHASQUI_API_KEYS", "file:/etc/keys", "api_keys", "file:/etc/keys"),
        ("CHASQUI_LOG_FORMAT", "json", "log_format", "json"),
        ("CHASQUI_TRACE_CONTENT", "on", "trace_content", True),
        ("CHASQUI_TRACE_CONTENT", "True", "trace_content", True),
        ("CHASQUI_TRACE_CONTENT", "YES", "trace_content", True),
        ("CHASQUI_TRACE_CONTENT", "1", "trace_content", True),
        ("CHASQUI_KV_CACHE_REUSE", "off", "kv_cache_reuse", False),
        ("CHASQUI_KV_CACHE_REUSE", "false", "kv_cache_reuse", False),
        ("CHASQUI_KV_CACHE_REUSE", "No", "kv_cache_reuse", False),
        ("CHASQUI_KV_CACHE_REUSE", "0", "kv_cache_reuse", False),
    ],
)
def test_a_variable_sets_its_field(variable_name: str, text: str, field: str, value: object) -> None:
    read = Settings.read({variable_name: text})
    assert getattr(read, field) == value
    assert type(getattr(read, field)) is type(value)


@pytest.mark.parametrize(
    ("variable_name", "text", "expected"),
    [
        ("CHASQUI_PORT", "http", "a whole number from 1 to 65,535"),
        ("CHASQUI_PORT", "", "a whole number from 1 to 65,535"),
        ("CHASQUI_PORT", "0", "a whole number from 1 to 65,535"),
        ("CHASQUI_PORT", "65536", "a whole number from 1 to 65,535"),
        ("CHASQUI_PORT", "80.5", "a whole number from 1 to 65,535"),
        ("CHASQUI_PARALLEL", "9" * 5000, "a whole number from 1 to 4,096"),
        ("CHASQUI_MAX_QUEUE", "-1", "a whole number of at least 0"),
        ("CHASQUI_SIMULATED_RATE", "nan", "a number of at least 0"),
        ("CHASQUI_SIMULATED_RATE", "inf", "a number of at least 0"),
        ("CHASQUI_SIMULATED_RATE", "1e400", "a number of at least 0"),
        ("CHASQUI_SIMULATED_RATE", "cheap", "a number of at least 0"),
        ("CHASQUI_KEEP_ALIVE", "0", "a number of at least 0.01"),
        ("CHASQUI_ENGINE", "vllm", "one of llama-cpp, tensorrt-llm, simulated"),
        ("CHASQUI_ENGINE", "", "one of llama-cpp, tensorrt-llm, simulated"),
        ("CHASQUI_TRACE_CONTENT", "maybe", "on or off (true or false, yes or no, 1 or 0)"),
        ("CHASQUI_TRACE_CONTENT", "", "on or off (true or false, yes or no, 1 or 0)"),
        ("CHASQUI_LOG_LEVEL", "INFO", "one of debug, info, warning, error"),
    ],
)
def test_a_bad_value_is_refused_with_its_name_the_value_and_what_was_expected(
    variable_name: str, text: str, expected: str
) -> None:
    assert _refusal({variable_name: text}) == f"{variable_name} is {text!r}, but must be {expected}."


@pytest.mark.parametrize("setting", NUMBERS, ids=lambda setting: setting.name)
def test_every_number_has_a_smallest_value_and_refuses_what_is_below(setting: dataclasses.Field[Any]) -> None:
    low, high = setting.metadata["minimum"], setting.metadata["maximum"]
    name = variable(setting.name)
    assert getattr(Settings.read({name: str(low)}), setting.name) == low
    assert name in _refusal({name: str(low - 1)})
    if high is not None:
        assert getattr(Settings.read({name: str(high)}), setting.name) == high
        assert name in _refusal({name: str(high + 1)})


@pytest.mark.parametrize("setting", CHOICES, ids=lambda setting: setting.name)
def test_a_setting_of_choices_defaults_to_one_of_them(setting: dataclasses.Field[Any]) -> None:
    assert setting.default in setting.metadata["choices"]


# What Kubernetes sets in each pod of a namespace that has a Service with two ports.
def _service(name: str) -> dict[str, str]:
    return {
        f"{name}_SERVICE_HOST": "10.0.0.1",
        f"{name}_SERVICE_PORT": "8080",
        f"{name}_SERVICE_PORT_HTTP": "8080",
        f"{name}_PORT": "tcp://10.0.0.1:8080",
        f"{name}_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        f"{name}_PORT_8080_TCP_PROTO": "tcp",
        f"{name}_PORT_8080_TCP_PORT": "8080",
        f"{name}_PORT_8080_TCP_ADDR": "10.0.0.1",
        f"{name}_PORT_53_UDP": "udp://10.0.0.1:53",
    }


@pytest.mark.parametrize("name", ["CHASQUI", "CHASQUI_EDGE", "CHASQUI_API"])
def test_the_variables_of_a_kubernetes_service_are_ignored(name: str) -> None:
    environ = {**_service(name), "CHASQUI_PRICE": "1"}
    assert Settings.read(environ) == Settings(price="1")
    assert ignored_variables(environ) == set(_service(name))


def test_a_port_that_is_set_beside_a_kubernetes_service_counts() -> None:
    assert Settings.read({**_service("CHASQUI"), "CHASQUI_PORT": "9000"}).port == 9000


@pytest.mark.parametrize("name", ["CHASQUI_PORT", "CHASQUI_EDGE_PORT", "CHASQUI_MODEL"])
def test_the_form_of_a_kubernetes_service_without_its_host_is_refused_and_named(name: str) -> None:
    assert "Kubernetes" in _refusal({name: "tcp://10.0.0.1:8080"})


def test_other_programs_services_are_no_business_of_ours() -> None:
    assert ignored_variables(_service("REDIS")) == set()


@pytest.mark.parametrize("name", ["CHASQUI_PROT", "CHASQUI_", "CHASQUI_port"])
def test_an_unknown_variable_is_refused_by_name(name: str) -> None:
    assert name in _refusal({name: "8080"})


def test_a_flag_overrides_its_variable() -> None:
    assert Settings.read({"CHASQUI_PORT": "9000"}, {"port": "9001"}).port == 9001


def test_a_bad_flag_is_refused_under_the_name_that_was_typed() -> None:
    assert _refusal({"CHASQUI_MAX_QUEUE": "1"}, {"max_queue": "x"}).startswith("--max-queue is 'x',")


def test_variable_and_flag_follow_from_the_field() -> None:
    assert (variable("default_max_tokens"), flag("default_max_tokens")) == (
        "CHASQUI_DEFAULT_MAX_TOKENS",
        "--default-max-tokens",
    )


def test_every_setting_is_documented_with_a_sentence() -> None:
    assert [setting.name for setting in fields() if not setting.metadata["help"].endswith(".")] == []


def test_settings_of_this_process_come_from_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHASQUI_PARALLEL", "3")
    assert read_environment().parallel == 3
    assert read_environment({"parallel": "5"}).parallel == 5


@given(st.fixed_dictionaries({setting.name: _values(setting) for setting in fields()}))
def test_another_process_reads_the_same_settings_from_the_variables_it_is_given(values: dict[str, Any]) -> None:
    ours = Settings(**values)
    assert Settings.read(ours.to_environ()) == ours


def test_defaults_are_not_handed_on() -> None:
    assert Settings().to_environ() == {}
    assert Settings(port=9000).to_environ() == {"CHASQUI_PORT": "9000"}
    assert Settings(trace_content=True).to_environ() == {"CHASQUI_TRACE_CONTENT": "on"}


def test_settings_cannot_be_changed_in_place() -> None:
    ours = Settings()
    with pytest.raises(dataclasses.FrozenInstanceError):
        ours.port = 1  # type: ignore[misc]
    assert ours.replace(port=1) == Settings(port=1)

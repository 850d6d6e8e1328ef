"""The double's parameter classes: made from the table, as strict as the real ones."""

from __future__ import annotations

import os
from dataclasses import field, make_dataclass
from typing import Any

from pydantic import ConfigDict, create_model

from tests.support.tensorrt_llm import table


def config_class(name: str, fields: dict[str, Any]) -> Any:
    """A pydantic model that forbids unknown fields, as the configuration classes do."""
    given: dict[str, Any] = {key: (Any, default) for key, default in fields.items()}
    return create_model(name, __config__=ConfigDict(extra="forbid"), **given)


def _is_greedy(params: Any) -> bool:
    unset = params.temperature is None and params.top_p is None and params.top_k is None
    return unset or params.top_k == 1 or params.top_p == 0 or params.temperature == 0


def _validate(params: Any) -> None:
    """The checks and fillings that construction makes."""
    if params.top_p is not None and not 0 <= params.top_p <= 1:
        raise ValueError(f"require 0 <= top_p <= 1, got {params.top_p}")
    if params.top_k is not None and params.top_k < 0:
        raise ValueError(f"require top_k >= 0, got {params.top_k}")
    if params.temperature is not None and params.temperature < 0:
        raise ValueError(f"require temperature >= 0, got {params.temperature}")
    params.best_of = params.n if params.best_of is None else params.best_of
    if params.best_of < params.n:
        raise ValueError(f"require best_of >= n, got {params.best_of}")
    if params.best_of > 1 and _is_greedy(params) and not os.environ.get("TLLM_ALLOW_N_GREEDY_DECODING"):
        raise ValueError("greedy decoding gives the same answer n times")
    guided = params.guided_decoding
    if guided is not None:
        guides = (guided.json, guided.regex, guided.grammar, guided.json_object or None, guided.structural_tag)
        if sum(guide is not None for guide in guides) > 1:
            raise ValueError("only one guide may be given")


def sampling_params_class() -> Any:
    """SamplingParams: keyword-only, with slots."""
    fields: list[Any] = [(name, Any, field(default=default)) for name, default in table.SAMPLING_PARAMS.items()]
    fields += [
        (n, Any, field(init=False, default=None)) for n in ("_bad_word_ids", "_stop_word_ids", "_stream_interval")
    ]
    return make_dataclass("SamplingParams", fields, slots=True, kw_only=True, namespace={"__post_init__": _validate})


def guided_decoding_params_class() -> Any:
    """GuidedDecodingParams: keyword-only, with slots."""
    fields = [(name, Any, field(default=default)) for name, default in table.GUIDED_DECODING_PARAMS.items()]
    return make_dataclass("GuidedDecodingParams", fields, slots=True, kw_only=True)


def set_up(params: Any, end_id: int, end_ids: tuple[int, ...]) -> None:
    """What submission does to the caller's own object, if it left `end_id` open: one object serves one request."""
    if params.end_id is not None:
        if params.stop or params.bad:
            raise ValueError("stop and bad need to be tokenized, which end_id forbids")
        return
    params.end_id = params.pad_id = end_id
    params.stop_token_ids = [*(params.stop_token_ids or []), *end_ids]

"""The test that shows what each field of a request does, for the tables of fields in edge/README.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge.anthropic.request_schema import MessagesRequest
from edge.api.fields import Treatment
from edge.openai.request_schema import ChatCompletionRequest, CompletionRequest, SamplingRequest, StreamOptionsBody
from edge.responses.request_schema import ResponsesRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import msgspec

    from edge.api.fields import Known


def _shown_by(test: str, names: Iterable[str]) -> dict[str, str]:
    return dict.fromkeys(names, test)


_CLIENT: Final = "e2e/test_openai_client.py"
_STRUCTURED: Final = "e2e/test_structured.py"
_COMPLETIONS: Final = "e2e/test_completions.py"
_ARRIVES: Final = "unit/edge/test_request.py"
_MESSAGES: Final = "unit/edge/test_messages.py"
_RESPONSES: Final = "unit/edge/test_responses.py"

_COMMON: Final[dict[str, str]] = {
    "model": f"{_CLIENT}::test_the_model_field_says_what_really_answered",
    "stream": f"{_CLIENT}::test_streamed_and_whole_answers_are_equal",
    "stream_options": f"{_CLIENT}::test_include_usage_puts_the_usage_into_a_last_chunk_without_choices",
    **_shown_by(
        f"{_ARRIVES}::test_a_field_that_is_set_arrives_in_its_place_even_if_it_is_zero",
        SamplingRequest.__struct_fields__,
    ),
    "seed": f"{_CLIENT}::test_the_same_seed_gives_the_same_different_choices",
    "logit_bias": "contract/test_llama_cpp.py::test_a_logit_bias_makes_a_token_certain",
    "max_tokens": f"{_CLIENT}::test_zero_tokens_are_an_empty_answer_with_the_prompt_s_usage",
    "min_tokens": "e2e/test_logprobs.py::test_an_answer_has_at_least_min_tokens",
    "stop": f"{_CLIENT}::test_a_stop_sequence_ends_the_answer_and_is_not_part_of_it",
    "stop_token_ids": "contract/test_llama_cpp.py::test_a_stop_token_ends_the_choice_it_is_generated_in",
    "ignore_eos": f"{_COMPLETIONS}::test_without_a_limit_sixteen_tokens_are_generated_as_openai_does",
    "n": f"{_CLIENT}::test_several_choices_each_have_their_own_end",
    "response_format": f"{_STRUCTURED}::test_an_answer_satisfies_its_schema",
    **_shown_by(
        f"{_STRUCTURED}::test_the_constraints_of_other_servers_are_enforced",
        (
            "structured_outputs",
            "guided_json",
            "guided_choice",
            "guided_regex",
            "guided_grammar",
            "json_schema",
            "regex",
        ),
    ),
    **_shown_by(f"{_STRUCTURED}::test_an_answer_follows_a_grammar_in_gbnf", ("grammar", "ebnf")),
    "service_tier": "e2e/test_service_tiers.py::test_an_answer_names_the_tier_that_served_it_and_costs_its_price",
    "user": f"{_ARRIVES}::test_model_and_user_arrive",
}
_RESPONSE_SAMPLING: Final = f"{_RESPONSES}::test_sampling_limits_and_the_form_are_those_of_the_contract"
_MESSAGE_SAMPLING: Final = f"{_MESSAGES}::test_sampling_stops_the_user_and_the_form_are_those_of_the_contract"
# Paths are below tests/.
HONOURED: Final[Mapping[type[msgspec.Struct], Mapping[str, str]]] = {
    ChatCompletionRequest: _COMMON
    | {
        "messages": f"{_ARRIVES}::test_messages_keep_their_order_whatever_their_roles_are",
        "max_completion_tokens": f"{_CLIENT}::test_max_completion_tokens_wins_over_max_tokens",
        "logprobs": "e2e/test_logprobs.py::test_the_bytes_of_all_entries_are_those_of_the_content",
        "top_logprobs": "e2e/test_logprobs.py::test_top_logprobs_is_bounded_and_needs_logprobs",
        "tools": "e2e/test_tools.py::test_tools_are_shown_to_the_model",
        "tool_choice": f"{_STRUCTURED}::test_a_forced_call_is_one_and_its_arguments_satisfy_the_schema",
        "parallel_tool_calls": "e2e/test_tools.py::test_without_parallel_calls_the_engine_is_stopped_after_the_first",
        "continue_final_message": (
            "e2e/test_continuation.py::test_the_answer_is_what_the_model_writes_behind_the_beginning"
        ),
        "add_generation_prompt": (
            f"{_ARRIVES}::test_a_prompt_without_an_open_turn_is_only_for_a_message_that_is_continued"
        ),
    },
    CompletionRequest: _COMMON
    | {
        "max_tokens": f"{_COMPLETIONS}::test_without_a_limit_sixteen_tokens_are_generated_as_openai_does",
        "prompt": f"{_COMPLETIONS}::test_a_text_is_continued",
        "echo": f"{_COMPLETIONS}::test_echo_puts_the_prompt_before_every_answer_whole_and_streamed",
        "logprobs": f"{_COMPLETIONS}::test_logprobs_are_columns_whose_offsets_point_into_the_text",
    },
    StreamOptionsBody: {
        "include_usage": f"{_CLIENT}::test_include_usage_puts_the_usage_into_a_last_chunk_without_choices",
        "include_timings": "e2e/test_telemetry.py::test_times_are_in_the_last_chunk_when_they_are_asked_for",
        "continuous_usage_stats": f"{_CLIENT}::test_continuous_usage_counts_every_token_in_every_chunk",
    },
    ResponsesRequest: {
        **_shown_by(_RESPONSE_SAMPLING, SamplingRequest.__struct_fields__),
        **_shown_by(_RESPONSE_SAMPLING, ("parallel_tool_calls", "user", "service_tier")),
        **_shown_by(
            "e2e/test_responses.py::test_a_text_is_answered_whole_and_streamed", ("model", "instructions", "stream")
        ),
        "input": f"{_RESPONSES}::test_items_become_messages_and_reasoning_is_dropped",
        "max_output_tokens": "e2e/test_responses.py::test_an_answer_that_its_limit_cuts_is_incomplete",
        "tools": "e2e/test_responses.py::test_a_call_and_its_output_are_a_conversation_whole_and_streamed",
        "tool_choice": f"{_RESPONSES}::test_every_tool_choice_has_its_counterpart",
        "text": "e2e/test_responses.py::test_the_parse_helper_of_the_client_gets_its_model",
        "metadata": f"{_RESPONSES}::test_a_response_repeats_what_was_asked_for",
        **_shown_by(
            "e2e/test_logprobs.py::test_over_responses_the_entries_are_the_same_whole_and_streamed",
            ("include", "top_logprobs"),
        ),
        "store": "e2e/test_stored_responses.py::test_a_cut_answer_can_be_read_and_continued_unless_it_is_not_stored",
        "previous_response_id": (
            "e2e/test_stored_responses.py::test_a_conversation_is_continued_by_the_id_of_its_last_response"
        ),
    },
    MessagesRequest: {
        **_shown_by(_MESSAGE_SAMPLING, ("temperature", "top_p", "top_k", "metadata", "output_config")),
        **_shown_by("e2e/test_messages.py::test_a_message_is_answered_whole_and_streamed", ("model", "stream")),
        "messages": f"{_MESSAGES}::test_results_become_tool_messages_and_the_texts_around_them_user_messages",
        "system": f"{_MESSAGES}::test_system_text_and_blocks_come_first",
        "tools": "e2e/test_messages.py::test_a_call_and_its_result_are_a_conversation",
        "tool_choice": f"{_MESSAGES}::test_every_tool_choice_has_its_counterpart",
        **_shown_by(
            "e2e/test_messages.py::test_stops_and_limits_end_an_answer_and_say_so", ("max_tokens", "stop_sequences")
        ),
        "output_format": f"{_MESSAGES}::test_other_fields_of_the_contract_have_their_name_in_this_api",
    },
}
_ACCEPTED: Final = "unit/edge/test_fields.py::test_a_field_without_effect_is_accepted_and_named_if_its_loss_matters"
# Of every field that is treated so.
_OTHERS: Final = {
    Treatment.REFUSED: "unit/edge/test_fields.py::test_any_other_value_of_an_unsupported_field_is_refused_by_name",
    Treatment.WITHOUT_EFFECT: _ACCEPTED,
    Treatment.REPORTED: _ACCEPTED,
}


def shown_by(kind: type[msgspec.Struct], name: str, known: Known) -> str:
    """The test of a field; KeyError if an honoured one has none."""
    return HONOURED[kind][name] if known.treatment is Treatment.HONOURED else _OTHERS[known.treatment]

"""Every bound on what callers may send or hold: its value in the code, what happens beyond it, and the test of that."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

from services.settings import Settings, variable

_ENVOY: Final = (Path(__file__).parents[2] / "edge" / "envoy" / "envoy.yaml").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound; `source` is `module:CONSTANT`, `setting:field` or `envoy:key`, and `test` is below `tests/`."""

    what: str
    source: str
    unit: str
    beyond: str
    test: str

    @property
    def value(self) -> str:
        """The bound in words, with the setting that changes it; LookupError or AttributeError if it is not there."""
        place, _, name = self.source.partition(":")
        if place == "setting":
            return f"{_words(getattr(Settings(), name), self.unit)} (`{variable(name)}`)"
        if place == "envoy":
            found = re.search(rf"^ *(?:- )?{name}: (\d+)", _ENVOY, re.MULTILINE)
            if found is None:
                raise LookupError(f"envoy.yaml has no {name}")
            return _words(int(found.group(1)), self.unit)
        return _words(getattr(import_module(place), name), self.unit)


def _words(value: float, unit: str) -> str:
    if unit == "bytes":
        for name, size in (("MiB", 2**20), ("KiB", 2**10)):
            if value >= size and value % size == 0:
                return f"{value // size:,.0f} {name}"
    return f"{value:,} {unit}".rstrip()


BOUNDS: Final = (
    Bound(
        "connections",
        "envoy:max_active_downstream_connections",
        "",
        "closed",
        "e2e/test_connection_limit.py::test_connections_beyond_the_limit_are_closed_and_the_others_are_served",
    ),
    Bound(
        "headers of a request",
        "envoy:max_request_headers_kb",
        "KiB",
        "431",
        "e2e/hostile/test_headers.py::test_what_is_no_proper_http_is_refused_in_the_envelope",
    ),
    Bound(
        "header lines",
        "envoy:max_headers_count",
        "",
        "431",
        "e2e/hostile/test_headers.py::test_what_is_no_proper_http_is_refused_in_the_envelope",
    ),
    Bound(
        "a unary call over Connect",
        "envoy:per_connection_buffer_limit_bytes",
        "bytes",
        "413",
        "e2e/test_web_calls.py::test_a_unary_connect_call_may_have_256_kib_and_a_stream_more",
    ),
    Bound(
        "time for the headers",
        "envoy:request_headers_timeout",
        "s",
        "408",
        "e2e/hostile/test_headers.py::test_headers_that_come_byte_by_byte_are_408_while_others_are_served",
    ),
    Bound(
        "time for the body",
        "envoy:request_timeout",
        "s",
        "408",
        "e2e/hostile/test_headers.py::test_bodies_that_come_byte_by_byte_are_408_while_others_are_served",
    ),
    Bound(
        "silence of a REST call in both directions",
        "envoy:stream_idle_timeout",
        "s",
        "504, or the stream ends",
        "e2e/test_silence.py::test_an_unstreamed_call_over_rest_ends_at_envoys_limit_with_an_envelope_that_forbids_a_retry",
    ),
    Bound(
        "metadata of an RPC",
        "services.settings:MAX_METADATA_BYTES",
        "bytes",
        "431, RESOURCE_EXHAUSTED",
        "unit/edge/test_app.py::test_a_key_too_long_for_the_chat_server_is_not_our_failure",
    ),
    Bound(
        "body of a request",
        "services.settings:MAX_BODY_BYTES",
        "bytes",
        "413",
        "unit/edge/test_app.py::test_a_chunked_body_is_counted_as_it_comes",
    ),
    Bound(
        "gRPC message",
        "services.settings:MAX_MESSAGE_BYTES",
        "bytes",
        "RESOURCE_EXHAUSTED",
        "e2e/hostile/test_rpcs.py::test_a_message_beyond_the_limit_is_resource_exhausted_compressed_or_not",
    ),
    Bound(
        "fields of a gRPC message, those of the messages in it included",
        "services.limits:MAX_MESSAGE_FIELDS",
        "",
        "INVALID_ARGUMENT",
        "unit/chat/test_parsing.py::test_a_message_with_more_fields_than_the_limit_is_refused_before_it_is_parsed",
    ),
    Bound(
        "large REST requests that wait to be decoded, in an edge worker",
        "edge.endpoints.gate:MAX_WAITING_BYTES",
        "bytes",
        "503 with `Retry-After`",
        "unit/edge/test_gate.py::test_large_bodies_wait_for_the_decoder_up_to_a_limit_in_bytes",
    ),
    Bound(
        "JSON values of a REST request",
        "edge.api.json_size:MAX_JSON_VALUES",
        "",
        "400, not decoded",
        "unit/edge/test_json_size.py::test_a_body_with_too_many_values_in_any_field_is_refused_undecoded",
    ),
    Bound(
        "arrays and objects of a REST request, and members of objects",
        "edge.api.json_size:MAX_JSON_STRUCTURE",
        "",
        "400, not decoded",
        "unit/edge/test_json_size.py::test_a_body_with_too_many_values_in_any_field_is_refused_undecoded",
    ),
    Bound(
        "messages, content parts, tools and tool calls of a REST request, in all",
        "services.limits:MAX_REQUEST_ITEMS",
        "",
        "400",
        "unit/edge/test_gate.py::test_messages_parts_calls_and_tools_are_counted_before_they_are_decoded",
    ),
    Bound(
        "short texts of header fields that an edge worker remembers, none of them a key",
        "edge.http2.field_decoder:_MOST_KEPT",
        "",
        "decoded again",
        "unit/edge/test_http2_field_decoder.py::test_the_memory_of_texts_is_bounded",
    ),
    Bound(
        "accepted keys that an edge worker remembers",
        "edge.endpoints.gate:_MOST_KEYS",
        "",
        "the oldest is asked about again",
        "unit/edge/test_gate.py::test_the_memory_of_keys_is_bounded",
    ),
    Bound(
        "prompts of a text completion",
        "services.limits:MAX_PROMPTS",
        "",
        "400",
        "e2e/test_completions.py::test_what_cannot_be_done_is_refused_by_name",
    ),
    Bound(
        "`stop` texts, and `stop_token_ids`",
        "services.limits:MAX_STOPS",
        "",
        "400",
        "unit/chat/test_validation.py::test_a_wrong_field_is_refused_under_its_path_even_if_the_engine_can_do_everything",
    ),
    Bound(
        "`logit_bias` entries",
        "services.limits:MAX_LOGIT_BIASES",
        "",
        "400",
        "unit/chat/test_validation.py::test_a_wrong_field_is_refused_under_its_path_even_if_the_engine_can_do_everything",
    ),
    Bound(
        "size of a JSON schema",
        "services.chat.grammar.schema:_LARGEST",
        "characters",
        "400",
        "e2e/test_structured.py::test_a_schema_beyond_the_limits_is_refused",
    ),
    Bound(
        "messages, content parts, tools and tool calls of a request, in all",
        "services.limits:MAX_REQUEST_ITEMS",
        "",
        "400",
        "unit/chat/test_validation.py::test_more_items_than_a_request_may_have_are_refused",
    ),
    Bound(
        "JSON in a text field: tool parameters, a schema",
        "services.limits:MAX_JSON_CHARACTERS",
        "characters",
        "400",
        "unit/test_json_text.py::test_a_text_that_cannot_be_used_is_refused_under_its_field",
    ),
    Bound(
        "depth of that JSON",
        "services.limits:MAX_JSON_DEPTH",
        "levels",
        "400",
        "unit/test_json_text.py::test_a_text_that_cannot_be_used_is_refused_under_its_field",
    ),
    Bound(
        "values of an `enum`",
        "services.chat.grammar.schema:_LONGEST_ENUM",
        "",
        "400",
        "e2e/test_structured.py::test_a_schema_beyond_the_limits_is_refused",
    ),
    Bound(
        "size of a grammar text",
        "services.chat.grammar.structured:_LONGEST_LARK",
        "characters",
        "400",
        "unit/chat/test_structured.py::test_a_grammar_that_is_missing_or_too_long_is_refused",
    ),
    Bound(
        "CPU time to compile the schemas of a request",
        "services.chat.grammar.trial:MOST_SECONDS",
        "s",
        "400; the process is killed",
        "unit/chat/test_compiler.py::test_a_slow_schema_is_refused_by_name_and_the_next_one_is_tried",
    ),
    Bound(
        "queue",
        "setting:max_queue",
        "sequences",
        "503 with `Retry-After`",
        "unit/chat/test_admission.py::test_a_full_queue_refuses_everybody",
    ),
    Bound(
        "queue, in tokens",
        "setting:max_queue_tokens",
        "tokens",
        "503 with `Retry-After`",
        "unit/chat/test_admission.py::test_tokens_that_wait_are_bounded_with_a_share_for_every_caller",
    ),
    Bound(
        "wait of a flex call for an idle slot",
        "setting:flex_wait",
        "s",
        "429 with `Retry-After`",
        "e2e/test_service_tiers.py::test_a_flex_call_that_finds_no_idle_slot_is_refused_whole_and_streamed_alike",
    ),
    Bound(
        "uploaded file",
        "setting:max_file_bytes",
        "bytes",
        "413",
        "e2e/test_batches.py::test_a_file_that_is_too_large_or_no_form_is_refused",
    ),
    Bound(
        "age of a file",
        "setting:file_days",
        "days",
        "it is deleted",
        "unit/batches/test_storage.py::test_old_files_are_removed_unless_a_batch_reads_them_and_so_is_what_an_interrupted_write_left",
    ),
    Bound(
        "log probabilities of a response, candidates included: `max_output_tokens` times 1 + `top_logprobs`",
        "edge.responses.request:MAX_LOGPROBS",
        "",
        "400",
        "unit/edge/test_responses.py::test_log_probabilities_are_asked_for_by_include",
    ),
    Bound(
        "age of a stored response",
        "setting:response_days",
        "days",
        "it is not served, and deleted; with 0 none is stored",
        "unit/responses/test_response_store.py::test_an_old_response_is_not_served_and_then_removed",
    ),
    Bound(
        "responses that a request continues",
        "services.responses.response_store:MAX_DEPTH",
        "",
        "400",
        "unit/responses/test_response_store.py::test_a_longer_conversation_than_the_bounds_is_refused_by_name",
    ),
    Bound(
        "the JSON of those",
        "services.responses.response_store:MAX_CONVERSATION_CHARACTERS",
        "characters",
        "400",
        "unit/responses/test_response_store.py::test_a_longer_conversation_than_the_bounds_is_refused_by_name",
    ),
    Bound(
        "the JSON of a stored response and of its input",
        "services.responses.write_queue:MAX_CHARACTERS",
        "characters",
        "not stored; the answer has `store` false",
        "unit/responses/test_response_store.py::test_more_than_may_wait_and_a_response_that_is_too_large_are_not_stored",
    ),
    Bound(
        "the JSON of responses that wait for the database, in an edge worker",
        "services.responses.write_queue:MAX_WAITING_CHARACTERS",
        "characters",
        "not stored; 503 with `Retry-After` for `store` true",
        "unit/responses/test_write_queue.py::test_a_database_that_stands_still_makes_others_wait_up_to_a_bound",
    ),
    Bound(
        "wait of the end of an answer for the database",
        "edge.responses.keeping:MOST_SECONDS",
        "s",
        "not stored; the answer has `store` false",
        "unit/edge/test_stored_responses.py::test_a_database_that_stands_still_delays_the_end_of_an_answer_and_no_more",
    ),
    Bound(
        "lines of a batch",
        "services.batches.input_file:MOST_LINES",
        "lines",
        "400",
        "unit/batches/test_line.py::test_more_lines_than_a_batch_may_have_are_refused",
    ),
    Bound(
        "line of a batch",
        "services.batches.input_file:MOST_LINE_BYTES",
        "bytes",
        "400",
        "unit/batches/test_line.py::test_a_line_that_is_too_large_is_refused",
    ),
    Bound(
        "time of a batch",
        "services.batches.batch_store:WINDOW_SECONDS",
        "s",
        "`expired`; lines without an answer are in the error file",
        "unit/batches/test_storage.py::test_a_batch_whose_time_ends_has_an_error_for_every_line_that_was_not_run",
    ),
    Bound(
        "unread text of a streamed answer, chat server",
        "services.chat.answer.outbox:MOST_UNREAD",
        "bytes",
        "the call ends: `slow_reader`",
        "unit/chat/test_slow_reader.py::test_a_caller_who_does_not_read_gets_an_error_and_frees_the_engine",
    ),
    Bound(
        "unread text of a streamed answer, edge",
        "edge.http.event_stream:MAX_UNSENT",
        "bytes",
        "the call ends: `slow_reader`",
        "unit/edge/test_event_stream.py::test_a_client_that_does_not_read_may_leave_so_many_bytes_and_no_more",
    ),
    Bound(
        "echo of a prompt in all choices, and text of token ids",
        "services.chat.request.input_processor:MAX_TEXT_BYTES",
        "bytes",
        "400",
        "unit/chat/test_input_processor.py::test_an_echo_beyond_the_limit_is_refused",
    ),
    Bound(
        "log probabilities of an echoed prompt, candidates included, in all choices",
        "services.chat.request.input_processor:MAX_SCORES",
        "",
        "400",
        "unit/chat/test_input_processor.py::test_more_log_probabilities_of_a_prompt_than_the_limit_are_refused",
    ),
    Bound(
        "answer of the unary RPC `Chat`; REST and `StreamChat` have no such bound",
        "services.chat.transport.servicers:MAX_ANSWER_BYTES",
        "bytes",
        "RESOURCE_EXHAUSTED, `ANSWER_TOO_LARGE`",
        "e2e/test_large_answers.py::test_over_grpc_an_answer_that_fits_into_no_message_is_refused_by_name_and_counted",
    ),
    Bound(
        "time without reading",
        "setting:reader_timeout",
        "s",
        "the call ends: `slow_reader`",
        "unit/chat/test_slow_reader.py::test_a_caller_who_does_not_read_gets_an_error_and_frees_the_engine",
    ),
    Bound(
        "names in `x-ignored-parameters`",
        "edge.http.ignored:_MOST_NAMES",
        "",
        "cut",
        "unit/edge/test_app.py::test_however_many_fields_are_unknown_the_header_stays_below_a_proxys_limit",
    ),
    Bound(
        "message of an error",
        "services.chat.transport.status:_MAX_MESSAGE_BYTES",
        "bytes",
        "cut",
        "unit/chat/test_status.py::test_a_long_message_is_cut_and_says_so",
    ),
    Bound(
        "spans in one message to a collector",
        "services.telemetry.span_exporter:MOST_SPANS",
        "",
        "sent in several messages",
        "unit/telemetry/test_span_exporter.py::test_a_message_has_no_more_spans_than_a_batch_whatever_a_record_holds",
    ),
    Bound(
        "label combinations of a metric",
        "services.telemetry.histogram:MOST_SERIES",
        "",
        "counted together",
        "unit/telemetry/test_histogram.py::test_labels_beyond_the_bound_are_counted_together",
    ),
    Bound(
        "a scoped token",
        "services.accounts.keys.scoped_token:MAX_TOKEN_BYTES",
        "bytes",
        "401",
        "unit/accounts/test_tokens.py::test_a_token_that_is_not_valid_is_refused_with_the_reason",
    ),
    Bound(
        "time until a scoped token ends",
        "services.accounts.keys.scoped_token:MOST_DAYS",
        "days",
        "401; 400 when it is made",
        "unit/accounts/test_tokens.py::test_a_token_that_is_not_valid_is_refused_with_the_reason",
    ),
    Bound(
        "verified keys that a server remembers, each with an endpoint",
        "services.chat.transport.known_callers:MOST_CALLERS",
        "",
        "verified again",
        "unit/chat/test_authentication.py::test_the_memory_of_verified_keys_is_bounded",
    ),
    Bound(
        "valid scoped tokens that a server remembers",
        "services.accounts.keys.token_signature:MOST_REMEMBERED",
        "",
        "verified again",
        "unit/accounts/test_tokens.py::test_the_memory_of_tokens_is_bounded",
    ),
    Bound(
        "owner of a key",
        "services.accounts.keys.key:_LONGEST_OWNER",
        "characters",
        "INVALID_ARGUMENT",
        "unit/accounts/test_admin_services.py::test_what_is_wrong_is_named",
    ),
    Bound(
        "scoped tokens whose spending a server remembers",
        "services.accounts.limiting.spending:MOST_TOKENS",
        "",
        "read from the ledger again",
        "unit/accounts/test_limits.py::test_many_tokens_are_forgotten_but_none_with_a_call",
    ),
    Bound(
        "keys in a page of `ListKeys`",
        "services.chat.accounts.key_servicer:MOST_KEYS",
        "",
        "INVALID_ARGUMENT",
        "unit/accounts/test_admin_services.py::test_what_is_wrong_is_named",
    ),
    Bound(
        "ledger rows that wait for the database",
        "services.accounts.ledger.journal:MAX_BYTES",
        "bytes",
        "logged only, and counted",
        "unit/accounts/test_ledger.py::test_a_journal_that_is_full_says_what_is_lost",
    ),
    Bound(
        "calls in the file of open calls",
        "services.accounts.ledger.open_calls:MOST_CALLS",
        "",
        "no row if the server is killed",
        "unit/accounts/test_open_calls.py::test_calls_beyond_the_bound_and_rows_that_fit_no_slot_are_not_kept",
    ),
    Bound(
        "owners of keys with a metric each",
        "services.chat.accounting.owner_costs:MOST_OWNERS",
        "",
        "counted together",
        "unit/chat/test_owner_costs.py::test_owners_beyond_the_bound_share_one_series",
    ),
    Bound(
        "pairs of a key and a limit in the metric of refusals",
        "services.accounts.limiting.limiter:MOST_REFUSED",
        "",
        "counted together",
        "unit/accounts/test_limits.py::test_refusals_of_more_keys_than_are_counted_are_counted_together",
    ),
    Bound(
        "budgets in the metrics",
        "services.accounts.limiting.budgets:MOST_SHOWN",
        "",
        "those of which most is spent",
        "unit/accounts/test_limits.py::test_the_budgets_that_are_spent_most_are_known_by_their_share",
    ),
)

"""The table of request fields: honoured, accepted without effect, or refused unless their value is neutral.

The decoder's checks, the tables of `edge/README.md` and `/openapi.json` are made from it. It has every field of OpenAI,
vLLM, SGLang, llama.cpp's server and TensorRT-LLM's server whose loss would change the response. Other fields are
unknown: accepted, and named in the response header `x-ignored-parameters`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from edge.api.fields import Known, honoured, refused, reported, without_effect
from edge.openai.request_schema import (
    ChatCompletionRequest,
    CompletionRequest,
    DetokenizeRequest,
    MessageBody,
    StreamOptionsBody,
    StructuredOutputsBody,
    TokenizeRequest,
)
from services.limits import MAX_LOGIT_BIASES, MAX_PROMPTS, MAX_REQUEST_ITEMS, MAX_STOPS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import msgspec

_GENERATION: Final[dict[str, Known]] = {
    "model": honoured("required", "a served model or one of its aliases"),
    "stream": honoured("false", "answer as server-sent events"),
    "stream_options": honoured("", "see below"),
    "temperature": honoured("0 to 2, 1", "0 is greedy"),
    "top_p": honoured("above 0 to 1, 1", "smallest set of tokens whose probabilities sum to this"),
    "top_k": honoured("0 to 999, 0", "this many of the most probable tokens; 0 and -1 are off"),
    "min_p": honoured("0 to 1, 0", "drops tokens less probable than this share of the best one"),
    "repetition_penalty": honoured("0.01 to 5, 1", "divides the logits of tokens that the prompt or the answer holds"),
    "presence_penalty": honoured("-2 to 2, 0", "subtracted once from the logits of tokens that the answer holds"),
    "frequency_penalty": honoured("-2 to 2, 0", "the same, for each time that the answer holds the token"),
    "seed": honoured("-2^63 to 2^63 - 1", "makes sampling repeatable as far as the engine can; -1 is a random one", -1),
    "logit_bias": honoured(f"-100 to 100, up to {MAX_LOGIT_BIASES} tokens", "token id to bias"),
    "max_tokens": honoured(
        "0 or more",
        "most tokens per choice; more than the context leaves is clamped. "
        "0: an empty answer with the prompt's usage. Default: what the context leaves, "
        "up to `CHASQUI_DEFAULT_MAX_TOKENS`",
    ),
    "min_tokens": honoured(
        "0 to `max_tokens`, 0",
        "no end-of-turn token before this many tokens; on llama.cpp not beside structured output, forced calls and "
        "strict tools",
    ),
    "stop": honoured(
        f"up to {MAX_STOPS} texts",
        "end the answer and are not part of it; the answer's `stop_reason` names the one that matched. "
        "Empty texts are dropped",
    ),
    "stop_token_ids": honoured(
        "up to 16 ids", "tokens that end the answer; on llama.cpp at the cost of computing log probabilities"
    ),
    "ignore_eos": honoured(
        "false", "end-of-turn tokens do not end the answer; not beside structured output, forced calls or strict tools"
    ),
    "n": honoured("1 to 4, 1", "number of choices; at most `CHASQUI_PARALLEL`"),
    "response_format": honoured(
        "text",
        "text, json_object (a `schema` may be beside it) or json_schema. At most one of this and the next nine",
    ),
    "structured_outputs": honoured("", "vLLM's: one of `json`, `json_object`, `choice`, `regex` and `grammar`"),
    "guided_json": honoured("", "vLLM's: a JSON schema, as an object or as its text"),
    "guided_choice": honoured("", "vLLM's: the texts of which the answer is one"),
    "guided_regex": honoured("", "vLLM's: a regular expression that matches the whole answer", ""),
    "guided_grammar": honoured("", "vLLM's: a grammar in llguidance's Lark, or in EBNF as the next two", ""),
    "grammar": honoured(
        "", "llama.cpp's: a grammar in GBNF; where one of its literals begins with another, see below", ""
    ),
    "ebnf": honoured("", "SGLang's: the same", ""),
    "json_schema": honoured("", "llama.cpp's and SGLang's: a JSON schema, as an object or as its text", {}),
    "regex": honoured("", "SGLang's: a regular expression that matches the whole answer", ""),
    "service_tier": honoured(
        "auto, default, priority or flex; auto",
        "auto is default. priority runs before other calls, at a higher price; flex in slots that nothing else waits "
        "for, at a lower one, and is refused after `CHASQUI_FLEX_WAIT`. The answer names the tier that served it",
    ),
    "user": honoured("", "the end user's id; recorded hashed on the call's span"),
}

_WITHOUT_EFFECT: Final = without_effect(
    *("metadata", "prompt_cache_key", "prompt_cache_retention", "safety_identifier"),  # OpenAI
    *("priority", "request_id", "guided_decoding_backend", "kv_transfer_params", "return_tokens_as_token_ids"),  # vLLM
    *("rid", "separate_reasoning", "stream_reasoning", "data_parallel_rank"),  # SGLang
    *("cache_prompt", "id_slot", "timings_per_token", "reasoning_format"),  # llama.cpp
    *("include_reasoning", "detokenize"),  # vLLM, TensorRT-LLM
)

_USE_MAX_TOKENS: Final = "Use max_tokens."
# Neutral values are the defaults of the servers that have the field.
_REFUSED: Final[dict[str, Known]] = {
    "best_of": refused(1),
    "store": refused(False),
    # vLLM
    "use_beam_search": refused(False),
    "length_penalty": refused(1),
    "include_stop_str_in_output": refused(False),
    "skip_special_tokens": refused(True),
    "spaces_between_special_tokens": refused(True),
    "truncate_prompt_tokens": refused(-1),
    "prompt_logprobs": refused(0),
    "allowed_token_ids": refused(),
    "bad_words": refused([]),
    "add_special_tokens": refused(False),
    "return_token_ids": refused(False),
    "cache_salt": refused(""),
    "logits_processors": refused([]),
    "thinking_token_budget": refused(-1),
    "repetition_detection": refused({}),
    "vllm_xargs": refused({}),
    "structural_tag": refused(""),
    "guided_whitespace_pattern": refused(),
    # SGLang
    "stop_regex": refused("", []),
    "no_stop_trim": refused(False),
    "custom_logit_processor": refused(""),
    "custom_params": refused({}),
    "lora_path": refused(""),
    "session_params": refused({}),
    "return_hidden_states": refused(False),
    "return_routed_experts": refused(False),
    "input_ids": refused([]),
    # llama.cpp
    "n_predict": refused(-1, hint=_USE_MAX_TOKENS),
    "n_probs": refused(0, hint="Use logprobs."),
    "n_indent": refused(0),
    "n_keep": refused(0),
    "min_keep": refused(0),
    "t_max_predict_ms": refused(0, -1),
    "dynatemp_range": refused(0),
    "top_n_sigma": refused(-1),
    "typical_p": refused(1),
    "tfs_z": refused(1),
    "xtc_probability": refused(0),
    "dry_multiplier": refused(0),
    "mirostat": refused(0),
    "repeat_penalty": refused(1, hint="Use repetition_penalty."),
    "samplers": refused([]),
    "post_sampling_probs": refused(False),
    "response_fields": refused([]),
    "return_tokens": refused(False),
    "lora": refused([]),
    # TensorRT-LLM
    "early_stopping": refused(0, False),
    "no_repeat_ngram_size": refused(0),
    "top_p_min": refused(0),
    "top_p_decay": refused(1),
    "prompt_ignore_length": refused(0),
    "embedding_bias": refused(),
    "lora_request": refused(),
    "return_context_logits": refused(False),
    "return_generation_logits": refused(False),
    "disaggregated_params": refused(),
    # Text of the conversation or of its template.
    "documents": refused([]),
    "chat_template": refused(""),
    "chat_template_kwargs": refused(
        *({name: value} for name in ("enable_thinking", "thinking") for value in (False, True)), {}
    ),
}

FIELDS: Final[Mapping[type[msgspec.Struct], Mapping[str, Known]]] = {
    ChatCompletionRequest: _GENERATION
    | {
        "messages": honoured(
            "required, at least one",
            "roles system, developer, user, assistant, tool, in any order; `content` is text or text parts, "
            f"joined with nothing between them. At most {MAX_REQUEST_ITEMS:,} messages, parts, tools and calls in all",
        ),
        "max_completion_tokens": honoured("0 or more", "the same as `max_tokens`, and wins over it"),
        "logprobs": honoured(
            "false",
            "log probabilities of the tokens; beside tools that may be called, of the content before the first call",
        ),
        "top_logprobs": honoured("0 to 20, 0", "most probable tokens at each position; needs `logprobs`"),
        "tools": honoured("", "functions that the model may call"),
        "tool_choice": honoured(
            "auto with tools, else none", "auto, none, required, a named function, or `allowed_tools`"
        ),
        "parallel_tool_calls": honoured("true", "false ends the answer after the first call"),
        "continue_final_message": honoured(
            "false",
            "the answer continues the last message, which must be the assistant's, and does not repeat it. Without it "
            "a last assistant message is a whole turn, and another one begins. Not beside structured output, forced "
            "calls and strict tools",
        ),
        "add_generation_prompt": honoured("true", "false with `continue_final_message`, as vLLM's callers send it"),
        "reasoning_effort": reported("none"),
        "verbosity": refused("medium"),
        "modalities": refused(["text"]),
        "audio": refused(),
        "prediction": refused(),
        "web_search_options": refused(),
        "functions": refused([], hint="Use tools."),
        "function_call": refused("none", "auto", hint="Use tool_choice."),
        "echo": refused(False),
        "prompt": refused("", [], hint="Use messages."),
    }
    | _WITHOUT_EFFECT
    | _REFUSED,
    CompletionRequest: _GENERATION
    | {
        "prompt": honoured(
            "required",
            f"a text, up to {MAX_PROMPTS} texts, token ids, or lists of token ids. Special tokens written out in a "
            "text prompt are tokenized as ordinary text; to send one, send its id",
        ),
        "max_tokens": honoured("0 or more, 16", "most tokens per choice; more than the context leaves is clamped"),
        "echo": honoured(
            "false",
            "the answer begins with the prompt; with `logprobs`, so do the columns: the first token has null, and "
            "special tokens have an empty text. Not with `logprobs` on TensorRT-LLM, nor over 131,072 of them",
        ),
        "logprobs": honoured("0 to 20", "log probabilities, and this many of the most probable tokens", False),
        "suffix": refused(""),
        "prompt_embeds": refused(),
    }
    | _WITHOUT_EFFECT
    | _REFUSED,
    StreamOptionsBody: {
        "include_usage": honoured(
            "", "true: usage in a last chunk of its own; false: none; default: in the last chunk"
        ),
        "include_timings": honoured("false", "times in the chunk that has the usage, or in the last one"),
        "continuous_usage_stats": honoured(
            "false",
            "the usage so far in every chunk: the counts of prompt and completion; not with `include_usage` false",
        ),
    }
    | without_effect("include_obfuscation"),
    StructuredOutputsBody: {
        "json": honoured("", "a JSON schema, as an object or as its text"),
        "json_object": honoured("false", "any JSON object"),
        "choice": honoured("", "the texts of which the answer is one"),
        "regex": honoured("", "a regular expression that matches the whole answer"),
        "grammar": honoured("", "a grammar in llguidance's Lark, or in GBNF"),
        "structural_tag": refused(""),
        "whitespace_pattern": refused(),
    }
    | without_effect("disable_fallback", "disable_any_whitespace", "disable_additional_properties"),
    TokenizeRequest: {
        "model": honoured("required", "a served model or one of its aliases"),
        "prompt": honoured("this or messages", "the text"),
        "messages": honoured("this or prompt", "a chat, rendered with the model's template"),
        "tools": honoured("", "those of the chat"),
        "add_special_tokens": honoured("true", "the begin-of-text token before a text; a template has its own"),
        "return_token_strs": honoured("false", "the text of each token by itself"),
        "continue_final_message": honoured("false", "the last message of the chat stays open"),
        "add_generation_prompt": honoured("true", "false with `continue_final_message`"),
        "chat_template": refused(""),
        "chat_template_kwargs": refused({}),
    },
    DetokenizeRequest: {
        "model": honoured("required", "a served model or one of its aliases"),
        "tokens": honoured("required", "token ids"),
    },
    # OpenAI's own responses have these; clients send them back as history.
    MessageBody: {"audio": refused(), "function_call": refused()} | without_effect("refusal", "annotations"),
}

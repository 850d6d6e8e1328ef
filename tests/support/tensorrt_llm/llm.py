"""The double's `LLM` classes: exact in what they take, what they refuse, and what they ignore."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.engine.model.byte_level import tokenizer_from_checkpoint
from services.engine.model.checkpoint import read_checkpoint
from tests.support.tensorrt_llm import table
from tests.support.tensorrt_llm.executor import Executor
from tests.support.tensorrt_llm.guided import GuidedChoice
from tests.support.tensorrt_llm.language_model import LanguageModel
from tests.support.tensorrt_llm.output import RequestError, RequestOutput
from tests.support.tensorrt_llm.parameters import set_up
from tests.support.tensorrt_llm.sampler import EAGLE3, EAGLE3_GREEDY, IN_CPP, LATER, NGRAM, TORCH, RequestSampler, Rules
from tests.support.tensorrt_llm.stats import IterationResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.tensorrt_llm.release import Release


def load_for_ever() -> None:
    """As workers do that are started for a large model: this process waits for one of its own."""
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(f"loading in process {worker.pid}", file=sys.stderr, flush=True)  # noqa: T201 - tests wait for it
    threading.Event().wait()


class Llm:
    """What both back ends share. `arguments` are the fields that this back end's argument class has."""

    release: Release
    arguments: Mapping[str, Any]
    compiled = False

    def __init__(  # noqa: PLR0913, RUF100 - the real signature
        self,
        model: str,
        tokenizer: str | None = None,
        tokenizer_mode: str = "auto",
        skip_tokenizer_init: bool = False,
        trust_remote_code: bool = False,
        tensor_parallel_size: int = 1,
        dtype: str = "auto",
        revision: str | None = None,
        tokenizer_revision: str | None = None,
        **kwargs: Any,
    ) -> None:
        self._check_arguments(kwargs)
        if self.release.load_error is not None:
            raise self.release.load_error
        if self.release.loads_for_ever:
            load_for_ever()
        self._given = dict(self.arguments) | kwargs
        self.args = self.release.arguments_class(self.compiled)(**self._given)
        self._checkpoint = read_checkpoint(Path(tokenizer or model))
        self._tokenizer_json = json.dumps(self._checkpoint.tokenizer)
        self._max_seq_len = self._given["max_seq_len"] or self._checkpoint.context_length
        self._ids = itertools.count(1)
        plain = tokenizer_from_checkpoint(self._checkpoint).plain_ids()
        self.model = LanguageModel(plain, self._checkpoint.vocabulary_size, self._checkpoint.end_ids[0])
        self._rules = self._sampler_rules()
        self._shared_source = random.Random()  # noqa: S311 - no secret
        self._executor: Executor | None = Executor(
            self._given["max_batch_size"] or 2048,
            includes_end=not self.compiled,
            perf=self._given["return_perf_metrics"],
        )
        self.faults = self._executor.faults
        self.submitted: list[dict[str, Any]] = []  # what generate_async got, for tests to look at
        self._stats: IterationResult | None = None
        self.release.llms.append(self)

    def generate_async(
        self,
        inputs: Any,
        sampling_params: Any = None,
        lora_request: Any = None,
        prompt_adapter_request: Any = None,
        streaming: bool = False,
        kv_cache_retention_config: Any = None,
        disaggregated_params: Any = None,
        trace_headers: Any = None,
        _postproc_params: Any = None,
        scheduling_params: Any = None,
        cache_salt: str | None = None,
    ) -> RequestOutput:
        """Queue a request; a plain function that must be called in the loop's thread."""
        if self._executor is None or self._executor.is_shutdown():
            raise RuntimeError("LLM is shutting down")
        prompt = self._prompt(inputs)
        params = sampling_params if sampling_params is not None else self.release.sampling_params_class()
        if not isinstance(params, self.release.sampling_params_class):
            raise TypeError(f"Expected SamplingParams, got {type(params)}")
        if self.faults.at_submit is not None:
            error, self.faults.at_submit = self.faults.at_submit, None
            raise error
        set_up(params, self._checkpoint.end_ids[0], self._checkpoint.end_ids)
        room = self._max_seq_len - len(prompt)
        self._check(prompt, params, room)
        self._executor.bind()
        result = RequestOutput(self._executor, next(self._ids), prompt, params)
        result.trace_headers = trace_headers
        self.submitted.append({"params": params, "trace_headers": trace_headers, "prompt": prompt, "result": result})
        max_tokens = room if params.max_tokens is None else min(params.max_tokens, room)
        sampler = RequestSampler(self._rules, self.model, prompt, params, self._guide(params), self._shared_source)
        self._executor.submit(result, max_tokens, sampler)
        return result

    def graph_for(self, batch: int) -> int | None:
        """The size of the CUDA graph that a decode step of `batch` sequences runs in; None without a graph."""
        config = self._given["cuda_graph_config"] or self.release.cuda_graph_config_class()
        most = config.max_batch_size or 128
        sizes = [1, 2, 4, *range(8, 129, 8)] if config.enable_padding else [*range(1, 33), 64, 128]
        sizes = [size for size in sizes if size < most] + [most]
        if config.enable_padding:
            return min((size for size in sizes if size >= batch), default=None)
        return batch if batch in sizes else None

    def get_stats_async(self, timeout: float | None = 2) -> IterationResult:
        """The one queue of iteration statistics."""
        if self._stats is None:
            enabled = self.compiled or self._given.get("enable_iter_perf_stats", False)
            self._stats = IterationResult(self._executor if enabled else None)
        return self._stats.with_timeout(timeout)

    def shutdown(self) -> None:
        """Blocks until the worker is gone, for ever if it does not go."""
        if self.faults.hang_at_shutdown:
            threading.Event().wait()
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.stop()

    def _check_health(self) -> bool:
        return self._executor is not None and not self._executor.is_shutdown()

    def __enter__(self) -> Llm:
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()

    def _check_arguments(self, given: Mapping[str, Any]) -> None:
        for key in given:
            if not self.compiled and key in table.TENSORRT_ONLY:
                raise ValueError(f"{key} belongs to tensorrt_llm._tensorrt_engine.LLM")
            if key not in self.arguments:
                raise ValueError(f"LLM got invalid argument: {key}")
        if given.get("sampler_type") == "TRTLLMSampler" and not self.release.has_cpp_sampler:
            raise ValueError("TRTLLMSampler was removed")

    def _sampler_rules(self) -> Rules:
        """What samples: drafts are verified by the PyTorch sampler, and those of Eagle3 in one model by the model."""
        drafts = self._given["speculative_config"]
        if self.compiled or self._given["sampler_type"] == "TRTLLMSampler":
            return IN_CPP
        if drafts is not None and getattr(drafts, "eagle3_one_model", False):
            return EAGLE3 if getattr(drafts, "allow_advanced_sampling", False) else EAGLE3_GREEDY
        if drafts is not None:
            return NGRAM
        return TORCH if self.release.has_cpp_sampler else LATER

    def _prompt(self, inputs: Any) -> list[int]:
        if isinstance(inputs, dict) and set(inputs) == {"prompt_token_ids"}:
            inputs = inputs["prompt_token_ids"]
        if not isinstance(inputs, list):
            raise TypeError(f"The inputs must be ids, got {type(inputs)}")
        if not inputs or type(inputs[0]) is not int:
            raise AssertionError("prompt_token_ids must be a list of int that is not empty")
        return inputs

    def _check(self, prompt: list[int], params: Any, room: int) -> None:
        if not self._given["enable_chunked_prefill"] and len(prompt) > self._given["max_num_tokens"]:
            raise RequestError(f"The prompt has {len(prompt)} tokens, more than max_num_tokens.")
        if room <= 0:
            raise RequestError("The prompt is longer than max_seq_len.")
        if self.compiled and params.logprobs:
            raise ValueError("logprobs needs gather_generation_logits")
        if any(token >= self._checkpoint.vocabulary_size for token in prompt):
            raise RequestError("A token id is out of the vocabulary.")

    def _guide(self, params: Any) -> GuidedChoice | None:
        """Without a back end a constraint is dropped silently."""
        guided = params.guided_decoding
        if guided is None or guided.grammar is None or self._given["guided_decoding_backend"] != "llguidance":
            return None
        end_id = self._checkpoint.end_ids[0]
        return GuidedChoice(self._tokenizer_json, self._checkpoint.vocabulary_size, end_id, guided.grammar)


class LaterLlm(Llm):
    """The one back end of the releases after 1.2, which have priorities."""

    def generate_async(self, *arguments: Any, priority: float = 0.5, **keywords: Any) -> RequestOutput:
        """Queue a request; those with a higher priority, from 0 to 1, are to run first."""
        if not 0 <= priority <= 1:
            raise ValueError("priority must be from 0 to 1")
        result = super().generate_async(*arguments, **keywords)
        self.submitted[-1]["priority"] = priority
        return result


class TensorRtLlm(Llm):
    """The back end for compiled engines; it builds one from a checkpoint when `build_config` is given."""

    compiled = True

    def __init__(self, model: str, tokenizer: str | None = None, **kwargs: Any) -> None:
        if kwargs.get("guided_decoding_backend") not in (None, "xgrammar"):
            raise ValueError("guided_decoding_backend must be xgrammar")
        self._source = Path(model)
        super().__init__(model, tokenizer, **kwargs)

    def save(self, engine_dir: str) -> None:
        """Write the engine."""
        build = self._given["build_config"]
        if build is None:
            raise ValueError("nothing was built")
        directory = Path(engine_dir)
        directory.mkdir(parents=True, exist_ok=True)
        limits = {name: getattr(build, name) for name in table.BUILD_CONFIG}
        config = {"version": self.release.version, "build_config": limits}
        (directory / "config.json").write_text(json.dumps(config))
        (directory / "rank0.engine").write_bytes(b"engine")

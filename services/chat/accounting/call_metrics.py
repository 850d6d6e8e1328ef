"""A chat call's metrics: recorded once per call, when the engine has let go of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opentelemetry import metrics
from opentelemetry.metrics import Observation
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.semconv.attributes import error_attributes

from services.chat.accounting.call_spans import PROVIDER
from services.telemetry import outcome
from services.telemetry.histogram import histogram

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.metrics import CallbackOptions
    from opentelemetry.trace import SpanContext

    from services.chat.accounting.settlement import Settlement

# In seconds, as OpenTelemetry's conventions for generative AI advise.
_DURATIONS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_FIRST_TOKENS: Final = (*(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),)
_TOKEN_TIMES: Final = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_RELEASES: Final = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


@dataclass(slots=True)
class _Bill:
    """What the calls of one kind came to so far."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    cost: float = 0.0


class CallMetrics:
    """What calls came to. Sums too are kept here and told when somebody asks."""

    def __init__(self, model: str) -> None:
        """What the first chat calls of `model` will change has a series from the start."""
        meter = metrics.get_meter("chasqui.server")
        self._bills: defaultdict[tuple[str, str, str], _Bill] = defaultdict(_Bill)
        self._duration = histogram(
            gen_ai_metrics.GEN_AI_SERVER_REQUEST_DURATION,
            "From a request's arrival until the engine has let go of it.",
            _DURATIONS,
        )
        self._first_token = histogram(
            gen_ai_metrics.GEN_AI_SERVER_TIME_TO_FIRST_TOKEN,
            "From a request's arrival to the first token of its answer.",
            _FIRST_TOKENS,
        )
        self._token = histogram(
            gen_ai_metrics.GEN_AI_SERVER_TIME_PER_OUTPUT_TOKEN,
            "Time for each token of an answer after the first.",
            _TOKEN_TIMES,
        )
        self._queue = histogram(
            "chasqui.queue.time",
            "How long a call waited for the engine.",
            _FIRST_TOKENS,
        )
        self._release = histogram(
            "chasqui.cancel_to_free.time",
            "From a cancellation until the engine was free of the call.",
            _RELEASES,
        )
        meter.create_observable_counter(
            "chasqui.tokens", [self._tokens], "{token}", "Tokens that were billed; cached ones are part of the input."
        )
        meter.create_observable_counter("chasqui.cost", [self._costs], "USD", "What the calls are billed.")

        self._begin(model)

    def _begin(self, model: str) -> None:
        operation = gen_ai.GenAiOperationNameValues.CHAT.value
        self._bills[operation, model, outcome.COMPLETED] = _Bill()
        labels = _labels(operation, model, model)
        for series in (self._duration, self._first_token, self._token, self._queue):
            series.begin(labels)
        self._release.begin({})

    def record(self, settlement: Settlement, span: SpanContext) -> None:
        """Count a call, of which `span` tells more."""
        facts, usage, timings = settlement.facts, settlement.usage, settlement.timings
        bill = self._bills[facts.operation, facts.model, settlement.outcome]
        bill.prompt += usage.prompt_tokens
        bill.completion += usage.completion_tokens
        bill.cached += usage.cached_tokens
        bill.cost += usage.estimated_cost
        labels = _labels(facts.operation, facts.request_model, facts.model)
        self._queue.record(timings.queue, labels, span)
        if usage.completion_tokens:
            self._first_token.record(facts.tokenize_seconds + timings.queue + timings.prefill, labels, span)
        later = usage.completion_tokens / facts.n - 1
        if later > 0:
            self._token.record(timings.decode / later, labels, span)
        if settlement.outcome != outcome.COMPLETED:
            labels = {**labels, error_attributes.ERROR_TYPE: settlement.outcome}
        self._duration.record(settlement.seconds, labels, span)

    def record_release(self, seconds: float) -> None:
        """Count a cancelled call whose place in the engine is free."""
        self._release.record(seconds, {})

    def _tokens(self, _: CallbackOptions) -> Iterator[Observation]:
        for labels, bill in self._observed():
            counts = (("input", bill.prompt), ("output", bill.completion), ("input_cached", bill.cached))
            for kind, count in counts:
                yield Observation(count, {**labels, gen_ai.GEN_AI_TOKEN_TYPE: kind})

    def _costs(self, _: CallbackOptions) -> Iterator[Observation]:
        for labels, bill in self._observed():
            yield Observation(bill.cost, labels)

    def _observed(self) -> Iterator[tuple[dict[str, str], _Bill]]:
        # A copy: this runs in the reader's thread, while calls are counted in the loop's.
        for (operation, model, word), bill in list(self._bills.items()):
            yield (
                {
                    gen_ai.GEN_AI_OPERATION_NAME: operation,
                    gen_ai.GEN_AI_RESPONSE_MODEL: model,
                    "chasqui.outcome": word,
                },
                bill,
            )


def _labels(operation: str, asked: str, answered: str) -> dict[str, str]:
    return {
        gen_ai.GEN_AI_OPERATION_NAME: operation,
        gen_ai.GEN_AI_PROVIDER_NAME: PROVIDER,
        gen_ai.GEN_AI_REQUEST_MODEL: asked,
        gen_ai.GEN_AI_RESPONSE_MODEL: answered,
    }

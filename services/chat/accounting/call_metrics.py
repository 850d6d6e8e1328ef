"""A chat call's metrics: recorded once per call, when the engine has ended it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opentelemetry import metrics
from opentelemetry.metrics import Observation
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai
from opentelemetry.semconv._incubating.attributes import openai_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.semconv.attributes import error_attributes

from services.accounts.prices.money import PICODOLLARS
from services.chat.accounting.call_spans import PROVIDER
from services.chat.accounting.owner_costs import OwnerCosts
from services.service_tier import ServiceTier
from services.telemetry import outcome
from services.telemetry.histogram import histogram

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from opentelemetry.metrics import CallbackOptions
    from opentelemetry.trace import SpanContext

    from services.chat.accounting.usage_record import UsageRecord

# In seconds, as OpenTelemetry's conventions for generative AI advise.
_DURATIONS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_FIRST_TOKENS: Final = (*(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),)
_TOKEN_TIMES: Final = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_RELEASES: Final = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


@dataclass(slots=True)
class _Totals:
    """Usage of the calls with the same labels so far."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    cost: int = 0  # in picodollars


class CallMetrics:
    """Histograms of calls, and sums of their usage, which are observed when a reader collects them."""

    def __init__(self, model: str, owners: Callable[[], Collection[str]]) -> None:
        """Series that the first chat call of `model` would create exist from the start, at zero.

        `owners` returns the owners of keys.
        """
        meter = metrics.get_meter("chasqui.server")
        self._totals: defaultdict[tuple[str, str, ServiceTier, str], _Totals] = defaultdict(_Totals)
        self._duration = histogram(
            gen_ai_metrics.GEN_AI_SERVER_REQUEST_DURATION,
            "From a request's arrival until the engine has ended it.",
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
            "From a cancellation until the slots of the call in the engine were free.",
            _RELEASES,
        )
        meter.create_observable_counter(
            "chasqui.tokens", [self._tokens], "{token}", "Tokens that were counted as usage; cached ones are input too."
        )
        meter.create_observable_counter("chasqui.cost", [self._costs], "USD", "Estimated cost of the calls.")
        self._owners = OwnerCosts(owners)
        self._begin(model)

    def _begin(self, model: str) -> None:
        operation = gen_ai.GenAiOperationNameValues.CHAT.value
        for tier in ServiceTier:
            self._totals[operation, model, tier, outcome.COMPLETED] = _Totals()
            labels = _labels(operation, model, model, tier)
            for series in (self._duration, self._first_token, self._token, self._queue):
                series.begin(labels)
        self._release.begin({})

    def record(self, record: UsageRecord, span: SpanContext) -> None:
        """Count a call; `span` becomes the exemplar of its measurements."""
        facts, usage, timings = record.facts, record.usage, record.timings
        totals = self._totals[facts.operation, facts.model.name, facts.tier, record.outcome]
        totals.prompt += usage.prompt_tokens
        totals.completion += usage.completion_tokens
        totals.cached += usage.cached_tokens
        totals.cost += record.cost
        self._owners.add(facts.origin.caller, record.cost)
        labels = _labels(facts.operation, facts.model.requested, facts.model.name, facts.tier)
        self._queue.record(timings.queue, labels, span)
        if usage.completion_tokens:
            self._first_token.record(facts.tokenize_seconds + timings.queue + timings.prefill, labels, span)
        later = usage.completion_tokens / facts.n - 1
        if later > 0:
            self._token.record(timings.decode / later, labels, span)
        if record.outcome != outcome.COMPLETED:
            labels = {**labels, error_attributes.ERROR_TYPE: record.outcome}
        self._duration.record(record.seconds, labels, span)

    def record_release(self, seconds: float) -> None:
        """Count a cancelled call whose slots in the engine are free."""
        self._release.record(seconds, {})

    def _tokens(self, _: CallbackOptions) -> Iterator[Observation]:
        for labels, totals in self._observed():
            counts = (("input", totals.prompt), ("output", totals.completion), ("input_cached", totals.cached))
            for kind, count in counts:
                yield Observation(count, {**labels, gen_ai.GEN_AI_TOKEN_TYPE: kind})

    def _costs(self, _: CallbackOptions) -> Iterator[Observation]:
        for labels, totals in self._observed():
            yield Observation(totals.cost / PICODOLLARS, labels)

    def _observed(self) -> Iterator[tuple[dict[str, str], _Totals]]:
        # A copy: this runs in the reader's thread, while calls are counted in the loop's.
        for (operation, model, tier, word), totals in list(self._totals.items()):
            yield (
                {
                    gen_ai.GEN_AI_OPERATION_NAME: operation,
                    gen_ai.GEN_AI_RESPONSE_MODEL: model,
                    openai_attributes.OPENAI_RESPONSE_SERVICE_TIER: tier.value,
                    "chasqui.outcome": word,
                },
                totals,
            )


def _labels(operation: str, requested: str, served: str, tier: ServiceTier) -> dict[str, str]:
    return {
        gen_ai.GEN_AI_OPERATION_NAME: operation,
        gen_ai.GEN_AI_PROVIDER_NAME: PROVIDER,
        gen_ai.GEN_AI_REQUEST_MODEL: requested,
        gen_ai.GEN_AI_RESPONSE_MODEL: served,
        openai_attributes.OPENAI_RESPONSE_SERVICE_TIER: tier.value,
    }

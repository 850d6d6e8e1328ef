"""The served model: its id, its aliases, and its description for callers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp

from chasqui.v1 import chat_pb2, model_pb2
from services.chat.grammar.tool_syntax import tool_syntax_of
from services.errors import InvalidValue, ModelNotFound, quoted
from services.limits import LIMITS
from services.service_tier import ServiceTier

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from services.accounts.prices.price import Price
    from services.accounts.prices.price_list import PriceList
    from services.chat.grammar.tool_syntax import ToolSyntax
    from services.engine.api import Engine
    from services.settings import Settings

# Implemented by this server for every engine.
_SERVER_PARAMETERS = frozenset({"max_tokens", "stop"})
# Honoured when the model's template renders tools in a syntax that is supported.
_TOOL_PARAMETERS = frozenset({"tools", "tool_choice", "parallel_tool_calls"})


class Catalogue:
    """The served model, found by its id and its aliases."""

    def __init__(self, engine: Engine, settings: Settings, prices: PriceList) -> None:
        """`prices` are those of the model."""
        self.prices = prices
        self._prices: Mapping[ServiceTier, Price] = {}  # that the description has
        capabilities = engine.capabilities
        parameters = capabilities.parameters | _SERVER_PARAMETERS
        syntax = tool_syntax_of(engine.model)
        if syntax is not None:
            parameters |= _TOOL_PARAMETERS
        if capabilities.guided:
            parameters |= {"response_format"}
        self._model = model_pb2.Model(
            id=engine.model.name,
            aliases=[alias for alias in settings.model_aliases if alias != engine.model.name],
            created=Timestamp(seconds=int(datetime.now(UTC).timestamp())),
            owned_by="chasqui",
            context_length=capabilities.context_length,
            default_max_tokens=settings.default_max_tokens,
            quantization=engine.model.quantization,
            capabilities=_capabilities(engine, parameters, syntax),
            limits=_limits(parameters),
            engine=settings.engine,
            system_fingerprint=engine.model.fingerprint,
        )
        self._names = {self._model.id, *self._model.aliases}

    @property
    def model(self) -> model_pb2.Model:
        """The model, with its prices of now."""
        prices = self.prices.now()
        if prices is not self._prices:
            self._prices = prices
            self._model.price.CopyFrom(_price(prices[ServiceTier.DEFAULT]))
            del self._model.tier_prices[:]
            self._model.tier_prices.extend(
                model_pb2.TierPrice(tier=chat_pb2.ServiceTier.Value(f"SERVICE_TIER_{tier.name}"), price=_price(price))
                for tier, price in prices.items()
            )
        return self._model

    def resolve(self, name: str) -> model_pb2.Model:
        """The model of that id or alias, with its price of now; raises as `check`."""
        self.check(name)
        return self.model

    def check(self, name: str) -> None:
        """ModelNotFound if there is no model of that id or alias."""
        if not name:
            raise InvalidValue("model is missing.", param="model")
        if name not in self._names:
            raise ModelNotFound(
                f"The model {quoted(name)} does not exist; this server has {self._model.id!r}.", param="model"
            )


def _price(price: Price) -> model_pb2.Price:
    return model_pb2.Price(
        usd_per_million_prompt_tokens=float(price.prompt),
        usd_per_million_cached_tokens=float(price.cached_prompt),
        usd_per_million_completion_tokens=float(price.completion),
    )


def _capabilities(engine: Engine, parameters: Collection[str], syntax: ToolSyntax | None) -> model_pb2.Capabilities:
    guided = engine.capabilities.guided
    return model_pb2.Capabilities(
        parameters=sorted(parameters),
        tools=syntax is not None,
        tool_syntax="" if syntax is None else syntax.value,
        chat=bool(engine.model.chat_template),
        json_object=guided,
        json_schema=guided,
        max_top_logprobs=int(LIMITS["top_logprobs"].maximum) if "logprobs" in parameters else 0,
    )


def _limits(parameters: Collection[str]) -> list[model_pb2.ParameterLimit]:
    """The ranges of the parameters that have one."""
    return [
        model_pb2.ParameterLimit(
            parameter=limit.parameter,
            minimum=limit.minimum,
            maximum=limit.maximum,
            exclusive_minimum=limit.exclusive_minimum,
            integer=limit.integer,
            default_value=limit.default,
        )
        for limit in LIMITS.values()
        if limit.parameter in parameters
    ]

"""What a PromQL expression asks for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import promql_parser

if TYPE_CHECKING:
    from collections.abc import Iterator

_PARTS: Final = ("expr", "lhs", "rhs", "args", "param", "vector_selector")


def metrics_of(expression: str) -> set[str]:
    """The names of all metrics in it; ValueError if it is no PromQL. Grafana's variables are filled in."""
    filled = expression.replace("$__rate_interval", "5m")
    return {node.name for node in _nodes(promql_parser.parse(filled)) if hasattr(node, "matchers")}


def labels_of(expression: str) -> set[str]:
    """The labels by which it selects or groups."""
    selected = re.findall(r"(\w+)=~?\"", expression)
    grouped = [name.strip() for names in re.findall(r"by \(([^)]*)\)", expression) for name in names.split(",")]
    return {*selected, *grouped}


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    for part in _PARTS:
        child = getattr(node, part, None)
        for one in child if isinstance(child, list) else [child]:
            if one is not None and not isinstance(one, str):
                yield from _nodes(one)

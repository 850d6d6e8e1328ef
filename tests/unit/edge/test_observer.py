"""The labels of the edge's metrics have few values, whatever callers send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from starlette.responses import Response

from edge.http.observer import Observer
from services.telemetry.spans import untraced

if TYPE_CHECKING:
    from starlette.types import Message


class FakeHistogram:
    """Remembers the labels of what is recorded."""

    def __init__(self) -> None:
        self.labels: list[dict[str, Any]] = []

    def record(self, _: float, labels: dict[str, Any], __: object) -> None:
        self.labels.append(labels)


async def receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(_: Message) -> None:
    pass


async def test_a_method_that_http_does_not_define_is_counted_as_other(monkeypatch: pytest.MonkeyPatch) -> None:
    observer, histogram = Observer(Response("ok"), untraced(), []), FakeHistogram()
    monkeypatch.setattr(observer, "_duration", histogram)
    for method in ("GET", "FOO1", "FOO2", "get", "X" * 1000):
        scope = {"type": "http", "method": method, "path": "/", "scheme": "http", "http_version": "2", "headers": []}
        await observer(scope, receive, send)
    assert [labels["http.request.method"] for labels in histogram.labels] == ["GET", *["_OTHER"] * 4]

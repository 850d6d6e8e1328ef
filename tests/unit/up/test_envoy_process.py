"""Envoy ends when its last span has reached the collector, and at once where it exports none."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from services.settings import Settings
from services.up.envoy_process import ADMIN_SOCKET, EnvoyProcess
from services.up.private_directory import PrivateDirectory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ACTIVE = "http.public.downstream_rq_active"
EXPORTS = "tracing.opentelemetry.timer_flushed"
EXPORTING = "cluster.otlp.upstream_rq_active"


class FakeAdmin:
    """Answers what Envoy's statistics are, one value after the other; the last of them stays."""

    def __init__(self, **values: list[int]) -> None:
        self.values = values

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        name = request.partition("filter=^")[2].partition("$")[0]
        values = self.values.get(name, [])
        if values:
            writer.write(f"HTTP/1.1 200 OK\r\n\r\n{name}: {values[0]}\n".encode())
        del values[: len(values) > 1]
        writer.close()


@pytest.fixture
async def private() -> AsyncIterator[PrivateDirectory]:
    directory = PrivateDirectory(os.environ)
    yield directory
    directory.remove()


@pytest.mark.parametrize(
    ("values", "last"),
    [
        ({ACTIVE: [2, 1, 0], EXPORTS: [5, 7], EXPORTING: [1, 1, 0]}, {ACTIVE: [0], EXPORTS: [7], EXPORTING: [0]}),
        ({ACTIVE: [0], EXPORTS: [5, 5, 6, 7, 8], EXPORTING: [0]}, {ACTIVE: [0], EXPORTS: [8], EXPORTING: [0]}),
        ({ACTIVE: [1, 0], EXPORTING: [1, 0]}, {ACTIVE: [0], EXPORTING: [1, 0]}),
    ],
    ids=["a slow collector", "spans that are not on their way yet", "untraced"],
)
async def test_envoy_is_not_ended_before_its_responses_and_spans_have_been_sent(
    values: dict[str, list[int]], last: dict[str, list[int]], private: PrivateDirectory
) -> None:
    admin = FakeAdmin(**values)
    async with await asyncio.start_unix_server(admin, private.path / ADMIN_SOCKET):
        await EnvoyProcess(Settings(), private, "", 1.0).finish(30.0)
    assert admin.values == last

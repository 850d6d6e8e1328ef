"""The probe: SERVING and nothing else counts, over either kind of address, and gRPC is not needed to ask."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from services.probe import serves

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LIMIT = 30.0
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@asynccontextmanager
async def server(address: str, status: int | None) -> AsyncIterator[int]:
    """A gRPC server, with health unless `status` is None; its port."""
    listening = grpc.aio.server()
    if status is not None:
        servicer = health.aio.HealthServicer()
        await servicer.set("", status)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, listening)
    port = listening.add_insecure_port(address)
    await listening.start()
    yield port
    await listening.stop(None)


@pytest.mark.parametrize(("status", "expected"), [(SERVING, True), (NOT_SERVING, False)])
async def test_a_server_serves_if_it_says_so(status: int, expected: bool, tmp_path: Path) -> None:
    async with server("127.0.0.1:0", status) as port, server(f"unix:{tmp_path}/s", status):
        assert await asyncio.to_thread(serves, f"127.0.0.1:{port}", LIMIT) is expected
        assert await asyncio.to_thread(serves, f"unix:{tmp_path}/s", LIMIT) is expected


async def test_no_answer_is_an_error(tmp_path: Path) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with (
        await asyncio.start_unix_server(hang_up, f"{tmp_path}/gone"),
        await asyncio.start_unix_server(say_nothing, f"{tmp_path}/silent"),
        server(f"unix:{tmp_path}/other", None),
    ):
        for name in ("gone", "silent", "other", "absent"):
            with pytest.raises(OSError, match=r"\w"):
                await asyncio.to_thread(serves, f"unix:{tmp_path}/{name}", 0.5)


def test_the_command_imports_neither_grpc_nor_the_event_loop(tmp_path: Path) -> None:
    script = (
        "import sys; from services.cli import main; sys.argv[1:] = ['probe', '--server-address', sys.argv[1]]\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code, sorted({'grpc', 'asyncio', 'uvloop', 'google'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", script, f"unix:{tmp_path}/absent"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ours
    assert ended.stdout == "1 []\n"
    assert "does not answer" in ended.stderr

"""The parts as their containers run them: commands of their own, listening on addresses, the Relay on a socket."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.http import get, post
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LIMIT = 180.0
CHASQUI = (sys.executable, "-m", "services")


def environ(folder: Path, **settings: object) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHASQUI_")}
    given = {"relay_address": f"unix:{folder}/relay.sock", "engine": "simulated", "drain_delay": 0, **settings}
    return inherited | {f"CHASQUI_{name.upper()}": str(value) for name, value in given.items()}


@asynccontextmanager
async def running(*command: str, env: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(*command, env=env)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        assert await asyncio.wait_for(process.wait(), LIMIT) == 0


async def status_of(*command: str, env: dict[str, str]) -> int:
    process = await asyncio.create_subprocess_exec(*command, env=env, stderr=asyncio.subprocess.DEVNULL)
    return await asyncio.wait_for(process.wait(), LIMIT)


async def until_ready(url: str) -> None:
    async with asyncio.timeout(LIMIT):
        while True:
            with suppress(OSError):
                if (await asyncio.to_thread(get, f"{url}/readyz")).status == 200:
                    return
            await asyncio.sleep(0.1)


async def test_server_edge_and_envoy_serve_on_addresses_and_the_probe_tells(tmp_path: Path) -> None:
    port, server_port, edge_port = free_port(), free_port(), free_port()
    server_env = environ(tmp_path, server_address=f"127.0.0.1:{server_port}")
    edge_env = environ(tmp_path, server_address=f"localhost:{server_port}", edge_address=f"127.0.0.1:{edge_port}")
    envoy_env = environ(
        tmp_path,
        host="127.0.0.1",
        port=port,
        server_address=f"localhost:{server_port}",
        edge_address=f"localhost:{edge_port}",
    )
    beside = Path(sys.executable).parent / "envoy"
    envoy = str(beside) if beside.exists() else shutil.which("envoy")
    assert envoy is not None
    bootstrap = tmp_path / "envoy.yaml"
    with bootstrap.open("wb") as file:
        writer = await asyncio.create_subprocess_exec(*CHASQUI, "envoy-config", env=envoy_env, stdout=file)
        assert await writer.wait() == 0
    # The container's path belongs to this machine here.
    bootstrap.write_text(bootstrap.read_text().replace("/tmp/envoy-admin.sock", f"{tmp_path}/admin.sock"))  # noqa: S108
    assert await status_of(*CHASQUI, "probe", env=server_env) == 1
    async with AsyncExitStack() as parts:
        await parts.enter_async_context(running(*CHASQUI, "server", env=server_env))
        await parts.enter_async_context(running(*CHASQUI, "edge", env=edge_env))
        command = (envoy, "--config-path", str(bootstrap), "--disable-hot-restart", "--log-level", "error")
        await parts.enter_async_context(running(*command, "--concurrency", "1", env=envoy_env))
        await until_ready(f"http://127.0.0.1:{port}")
        assert await status_of(*CHASQUI, "probe", env=server_env) == 0
        body = {
            "model": "meta-llama/Meta-Llama-3.1-8B-Instruct",
            "messages": [{"role": "user", "content": "Hello!"}],
            "max_tokens": 5,
        }
        answer = await asyncio.to_thread(post, f"http://127.0.0.1:{port}/v1/chat/completions", body)
        assert answer.json()["usage"]["completion_tokens"] == 5


async def test_envoy_s_configuration_needs_both_addresses(tmp_path: Path) -> None:
    assert await status_of(*CHASQUI, "envoy-config", env=environ(tmp_path)) == 2

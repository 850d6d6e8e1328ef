"""The end of the chat server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from services.chat import server as server_module
from services.chat.server import ChatServer
from services.engine.factory import build_engine
from services.settings import Settings
from services.telemetry.spans import untraced
from tests.support.recording_engine import RecordingEngine

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


class EngineThatNeverCloses(RecordingEngine):
    """An engine that is broken."""

    async def close(self) -> None:
        """Wait for ever."""
        await asyncio.Event().wait()


async def test_an_engine_that_does_not_close_is_abandoned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server_module, "_ENGINE_CLOSE_SECONDS", 0.01)
    settings = Settings(engine="simulated", drain_delay=0.0)
    server = ChatServer(EngineThatNeverCloses(build_engine(settings)), settings, untraced())
    await server.start(f"unix:{tmp_path}/server.sock", "")
    await server.stop()
    assert "the engine does not close and is abandoned" in caplog.text

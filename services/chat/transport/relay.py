"""The server's end of the Relay: all calls of an edge worker come in on one stream, and their events leave on it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import grpc

from chasqui.v1 import relay_service_pb2_grpc
from services.chat.transport.relay_session import RelaySession, RelayTraffic

if TYPE_CHECKING:
    from services.chat.pipeline import ChatPipeline
    from services.chat.transport.authentication import Authentication
    from services.telemetry.rpc import RpcObserver

    Context = grpc.aio.ServicerContext[Any, Any]

log = logging.getLogger(__name__)


class RelayServicer(relay_service_pb2_grpc.RelayServiceServicer):
    """Serves edge workers. One that reads no message for `reader_timeout` seconds is cut off with all its calls."""

    def __init__(
        self, pipeline: ChatPipeline, authentication: Authentication, observer: RpcObserver, reader_timeout: float
    ) -> None:
        self.traffic = RelayTraffic()
        self._pipeline = pipeline
        self._authentication = authentication
        self._observer = observer
        self._reader_timeout = reader_timeout
        self._sessions: set[RelaySession] = set()

    async def Relay(self, _: object, context: Context) -> None:  # type: ignore[override]  # noqa: N802 - the contract's name, and grpc.aio takes coroutines that read and write
        """Run a worker's stream until it half-closes, breaks, or `close` is called."""
        session = RelaySession(
            self._pipeline, self._authentication, self._observer, self.traffic, context, self._reader_timeout
        )
        self._sessions.add(session)
        try:
            # The worker takes the headers as the sign that it is connected.
            await context.send_initial_metadata(())
            await session.run()
        except* TimeoutError:
            log.warning("an edge worker reads nothing and is cut off")
            # Not the end of a stream whose calls have all ended.
            context.set_code(grpc.StatusCode.UNAVAILABLE)
        except* grpc.aio.BaseError:
            pass  # the stream is broken, or its status has been sent
        finally:
            self._sessions.discard(session)

    def close(self) -> None:
        """End every stream once its last call has ended; for a server that admits no new calls."""
        for session in self._sessions:
            session.close()

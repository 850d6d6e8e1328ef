"""The bound on connections, made small: whoever comes beyond it is turned away, and the others are served."""

from __future__ import annotations

import socket
from contextlib import ExitStack

from tests.support.replicas import Replicas, wait_until

LIMIT = 8
SMALL = {"max_active_downstream_connections: 16384": f"max_active_downstream_connections: {LIMIT}"}
OPEN = "http.public.downstream_cx_active"
REQUEST = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"


def ask(connection: socket.socket) -> bytes:
    """The beginning of the answer; empty if the connection was closed or reset."""
    try:
        connection.sendall(REQUEST)
        return connection.recv(65536)
    except OSError:
        return b""


def test_connections_beyond_the_limit_are_closed_and_the_others_are_served() -> None:
    with Replicas(1, envoy_changes=SMALL, simulated_rate=0, model_name="simulated") as replicas, ExitStack() as stack:
        address = ("127.0.0.1", replicas.port)
        # Those that have asked whether it is ready are closed.
        wait_until(lambda: f"{OPEN}: 0" in replicas.admin(f"/stats?filter={OPEN}").decode())
        kept = [stack.enter_context(socket.create_connection(address, timeout=60)) for _ in range(LIMIT)]
        assert all(ask(connection).startswith(b"HTTP/1.1 200") for connection in kept)
        with socket.create_connection(address, timeout=60) as beyond:
            assert ask(beyond) == b""
        assert all(ask(connection).startswith(b"HTTP/1.1 200") for connection in kept)
        kept[0].close()
        wait_until(lambda: replicas.answers("/healthz"))

"""Hostile HTTP/2: what breaks the connection that all calls of an edge worker share would end them all."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import Event, StreamReset

from tests.support.siege import BODY, CHAT

if TYPE_CHECKING:
    from tests.support.replicas import Replicas


def closed_by_the_edge(replicas: Replicas) -> int:
    """How many of its connections with Envoy the edge has closed."""
    [line] = replicas.admin("/stats?filter=^cluster.edge.upstream_cx_destroy_remote$").decode().splitlines()
    return int(line.rpartition(" ")[2])


@pytest.mark.parametrize("difference", [-5, 5])
def test_a_body_that_is_not_as_long_as_announced_ends_its_own_call_alone(replicas: Replicas, difference: int) -> None:
    before, body = closed_by_the_edge(replicas), json.dumps(BODY).encode()
    connection = H2Connection(H2Configuration())
    connection.initiate_connection()
    fields = {
        ":method": "POST",
        ":path": CHAT,
        ":scheme": "http",
        ":authority": "x",
        "content-type": "application/json",
    }
    connection.send_headers(1, [*fields.items(), ("content-length", str(len(body) + difference))])
    connection.send_data(1, body, end_stream=True)
    with socket.create_connection(("127.0.0.1", replicas.port)) as client:
        client.sendall(connection.data_to_send())
        events: list[Event] = []
        while not any(isinstance(event, StreamReset) for event in events):
            data = client.recv(65536)
            assert data, "the connection was closed"
            events += connection.receive_data(data)
    assert closed_by_the_edge(replicas) == before

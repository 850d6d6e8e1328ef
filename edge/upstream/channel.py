"""Connections to the chat server."""

from __future__ import annotations

from typing import Final

import grpc

from services.settings import MAX_MESSAGE_BYTES

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # The pause between two attempts to connect.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # How long an attempt may take, whatever its name says: a busy server accepts late.
    ("grpc.min_reconnect_backoff_ms", 5000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.enable_http_proxy", 0),  # http_proxy is for the internet, not for the chat server
)


def open_channel(address: str) -> grpc.aio.Channel:
    """A channel to `unix:PATH` or `HOST:PORT`, which connects when it is used."""
    return grpc.aio.insecure_channel(address, options=_OPTIONS)

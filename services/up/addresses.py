"""Where the processes of one replica listen, and whether the public port is free."""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import TYPE_CHECKING

from services.settings import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from services.settings import Settings


def edge_addresses(settings: Settings, private: Path) -> tuple[str, ...]:
    """The address of each edge worker, in the directory `private` unless one is set."""
    base = settings.edge_address
    if not base:
        return tuple(f"unix:{private}/edge-{index}.sock" for index in range(settings.edge_workers))
    if settings.edge_workers == 1:
        return (base,)
    host, _, port = base.rpartition(":")
    if base.startswith("unix:") or not port.isdigit():
        raise SettingsError(f"CHASQUI_EDGE_ADDRESS is {base!r}, but several edge workers need HOST:PORT.")
    return tuple(f"{host}:{int(port) + index}" for index in range(settings.edge_workers))


def metrics_address(settings: Settings, index: int) -> str:
    """Prometheus endpoint of a process: server, edge workers, Envoy, batch runner, from index 0 on. Empty: none."""
    if not settings.metrics_address:
        return ""
    host, _, port = settings.metrics_address.rpartition(":")
    if not host or not port.isdigit():
        raise SettingsError(f"CHASQUI_METRICS_ADDRESS is {settings.metrics_address!r}, but must be HOST:PORT.")
    return f"{host}:{int(port) + index}"


def check_public_port(host: str, port: int) -> None:
    """SettingsError unless the port is free; Envoy's own message for it is hard to read."""
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
    except ValueError:
        raise SettingsError(f"CHASQUI_HOST is {host!r}, but must be an IP address, as 127.0.0.1 or 0.0.0.0.") from None
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            why = "in use" if error.errno == errno.EADDRINUSE else f"not available ({error.strerror})"
            raise SettingsError(f"Port {port} on {host} is {why}; choose another with CHASQUI_PORT.") from error

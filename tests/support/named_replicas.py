"""Replicas that Envoy finds by a name, each with an address of its own on the loopback: as in Kubernetes."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Final, Self

from tests.support.names import Names
from tests.support.ports import free_port
from tests.support.replicas import Replicas

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME: Final = "replicas.test"
_FAMILY: Final = '"dns_lookup_family"'


class NamedReplicas(Replicas):
    """`count` replicas at 127.0.0.2 and on; the name has the addresses of those in `known`."""

    def __init__(self, count: int, **settings: object) -> None:
        self._names = Names()
        self._server_port, self._edge_port = _free_everywhere(count), _free_everywhere(count)
        resolver = {
            "name": "envoy.network.dns_resolver.cares",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
                "resolvers": [{"socket_address": {"address": "127.0.0.1", "port_value": self._names.port}}],
                "dns_resolver_options": {"no_default_search_domain": True},
            },
        }
        changes = {_FAMILY: f'"typed_dns_resolver_config": {json.dumps(resolver)}, {_FAMILY}'}
        super().__init__(count, envoy_changes=changes, envoy_wrapper=(), server_metrics=False, **settings)
        self.know(range(count))

    def __enter__(self) -> Self:
        """Start the name server, and everything."""
        self._names.__enter__()
        return super().__enter__()

    def __exit__(self, *_: object) -> None:
        """Stop everything, and the name server."""
        super().__exit__()
        self._names.__exit__()

    def know(self, known: Sequence[int]) -> None:
        """Give the name the addresses of these replicas."""
        self._names.set(_NAME, map(_address, known))

    def _listening(self, index: int) -> dict[str, str]:
        return {
            "server_address": f"{_address(index)}:{self._server_port}",
            "edge_address": f"{_address(index)}:{self._edge_port}",
        }

    def _found(self) -> dict[str, str]:
        return {"server_address": f"{_NAME}:{self._server_port}", "edge_address": f"{_NAME}:{self._edge_port}"}


def _address(index: int) -> str:
    return f"127.0.0.{index + 2}"


def _free_everywhere(count: int) -> int:
    """A port that is free at the addresses of all replicas."""
    while True:
        port = free_port()
        with ExitStack() as probes, suppress(OSError):
            for index in range(count):
                probes.enter_context(socket.socket()).bind((_address(index), port))
            return port

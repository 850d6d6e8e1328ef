"""TLS on the public port, as pieces of Envoy's configuration; pure but for `check_files`."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edge.envoy import web_clients
from services.settings import SettingsError

if TYPE_CHECKING:
    from services.settings import Settings

_CONTEXT: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"


@dataclass(frozen=True, slots=True)
class Tls:
    """Paths of PEM files. With `client_ca`, gRPC callers need a certificate signed by one of its authorities."""

    certificate: str
    key: str
    client_ca: str = ""


def tls(settings: Settings) -> Tls | None:
    """The TLS settings, None without TLS; SettingsError if they are incomplete."""
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        given, missing = ("certificate", "key") if settings.tls_certificate else ("key", "certificate")
        raise SettingsError(f"CHASQUI_TLS_{given.upper()} is set, but CHASQUI_TLS_{missing.upper()} is not.")
    if not settings.tls_certificate:
        if settings.tls_client_ca:
            raise SettingsError("CHASQUI_TLS_CLIENT_CA is set, but without CHASQUI_TLS_CERTIFICATE there is no TLS.")
        return None
    return Tls(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)


def check_files(tls: Tls) -> None:
    """SettingsError unless the files can be read, are PEM, and belong together.

    Envoy's own messages for this are hard to read.
    """
    for name in ("certificate", "key", "client_ca"):
        path = getattr(tls, name)
        if not path:
            continue
        try:
            with open(path, "rb"):  # noqa: PTH123 - only to see whether it is readable
                pass
        except OSError as error:
            raise SettingsError(f"CHASQUI_TLS_{name.upper()} is {path!r}, but: {error.strerror}.") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # A key with a password is refused: nobody can type it when Envoy is restarted.
        context.load_cert_chain(tls.certificate, tls.key, password=lambda: "")
    except (ssl.SSLError, ValueError) as error:
        raise SettingsError(
            f"CHASQUI_TLS_CERTIFICATE {tls.certificate!r} and CHASQUI_TLS_KEY {tls.key!r} must be a certificate in PEM "
            "form and its key without a password."
        ) from error
    if tls.client_ca:
        try:
            context.load_verify_locations(tls.client_ca)
        except ssl.SSLError as error:
            raise SettingsError(f"CHASQUI_TLS_CLIENT_CA is {tls.client_ca!r}, which holds no certificate.") from error


def transport_socket(tls: Tls) -> dict[str, Any]:
    """The filter chain's fields."""
    certificate = {"certificate_chain": {"filename": tls.certificate}, "private_key": {"filename": tls.key}}
    common: dict[str, Any] = {"tls_certificates": [certificate], "alpn_protocols": ["h2", "http/1.1"]}
    if tls.client_ca:
        # A certificate is requested and optional; one that no configured authority has signed fails the handshake.
        common["validation_context"] = {"trusted_ca": {"filename": tls.client_ca}}
    context = {"@type": _CONTEXT, "common_tls_context": common}
    return {
        "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context},
        "transport_socket_connect_timeout": "10s",  # for the handshake
    }


def refusals() -> list[dict[str, Any]]:
    """The routes of gRPC callers without a client certificate: UNAUTHENTICATED. REST callers have keys."""
    without = {"prefix": "/", "tls_context": {"presented": False}}
    refused = {"direct_response": {"status": 401}}
    web = [
        {"match": {**without, "headers": headers}, **refused, **web_clients.FILTERS} for headers in web_clients.CALLS
    ]
    return [{"match": {**without, "grpc": {}}, **refused}, *web]

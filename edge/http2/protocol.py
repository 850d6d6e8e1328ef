"""The protocol's state of a connection: h2's, with the settings of this server."""

from __future__ import annotations

from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings

from edge.http2.field_decoder import FieldDecoder
from edge.http2.field_encoder import FieldEncoder

# One connection of Envoy carries all streams of a worker.
MAX_STREAMS: Final = 16_384
# Bytes of a request's body that may come before the application reads them.
STREAM_WINDOW: Final = 256 * 1024
# Envoy lets 60 KiB and 100 fields through, and HTTP/2 counts 32 bytes more for each.
MAX_HEADER_LIST: Final = 256 * 1024
# All streams' windows together, so that bodies that are not read stop no others.
CONNECTION_WINDOW: Final = 1 << 30
_DEFAULT_WINDOW: Final = 65_535
# What is not removed of ended streams, beside as many as are open.
_MOST_ENDED: Final = 64

# Envoy has validated the fields of requests, and the application's are valid.
_CONFIG: Final = H2Configuration(
    client_side=False,
    header_encoding=None,
    validate_inbound_headers=False,
    normalize_inbound_headers=False,
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
)


class ServerProtocol(H2Connection):
    """The server's side of a connection."""

    # Of so many ended streams it is known how they ended, for frames that were on their way.
    MAX_CLOSED_STREAMS = 4096

    def __init__(self) -> None:
        super().__init__(_CONFIG)
        self.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
                SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
                SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEADER_LIST,
            },
        )
        self.encoder = FieldEncoder()
        self.decoder = FieldDecoder(MAX_HEADER_LIST)
        self._counted_beyond = _MOST_ENDED

    def initiate_connection(self) -> None:
        """Send the settings, and open the connection's window."""
        super().initiate_connection()
        self.increment_flow_control_window(CONNECTION_WINDOW - _DEFAULT_WINDOW)

    @property
    def open_inbound_streams(self) -> int:
        """At least the number of open streams: h2 asks for each new one, and would go through all of them."""
        known = len(self.streams)
        if known <= self._counted_beyond:
            return known
        count = super().open_inbound_streams  # removes the ended ones
        self._counted_beyond = min(2 * count + _MOST_ENDED, MAX_STREAMS - 1)
        return count

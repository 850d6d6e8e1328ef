"""Log lines: one JSON object each, or readable text on a terminal."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from services.settings import Settings


_JSON: Final = msgspec.json.Encoder(enc_hook=str)


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; `extra={"fields": {...}}` of a log call becomes members of the object."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """The line, without a newline."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "part": self._process,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _JSON.encode(line).decode()


class TextFormatter(logging.Formatter):
    """A record for people: time, process, message, and its fields as `name=value`."""

    def __init__(self, process: str) -> None:
        super().__init__(f"%(asctime)s {process:6} %(levelname)-7s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """The line, without a newline; fields without a value are left out."""
        fields = getattr(record, "fields", {})
        pairs = "".join(f" {name}={value}" for name, value in fields.items() if value not in (None, "", []))
        return super().format(record) + pairs


def configure_logging(settings: Settings, process: str) -> None:
    """Send all log lines of this process, whose name is `process`, to standard error."""
    text = settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextFormatter(process) if text else JsonFormatter(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    # Of a record's fields no line shows these.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # Libraries report every request and every span export at info, and hpack every header field, keys too, at debug.
    for noisy in ("grpc", "httpx", "huggingface_hub", "opentelemetry", "hpack"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))

"""Encodes header fields for HTTP/2 without compression (HPACK, RFC 7541)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from hpack import Encoder

if TYPE_CHECKING:
    from collections.abc import Iterable

_NO_TABLE: Final = b"\x20"  # sets the size of the dynamic table to 0
_LITERAL: Final = b"\x00"  # a field with a name of its own, in no table
_STATUS: Final = b":status"
_LONG: Final = 127  # the first length that takes more than one byte
_LENGTHS: Final = [bytes((size,)) for size in range(_LONG)]  # of shorter texts, as nearly all values are
# The whole fields of the static table that nearly all responses have.
_STATUSES: Final = {b"200": b"\x88", b"404": b"\x8d", b"500": b"\x8e"}


class FieldEncoder(Encoder):
    """Encodes every field as a literal. Envoy is on the same machine: a few bytes cost less than the table's search."""

    def __init__(self) -> None:
        super().__init__()
        self._prefix = _NO_TABLE

    def encode(self, headers: Iterable[Any], huffman: bool = True) -> bytes:
        """The encoded fields, which are pairs of bytes."""
        self.table_size_changes.clear()  # they are about the table that there is not
        encoded = [self._prefix]
        self._prefix = b""
        for name, value in headers:
            if name == _STATUS and value in _STATUSES:
                encoded.append(_STATUSES[value])
            else:
                size = len(value)
                encoded += (_name(name), _LENGTHS[size] if size < _LONG else _length(size), value)
        return b"".join(encoded)


@lru_cache(maxsize=256)
def _name(name: bytes) -> bytes:
    return _LITERAL + _length(len(name)) + name


def _length(size: int) -> bytes:
    """The length of a text that follows: an integer with a prefix of 7 bits (section 5.1)."""
    if size < _LONG:
        return _LENGTHS[size]
    encoded = bytearray((_LONG,))
    size -= _LONG
    while size >= 128:
        encoded.append(size % 128 + 128)
        size //= 128
    encoded.append(size)
    return bytes(encoded)

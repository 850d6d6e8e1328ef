"""Decodes the header fields of HTTP/2 requests (HPACK, RFC 7541)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from hpack import Decoder
from hpack.exceptions import HPACKDecodingError, OversizedHeaderListError
from hpack.hpack import decode_integer
from hpack.huffman_table import decode_huffman
from hpack.table import table_entry_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# The forms of a field by the first bits of its first byte (section 6).
_INDEXED: Final = 0x80
_ADDED: Final = 0x40
_TABLE_SIZE: Final = 0x20
# The other bits of that byte, in which a number begins.
_OF_INDEXED: Final = 0x7F
_OF_ADDED: Final = 0x3F
_OF_OTHERS: Final = 0x0F
# The same of a text's first byte (section 5.2).
_HUFFMAN: Final = 0x80
_OF_LENGTH: Final = 0x7F
_LONGEST_KEPT: Final = 64  # bytes of a text
_MOST_KEPT: Final = 1024
_SECRETS: Final = frozenset({b"authorization", b"x-api-key"})  # whose values are not kept


class FieldDecoder(Decoder):
    """Decodes as its base does in less time: copies no rest, logs nothing, and keeps short texts that come again."""

    def decode(self, data: bytes, raw: bool = False) -> Iterable[Any]:
        """The fields as pairs of bytes. HPACKError if they are malformed or together too large."""
        table, most = self.header_table, self.max_header_list_size
        fields: list[tuple[bytes, bytes]] = []
        size = position = 0
        while position < len(data):
            first = data[position]
            if first & _INDEXED:
                index, position = _number(data, position, _OF_INDEXED)
                field = table.get_by_index(index)
            elif first & _TABLE_SIZE and not first & _ADDED:
                if fields:
                    raise HPACKDecodingError("The size of the table changes after a field.")
                position += self._update_encoding_context(data[position:])
                continue
            else:
                index, position = _number(data, position, _OF_ADDED if first & _ADDED else _OF_OTHERS)
                if index:
                    name = table.get_by_index(index)[0]
                else:
                    name, position = _text(data, position, _decoded)
                value, position = _text(data, position, decode_huffman if name in _SECRETS else _decoded)
                field = (name, value)
                if first & _ADDED:
                    table.add(name, value)
            fields.append(field)
            size += table_entry_size(*field)
            if size > most:
                raise OversizedHeaderListError(f"The fields have more than {most} bytes.")
        self._assert_valid_table_size()
        return fields


def _number(data: bytes, position: int, bits: int) -> tuple[int, int]:
    """The number whose first byte has it in `bits`, and the position behind it."""
    if position < len(data) and (number := data[position] & bits) < bits:
        return number, position + 1
    number, size = decode_integer(data[position:], bits.bit_length())
    return number, position + size


def _text(data: bytes, position: int, decoded: Callable[[bytes], bytes]) -> tuple[bytes, int]:
    """The text that begins there, and the position behind it."""
    length, start = _number(data, position, _OF_LENGTH)
    text = data[start : start + length]
    if len(text) < length:
        raise HPACKDecodingError("The fields end within a text.")
    return (decoded(text) if data[position] & _HUFFMAN else text), start + length


def _decoded(text: bytes) -> bytes:
    return _kept(text) if len(text) <= _LONGEST_KEPT else decode_huffman(text)


_kept: Final = lru_cache(maxsize=_MOST_KEPT)(decode_huffman)

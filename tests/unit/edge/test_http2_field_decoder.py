"""The decoder of header fields beside hpack's own."""

from __future__ import annotations

import pytest
from hpack import Decoder, Encoder, NeverIndexedHeaderTuple
from hpack.exceptions import HPACKError, OversizedHeaderListError
from hypothesis import given
from hypothesis import strategies as st

from edge.http2.field_decoder import FieldDecoder, _kept

NAMES = st.sampled_from([b":path", b":method", b"content-type", b"x-request-id"]) | st.binary(min_size=1, max_size=200)
VALUES = st.sampled_from([b"POST", b"/v1/models", b"application/json"]) | st.binary(max_size=300)
FIELDS = st.lists(st.tuples(NAMES, VALUES) | st.builds(NeverIndexedHeaderTuple, NAMES, VALUES), max_size=10)


@given(blocks=st.lists(st.tuples(FIELDS, st.booleans(), st.none() | st.sampled_from([0, 100, 4096])), max_size=5))
def test_it_reads_what_an_encoder_writes_in_every_form(
    blocks: list[tuple[list[tuple[bytes, bytes]], bool, int | None]],
) -> None:
    encoder, decoder = Encoder(), FieldDecoder()
    for fields, huffman, table_size in blocks:
        if table_size is not None:
            encoder.header_table_size = table_size
        assert decoder.decode(encoder.encode(fields, huffman=huffman)) == [tuple(field) for field in fields]


def outcome(decoder: Decoder, block: bytes) -> object:
    """The fields as bytes, or the kind of error."""
    try:
        return [tuple(field) for field in decoder.decode(block, raw=True)]
    except HPACKError as error:
        return type(error)
    except IndexError:  # hpack's decoder of a text without a length
        return HPACKError


@given(blocks=st.lists(st.binary(max_size=60), max_size=4))
def test_of_any_bytes_it_says_what_hpack_says(blocks: list[bytes]) -> None:
    ours, theirs = FieldDecoder(), Decoder()
    for block in blocks:
        expected = outcome(theirs, block)
        found = outcome(ours, block)
        if isinstance(expected, list):
            assert found == expected
        else:  # which ends the connection
            assert isinstance(found, type)
            return


def test_fields_that_are_together_too_large_are_an_error() -> None:
    fields = [(b"a", b"b" * 100)] * 2
    block = Encoder().encode(fields)
    assert FieldDecoder(2 * 133).decode(block) == fields
    with pytest.raises(OversizedHeaderListError):
        FieldDecoder(2 * 133 - 1).decode(block)


@pytest.mark.parametrize("name", [b"authorization", b"x-api-key"])
def test_keys_are_not_kept(name: bytes) -> None:
    fields = [(name, b"Bearer key"), (b"accept", b"application/json")]
    block = Encoder().encode(fields)
    FieldDecoder().decode(block)  # keeps the names
    _kept.cache_clear()
    assert FieldDecoder().decode(block) == fields
    assert _kept.cache_info().currsize == (2 if name == b"x-api-key" else 1)  # whose name is in no table


def test_the_memory_of_texts_is_bounded() -> None:
    encoder, decoder = Encoder(), FieldDecoder()
    for number in range(1100):
        decoder.decode(encoder.encode([(b"x-request-id", b"%d" % number)]))
    assert _kept.cache_info().currsize == 1024


def test_long_texts_are_not_kept() -> None:
    _kept.cache_clear()
    fields = [(b":path", b"/" + b"a" * 1000)]
    assert FieldDecoder().decode(Encoder().encode(fields)) == fields
    assert _kept.cache_info().currsize == 0

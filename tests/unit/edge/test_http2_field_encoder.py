"""The encoder of header fields, read by hpack's decoder."""

from __future__ import annotations

import pytest
from hpack import Decoder
from hypothesis import given
from hypothesis import strategies as st

from edge.http2.field_encoder import FieldEncoder

FIELDS = st.lists(st.tuples(st.binary(min_size=1, max_size=300), st.binary(max_size=300)), max_size=10)


@given(blocks=st.lists(FIELDS, min_size=1, max_size=4))
def test_a_decoder_reads_the_fields_of_every_block(blocks: list[list[tuple[bytes, bytes]]]) -> None:
    encoder, decoder = FieldEncoder(), Decoder()
    for fields in blocks:
        assert list(decoder.decode(encoder.encode(fields), raw=True)) == fields


@pytest.mark.parametrize("size", [0, 126, 127, 128, 254, 255, 16_510, 16_511, 60_000])
def test_a_value_of_any_length_is_read(size: int) -> None:
    fields = [(b":status", b"200"), (b":status", b"418"), (b"x", b"v" * size)]
    assert list(Decoder().decode(FieldEncoder().encode(fields), raw=True)) == fields


def test_a_peer_may_change_the_size_of_a_table_that_is_not_used() -> None:
    encoder, decoder = FieldEncoder(), Decoder()
    for size in (4096, 0, 65_536):
        decoder.max_allowed_table_size = size
        encoder.header_table_size = size
        assert list(decoder.decode(encoder.encode([(b"a", b"b")]), raw=True)) == [(b"a", b"b")]

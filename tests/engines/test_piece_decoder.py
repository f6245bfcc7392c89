from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from voicebot.engines.piece_decoder import PieceDecoder

if TYPE_CHECKING:
    from collections.abc import Sequence


def decode_bytes(token_ids: Sequence[int]) -> str:
    """A tokenizer whose tokens are bytes: the hardest case."""
    return bytes(token_ids).decode("utf-8", errors="replace")


@given(st.text().filter(lambda text: "\ufffd" not in text))
def test_pieces_join_to_the_text_and_none_has_half_a_character(text: str) -> None:
    decoder = PieceDecoder(decode_bytes)
    pieces = [decoder.add(byte) for byte in text.encode()]
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_a_character_comes_with_its_last_token() -> None:
    decoder = PieceDecoder(decode_bytes)
    assert [decoder.add(byte) for byte in "é!".encode()] == ["", "é", "!"]


def test_an_unfinished_character_at_the_end_is_left_out() -> None:
    decoder = PieceDecoder(decode_bytes)
    assert [decoder.add(byte) for byte in b"a\xf0\x9f"] == ["a", "", ""]

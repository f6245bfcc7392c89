"""What goes over the wire, and what does not get in."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.kiosk import page_messages
from voicebot.kiosk.protocol import (
    FRAME_SAMPLES_MAX,
    Begin,
    Join,
    Late,
    MicrophoneFrame,
    Pong,
    ProtocolError,
    ReplyFrame,
    decode_message,
    decode_microphone_frame,
    encode_message,
    encode_microphone_frame,
    encode_reply_frame,
    to_float,
    to_pcm,
)


@given(
    sequence=st.integers(0, 2**32 - 1),
    first_sample=st.integers(0, 2**53),
    page_ms=st.floats(0, 1e12),
    samples=st.lists(st.integers(-32768, 32767), min_size=1, max_size=600),
)
def test_a_microphone_frame_comes_back_as_it_went(
    sequence: int, first_sample: int, page_ms: float, samples: list[int]
) -> None:
    pcm = np.array(samples, dtype=np.int16)
    back = decode_microphone_frame(
        encode_microphone_frame(MicrophoneFrame(sequence, first_sample, page_ms, pcm))
    )
    assert (back.sequence, back.first_sample, back.page_ms) == (sequence, first_sample, page_ms)
    assert np.array_equal(back.samples, pcm)


def test_a_reply_frame_has_its_header_and_its_samples_where_the_page_looks_for_them() -> None:
    data = encode_reply_frame(ReplyFrame(7, 2**40, 3, np.array([1, -2], dtype=np.int16)))
    assert struct.unpack_from("<BBHIQI", data) == (2, 1, 0, 7, 2**40, 3)
    assert np.frombuffer(data, "<i2", offset=24).tolist() == [1, -2]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_a_protocol_error(data: bytes) -> None:
    try:
        frame = decode_microphone_frame(data)
    except ProtocolError:
        return
    assert len(frame.samples) == (len(data) - 24) // 2


def test_a_frame_is_never_too_long_nor_empty_nor_odd() -> None:
    frame = MicrophoneFrame(0, 0, 0.0, np.zeros(FRAME_SAMPLES_MAX + 1, dtype=np.int16))
    whole = encode_microphone_frame(frame)
    for data in (whole, whole[:24], whole[:25], b""):
        with pytest.raises(ProtocolError):
            decode_microphone_frame(data)
    assert len(decode_microphone_frame(whole[:-2]).samples) == FRAME_SAMPLES_MAX


@pytest.mark.parametrize("page_ms", [float("nan"), float("inf"), -1.0])
def test_a_frame_outside_time_is_refused(page_ms: float) -> None:
    data = encode_microphone_frame(MicrophoneFrame(0, 0, page_ms, np.zeros(4, dtype=np.int16)))
    with pytest.raises(ProtocolError):
        decode_microphone_frame(data)


def test_messages_become_facts() -> None:
    assert decode_message('{"type": "join", "version": 1}') == Join("join", 1)
    assert decode_message('{"type": "begin", "rate_hz": 48000}') == Begin("begin", 48_000)
    assert decode_message('{"type": "pong", "id": 3, "page_ms": 5}') == Pong("pong", 3, 5.0)
    assert decode_message('{"type": "late", "utterance": 1, "frames": 9}') == Late("late", 1, 9)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"type": "format_disk"}',
        '{"type": "join"}',
        '{"type": "join", "version": "1"}',
        '{"type": "join", "version": 1, "more": 2}',
        '{"type": "begin", "rate_hz": -1}',
        '{"type": "begin", "rate_hz": 1e9}',
        '{"type": "pong", "id": 1, "page_ms": NaN}',
        '{"type": "pong", "id": 99999999999, "page_ms": 1}',
        '{"type": "language", "code": "' + "x" * 5000 + '"}',
        "[" * 4000,
        '{"type": "join", "version": 1, "visit": "\ud800"}',
    ],
)
def test_what_is_no_message_is_a_protocol_error(text: str) -> None:
    with pytest.raises(ProtocolError):
        decode_message(text)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
_NAMES = st.sampled_from(
    ["join", "begin", "end", "pong", "playback", "cleared", "late", "audible", "language"]
)


@given(st.text(max_size=300) | st.builds(json.dumps, _JSON))
def test_any_text_is_a_message_or_a_protocol_error(text: str) -> None:
    _decodes_or_refuses(text)


@given(
    _NAMES,
    st.dictionaries(
        st.sampled_from(
            [
                "version",
                "id",
                "page_ms",
                "frame",
                "sequence",
                "rate_hz",
                "utterance",
                "frames",
                "code",
                "visit",
            ]
        ),
        _JSON,
    ),
)
def test_any_fields_are_a_message_or_a_protocol_error(name: str, fields: dict[str, object]) -> None:
    _decodes_or_refuses(json.dumps({"type": name, **fields}))


def _decodes_or_refuses(text: str) -> None:
    try:
        message = decode_message(text)
    except ProtocolError:
        return
    assert message.type


def test_samples_keep_their_value_through_16_bits_and_clip() -> None:
    samples = np.linspace(-1.0, 1.0, 1001, dtype=np.float32)
    assert np.abs(to_float(to_pcm(samples)) - samples).max() < 1 / 32_000
    assert to_pcm(np.array([3.0, -3.0], dtype=np.float32)).tolist() == [32767, -32767]


def test_every_message_to_the_page_names_its_type_once() -> None:
    types = [
        getattr(page_messages, name).TYPE
        for name in page_messages.__all__
        if hasattr(getattr(page_messages, name), "TYPE")
    ]
    assert len(types) == len(set(types)) >= 12
    told = json.loads(encode_message(page_messages.Heard(3, 5)))
    assert told == {"type": "heard", "turn": 3, "words": 5}

"""What the page and the server say to each other: frames and messages, in and out (pure).

Audio goes in binary WebSocket messages: a header of 24 bytes, little-endian, then 16-bit PCM, mono.
All else is JSON text. ``docs/kiosk.md`` has the table. Whatever breaks the protocol raises
``ProtocolError``; nothing else does.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

if TYPE_CHECKING:
    import numpy.typing as npt

    from voicebot.audio.samples import Samples

__all__ = [
    "FRAME_SAMPLES_MAX",
    "PROTOCOL_VERSION",
    "TEXT_BYTES_MAX",
    "Audible",
    "Begin",
    "Cleared",
    "End",
    "Join",
    "Late",
    "MicrophoneFrame",
    "PageMessage",
    "PlaybackReport",
    "Pong",
    "ProtocolError",
    "ReplyFrame",
    "SetLanguage",
    "decode_message",
    "decode_microphone_frame",
    "encode_message",
    "encode_microphone_frame",
    "encode_reply_frame",
    "to_float",
    "to_pcm",
]

PROTOCOL_VERSION = 1
FRAME_SAMPLES_MAX = 16_384
TEXT_BYTES_MAX = 4096

_MICROPHONE, _REPLY = 1, 2
_MICROPHONE_HEADER = struct.Struct("<BBHIQd")  # kind, version, 0, sequence, first sample, page ms
_REPLY_HEADER = struct.Struct("<BBHIQII")  # kind, version, 0, sequence, first frame, utterance, 0
_FULL_SCALE = 32_767.0
_COUNT_MAX = 2**53  # as far as the page's numbers are exact


class ProtocolError(Exception):
    """The page said something that the protocol does not know; the connection ends."""


@dataclass(frozen=True, slots=True, eq=False)
class MicrophoneFrame:
    """A stretch of the visitor's audio.

    Attributes:
        sequence: counts the frames of a connection, from 0.
        first_sample: position of the first sample on the page's capture clock.
        page_ms: the page's clock when the last sample was in its hands.
        samples: shape (n,), int16, at the rate that ``Begin`` told.
    """

    sequence: int
    first_sample: int
    page_ms: float
    samples: npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True, eq=False)
class ReplyFrame:
    """A stretch of the bot's audio.

    Attributes:
        sequence: counts the frames of a connection, from 0.
        first_frame: the frame of the page's playback clock at which the first sample is to play.
        utterance: to which utterance it belongs.
        samples: shape (n,), int16, at the rate that the page was told.
    """

    sequence: int
    first_frame: int
    utterance: int
    samples: npt.NDArray[np.int16]


def encode_microphone_frame(frame: MicrophoneFrame) -> bytes:
    """The bytes of ``frame``, as the page makes them."""
    header = _MICROPHONE_HEADER.pack(
        _MICROPHONE, PROTOCOL_VERSION, 0, frame.sequence, frame.first_sample, frame.page_ms
    )
    return header + frame.samples.astype("<i2").tobytes()


def decode_microphone_frame(data: bytes) -> MicrophoneFrame:
    """What the page's bytes say.

    Raises:
        ProtocolError: they are too short, too long, of another kind or version, or out of range.
    """
    body = len(data) - _MICROPHONE_HEADER.size
    if body <= 0 or body % 2 or body > 2 * FRAME_SAMPLES_MAX:
        raise ProtocolError(f"a binary frame of {len(data)} bytes")
    kind, version, zero, sequence, first_sample, page_ms = _MICROPHONE_HEADER.unpack_from(data)
    if (kind, version, zero) != (_MICROPHONE, PROTOCOL_VERSION, 0):
        raise ProtocolError(f"a binary frame of kind {kind}, version {version}")
    if first_sample > _COUNT_MAX or not 0.0 <= page_ms < _COUNT_MAX:
        raise ProtocolError("a binary frame whose counts are out of range")
    samples = np.frombuffer(data, dtype="<i2", offset=_MICROPHONE_HEADER.size).astype(np.int16)
    return MicrophoneFrame(sequence, first_sample, page_ms, samples)


def encode_reply_frame(frame: ReplyFrame) -> bytes:
    """The bytes of ``frame``, for the page."""
    header = _REPLY_HEADER.pack(
        _REPLY, PROTOCOL_VERSION, 0, frame.sequence, frame.first_frame, frame.utterance, 0
    )
    return header + frame.samples.astype("<i2").tobytes()


def to_float(pcm: npt.NDArray[np.int16]) -> Samples:
    """16-bit samples as float32 in -1 to 1."""
    return pcm.astype(np.float32) / np.float32(_FULL_SCALE)


def to_pcm(samples: Samples) -> npt.NDArray[np.int16]:
    """Float32 samples as 16 bits; what is beyond full scale is clipped."""
    return np.round(np.clip(samples, -1.0, 1.0) * _FULL_SCALE).astype(np.int16)


# What the page says. Numbers are checked here once, so that nothing behind needs to.

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_PageMs = Annotated[float, Field(ge=0.0, lt=_COUNT_MAX)]
_Frame = Annotated[int, Field(ge=0, lt=_COUNT_MAX)]
_Count = Annotated[int, Field(ge=0, lt=2**32)]
_LatencyMs = Annotated[float, Field(ge=0.0, le=5000.0)]


@checked_dataclass(frozen=True, slots=True, config=_STRICT)
class Join:
    """The first message of a connection.

    Attributes:
        version: the protocol's.
        visit: the conversation that this page was part of, if it was cut off; else empty.
    """

    type: Literal["join"]
    version: Annotated[int, Field(ge=0, le=1000)]
    visit: Annotated[str, Field(max_length=64)] = ""


@checked_dataclass(frozen=True, slots=True, config=_STRICT)
class Begin:
    """The visitor wants to talk here.

    Attributes:
        rate_hz: of the microphone's frames; 0 where the page is no microphone.
        input_latency_ms: from the microphone to the page, as far as the browser knows.
    """

    type: Literal["begin"]
    rate_hz: Annotated[int, Field(ge=0, le=192_000)] = 0
    input_latency_ms: _LatencyMs = 0.0


@checked_dataclass(frozen=True, slots=True, config=_STRICT)
class End:
    """The visitor is done."""

    type: Literal["end"]


@checked_dataclass(frozen=True, slots=True, config=_STRICT)
class Pong:
    """The answer to a ping: the page's clock."""

    type: Literal["pong"]
    id: _Count
    page_ms: _PageMs


@checked_dataclass(frozen=True, slots=True, config=_STRICT)
class PlaybackReport:
    """Where the page's playback stands.

    Attributes:
        rate_hz: frames a second; a report of another rate than the present one is out of date.
        rendered_frame: the frame that is computed next, at ``page_ms``.
        page_ms: the page's clock.
        output_frame: the frame that leaves the loudspeaker at ``output_page_ms``.
        output_page_ms: an instant on the page's clock.
    """

    type: Literal["playback"]
    rate_hz: Annotated[int, Field(ge=1, le=192_000)]
    rendered_frame: _Frame
    page_ms: _PageMs
    output_frame: _Frame
    output_page_ms: _PageMs


@checked_dataclass(frozen=True, slots=True, config=_STRICT)
class Cleared:
    """The page fell silent as it was told to.

    Attributes:
        sequence: of the ``clear`` that it answers.
        frame: the first frame that was not played.
    """

    type: Literal["cleared"]
    sequence: _Count
    frame: _Frame


@checked_dataclass(frozen=True, slots=True, config=_STRICT)
class Late:
    """Audio came too late to be played where it should; the utterance is shifted as a whole.

    Attributes:
        utterance: which one.
        frames: by how many frames it is shifted, all in all.
    """

    type: Literal["late"]
    utterance: _Count
    frames: Annotated[int, Field(ge=0, le=10_000_000)]


@checked_dataclass(frozen=True, slots=True, config=_STRICT)
class Audible:
    """The first sample of an utterance that can be heard has left.

    Attributes:
        utterance: which one.
        page_ms: the instant on the page's clock, by the audio context's output time.
    """

    type: Literal["audible"]
    utterance: _Count
    page_ms: _PageMs


@checked_dataclass(frozen=True, slots=True, config=_STRICT)
class SetLanguage:
    """The visitor chose a language."""

    type: Literal["language"]
    code: Annotated[str, Field(max_length=16)]


PageMessage: TypeAlias = (
    Join | Begin | End | Pong | PlaybackReport | Cleared | Late | Audible | SetLanguage
)

_PAGE_MESSAGE: TypeAdapter[PageMessage] = TypeAdapter(
    Annotated[PageMessage, Field(discriminator="type")]
)


def decode_message(text: str) -> PageMessage:
    """What the page's text says.

    Raises:
        ProtocolError: it is too long, no JSON, or no message of the protocol.
    """
    if len(text) > TEXT_BYTES_MAX:
        raise ProtocolError(f"a message of {len(text)} characters")
    try:
        return _PAGE_MESSAGE.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ProtocolError(f"a message that is not one: {first['msg']}") from None


def encode_message(message: Any) -> str:
    """The JSON text of a message to the page (one of ``page_messages``)."""
    return json.dumps(
        {"type": type(message).TYPE, **asdict(message)}, ensure_ascii=False, allow_nan=False
    )

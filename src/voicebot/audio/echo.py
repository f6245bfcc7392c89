"""Echo cancellation, noise suppression and gain, by WebRTC's audio processing.

The microphone hears what the loudspeaker plays. WebRTC's AudioProcessingModule (AEC3; from the
livekit package, which works without any network) is given both, 10 ms at a time, in step by the
devices' own times, and gives the user's voice alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from voicebot.audio.blocks import AudioBlock, Framer
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voicebot.audio.played import FarEnd
    from voicebot.audio.samples import Samples
    from voicebot.audio.sources import AudioSource

__all__ = ["FRAME_SAMPLES", "CleanSource", "VoiceProcessing", "VoiceProcessor"]

FRAME_SAMPLES = 160
"""WebRTC works on 10 ms."""

_ECHO_CANCELLATION_SAMPLES = 128
_NOISE_SUPPRESSION_SAMPLES = 96
_FULL_SCALE = 32767.0
_LEAD_S = 0.01
_QUIET_ROOM = 10.0 ** (-70.0 / 20.0)
_SETTLE_FRAMES = 300
_LEAST_LEAD_S = -0.01
_SPARE_S = 0.001
_STALLED_S = 0.1  # a loudspeaker that has stopped to ask says nothing about its latency
_NO_TIME_S = 1e-6
_FRAME_S = FRAME_SAMPLES / INPUT_SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceProcessing:
    """What is done to the microphone's sound.

    Attributes:
        echo_cancellation: take out what the loudspeaker played; delays by 8 ms.
        noise_suppression: take out steady noise; delays by 6 ms.
        gain_control: bring speech to a usual level.
    """

    echo_cancellation: bool = True
    noise_suppression: bool = False
    gain_control: bool = False

    @property
    def is_any(self) -> bool:
        """Whether there is anything to do."""
        return self.echo_cancellation or self.noise_suppression or self.gain_control

    @property
    def delay_samples(self) -> int:
        """By how many samples at 16 kHz the sound comes out later."""
        return (
            self.echo_cancellation * _ECHO_CANCELLATION_SAMPLES
            + self.noise_suppression * _NOISE_SUPPRESSION_SAMPLES
        )


class VoiceProcessor:
    """WebRTC's processing of one pair of streams, 10 ms at a time; about 50 microseconds each.

    Args:
        processing: what to do.

    Raises:
        AudioError: the livekit package cannot be loaded.
    """

    def __init__(self, processing: VoiceProcessing) -> None:
        try:
            from livekit.rtc import AudioFrame  # noqa: PLC0415  # 28 MB of library
            from livekit.rtc.apm import AudioProcessingModule  # noqa: PLC0415
        except (ImportError, OSError) as error:
            raise AudioError(
                f"the echo canceller cannot be loaded ({error})",
                "install the package livekit, or wear headphones and set "
                "audio.echo_cancellation, audio.noise_suppression and audio.gain_control to false",
            ) from error
        self._hears_far_end = processing.echo_cancellation
        self._make_frame = AudioFrame
        self._module: Any = AudioProcessingModule(
            echo_cancellation=processing.echo_cancellation,
            noise_suppression=processing.noise_suppression,
            high_pass_filter=processing.echo_cancellation,
            auto_gain_control=processing.gain_control,
        )
        self._settle()

    def _settle(self) -> None:
        """Let it hear a quiet room: in its first seconds it would suppress the user's voice."""
        noise = np.random.default_rng(0).normal(0.0, _QUIET_ROOM, (_SETTLE_FRAMES, FRAME_SAMPLES))
        silence = np.zeros(FRAME_SAMPLES, dtype=np.float32)
        for frame in noise.astype(np.float32):
            self.process(frame, silence, delay_ms=0)

    def process(self, near: Samples, far: Samples, *, delay_ms: int) -> Samples:
        """The user's voice in ``near``.

        Args:
            near: what the microphone took, shape (160,), float32, 16 kHz.
            far: what the loudspeaker played, shape (160,), float32, 16 kHz.
            delay_ms: how much later than ``far`` its sound is in ``near``.

        Returns:
            Shape (160,), float32, later by ``VoiceProcessing.delay_samples``.
        """
        if self._hears_far_end:
            self._module.process_reverse_stream(self._frame(far))
            self._module.set_stream_delay_ms(delay_ms)
        frame = self._frame(near)
        self._module.process_stream(frame)
        pcm = np.frombuffer(frame.data, dtype=np.int16)
        return pcm.astype(np.float32) / np.float32(_FULL_SCALE)

    def _frame(self, samples: Samples) -> Any:
        scaled = np.nan_to_num(samples) * _FULL_SCALE
        pcm = np.clip(scaled, -_FULL_SCALE, _FULL_SCALE).round().astype(np.int16)
        return self._make_frame(bytearray(pcm.tobytes()), INPUT_SAMPLE_RATE_HZ, 1, FRAME_SAMPLES)


class CleanSource:
    """A source without the echo of a loudspeaker. An ``AudioSource``.

    The far end is read a little ahead of the near end, so that the echo never comes first when a
    device reports its times wrongly by some milliseconds. How far it can be read ahead depends on
    the devices' latencies; the lead is shortened until all that is read is known.

    Instants stay true: a block's ``start_s`` is the ADC time of what is heard in it.

    Args:
        source: the microphone.
        far_end: the loudspeaker.
        processing: what to do.
        processor: instead of WebRTC's, for tests.

    Raises:
        AudioError: the livekit package cannot be loaded.
    """

    def __init__(
        self,
        source: AudioSource,
        far_end: FarEnd,
        processing: VoiceProcessing,
        *,
        processor: VoiceProcessor | None = None,
    ) -> None:
        self._source = source
        self._far_end = far_end
        self._delay_s = processing.delay_samples / INPUT_SAMPLE_RATE_HZ
        self._processor = processor or VoiceProcessor(processing)
        self._lead_s = _LEAD_S
        self.frames_without_far_end = 0
        """Of 10 ms each, for which it was not known what the loudspeaker played."""

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        """The source's blocks, cleaned; of whole 10 ms each."""
        framer = Framer(FRAME_SAMPLES)
        async for block in self._source.blocks():
            frames = list(framer.push(block))
            if frames:
                cleaned = [self._clean(frame) for frame in frames]
                yield AudioBlock(np.concatenate(cleaned), frames[0].start_s - self._delay_s)

    def _clean(self, frame: AudioBlock) -> Samples:
        far_start_s = frame.start_s + self._lead_s
        missing_s = far_start_s + _FRAME_S - self._far_end.leaving_known_until_s
        if missing_s > _NO_TIME_S:
            self.frames_without_far_end += 1
            if missing_s < _STALLED_S:
                self._lead_s = max(_LEAST_LEAD_S, self._lead_s - missing_s - _SPARE_S)
        far = self._far_end.leaving(far_start_s, FRAME_SAMPLES)
        delay_ms = max(0, round(self._lead_s * 1000.0))
        return self._processor.process(frame.samples, far, delay_ms=delay_ms)

"""Echo cancellation: WebRTC's arithmetic, and the bookkeeping around it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from voicebot.audio.blocks import AudioBlock
from voicebot.audio.clocks import StreamClock
from voicebot.audio.echo import FRAME_SAMPLES, CleanSource, VoiceProcessing, VoiceProcessor
from voicebot.audio.files import read_audio
from voicebot.audio.played import PlayedTrack
from voicebot.audio.room import Room, RoomSource, room_impulse_response, soft_clip
from voicebot.audio.sinks import VirtualSpeaker
from voicebot.audio.sources import VirtualMicrophone
from voicebot.engines.espeak import EspeakTts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from voicebot.audio.samples import Samples

    Run = Callable[[Coroutine[Any, Any, Any]], Any]

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "speech" / "echo"
STORY = "Once upon a time there was a small town by the sea, and in it there lived a baker."


def level_db(samples: Samples) -> float:
    return 10 * float(np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-12))


def bursts(seconds: float, *, rate_hz: int, seed: int = 0) -> Samples:
    """Noise that comes and goes four times a second, as syllables do."""
    noise = np.random.default_rng(seed).normal(0, 0.1, round(seconds * rate_hz))
    swell = 0.5 - 0.5 * np.cos(2 * np.pi * 4 * np.arange(len(noise)) / rate_hz)
    return (noise * swell).astype(np.float32)


def process(near: Samples, far: Samples, processing: VoiceProcessing) -> Samples:
    processor = VoiceProcessor(processing)
    return np.concatenate(
        [
            processor.process(near[at : at + 160], far[at : at + 160], delay_ms=0)
            for at in range(0, len(near) - 159, 160)
        ]
    )


@pytest.mark.parametrize(
    "processing",
    [
        VoiceProcessing(echo_cancellation=True, noise_suppression=False, gain_control=False),
        VoiceProcessing(echo_cancellation=False, noise_suppression=True, gain_control=False),
        VoiceProcessing(echo_cancellation=True, noise_suppression=True, gain_control=False),
        VoiceProcessing(echo_cancellation=True, noise_suppression=True, gain_control=True),
        VoiceProcessing(echo_cancellation=False, noise_suppression=False, gain_control=True),
    ],
)
def test_the_delay_is_as_long_as_is_said(processing: VoiceProcessing) -> None:
    """Instants are corrected by it, so it must hold for the version of the library in use."""
    near = np.random.default_rng(0).normal(0, 0.05, 32_000).astype(np.float32)
    out = process(near, np.zeros_like(near), processing)
    spectrum = np.fft.rfft(out, 65_536) * np.conj(np.fft.rfft(near[: len(out)], 65_536))
    assert int(np.argmax(np.fft.irfft(spectrum)[:1000])) == processing.delay_samples


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the shared recordings are not beside us")
def test_recorded_echo_is_cancelled_and_a_recorded_voice_is_kept() -> None:
    pairs = {}
    for kind in ("farend_singletalk", "nearend_singletalk"):
        (mic,) = RECORDED.glob(f"*{kind}_mic.flac")
        near = read_audio(mic).samples
        far = read_audio(mic.with_name(mic.name.replace("_mic", "_lpb"))).samples
        count = min(len(near), len(far)) // FRAME_SAMPLES * FRAME_SAMPLES
        pairs[kind] = near[:count], process(near[:count], far[:count], VoiceProcessing())
    heard, cleaned = (side[48_000:] for side in pairs["farend_singletalk"])
    assert level_db(heard) - level_db(cleaned) > 20
    heard, cleaned = pairs["nearend_singletalk"]
    assert level_db(heard) - level_db(cleaned) < 3


def test_the_first_words_are_kept_though_the_room_was_never_heard() -> None:
    spoken = bursts(1.0, rate_hz=16_000)
    cleaned = process(spoken, np.zeros_like(spoken), VoiceProcessing())
    assert level_db(spoken) - level_db(cleaned) < 2


class FarEndOf:
    """A loudspeaker whose device has a clock of its own."""

    def __init__(self, rate_hz: int, drift_ppm: float) -> None:
        self.clock = StreamClock(rate_hz)
        self.track = PlayedTrack(rate_hz, self.clock)
        self.true_rate_hz = rate_hz * (1 + drift_ppm / 1e6)
        self.played = 0

    @property
    def leaving_known_until_s(self) -> float:
        return self.track.known_until_s

    def leaving(self, start_s: float, count: int) -> Samples:
        return self.track.leaving(start_s, count)

    def play(self, samples: Samples) -> None:
        self.clock.observe(self.played, self.played / self.true_rate_hz)
        self.track.push(samples)
        self.played += len(samples)


def test_echo_is_cancelled_though_the_clocks_run_apart(virtual_time: Run) -> None:
    """The loudspeaker's device runs 200 millionths fast: 6 ms in this half minute."""
    seconds = 30.0
    played = bursts(seconds + 1, rate_hz=16_000)
    far_end = FarEndOf(16_000, 200.0)
    response = room_impulse_response(Room(rt60_s=0.2))
    place = np.arange(round(seconds * 16_000)) * (far_end.true_rate_hz / 16_000)
    left = np.interp(place, np.arange(len(played)), played).astype(np.float32)
    echo = np.convolve(soft_clip(left, 0.7), response)[: len(left)].astype(np.float32)
    noise = np.random.default_rng(1).normal(0, 0.001, len(echo)).astype(np.float32)

    class Microphone:
        async def blocks(self) -> AsyncIterator[AudioBlock]:
            for at in range(0, len(echo), 160):
                while far_end.played < at + 1600:
                    far_end.play(played[far_end.played : far_end.played + 160])
                yield AudioBlock((echo + noise)[at : at + 160], at / 16_000)

    async def main() -> Samples:
        source = CleanSource(Microphone(), far_end, VoiceProcessing())
        return np.concatenate([block.samples async for block in source.blocks()])

    cleaned = virtual_time(main())
    late = slice(20 * 16_000, None)
    assert level_db(echo[late]) - level_db(cleaned[late]) > 20


def test_a_room_is_silent_for_whoever_listens_behind_the_canceller(virtual_time: Run) -> None:
    async def main() -> tuple[float, float, int]:
        microphone = VirtualMicrophone(block_ms=10)
        speaker = VirtualSpeaker(22_050, block_ms=10, output_latency_ms=20)
        room = RoomSource(microphone, speaker, Room(echo_gain_db=6.0))
        spoken = EspeakTts().synthesise(STORY, threading.Event())
        heard: list[Samples] = []

        class Heard:
            async def blocks(self) -> AsyncIterator[AudioBlock]:
                async for block in room.blocks():
                    heard.append(block.samples)
                    yield block

        source = CleanSource(Heard(), speaker, VoiceProcessing())
        cleaned: list[Samples] = []
        async for block in source.blocks():
            cleaned.append(block.samples)
            if len(cleaned) == 100:
                speaker.write(np.concatenate([chunk.samples for chunk in spoken]))
            if len(cleaned) == 550:
                microphone.close()
        before, after = np.concatenate(heard[105:]), np.concatenate(cleaned[105:])
        return level_db(before), level_db(after), source.frames_without_far_end

    echo_db, residual_db, missing = virtual_time(main())
    assert echo_db > -30
    assert echo_db - residual_db > 25
    assert missing <= 1


class Recorder:
    """Instead of WebRTC: gives the near end back and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Samples, Samples, int]] = []

    def process(self, near: Samples, far: Samples, *, delay_ms: int) -> Samples:
        self.asked.append((near, far, delay_ms))
        return near


class Ramp:
    """A far end whose samples tell their instants."""

    def __init__(self, known_ahead_s: float) -> None:
        self.known_ahead_s = known_ahead_s
        self.now_s = 0.0

    @property
    def leaving_known_until_s(self) -> float:
        return self.now_s + self.known_ahead_s

    def leaving(self, start_s: float, count: int) -> Samples:
        return (start_s + np.arange(count) / 16_000).astype(np.float32)


async def clean_ramp(
    far_end: Ramp, sizes: list[int], processing: VoiceProcessing
) -> tuple[list[AudioBlock], Recorder, CleanSource]:
    class Source:
        async def blocks(self) -> AsyncIterator[AudioBlock]:
            at = 0
            for size in sizes:
                far_end.now_s = (at + size) / 16_000
                samples = ((at + np.arange(size)) / 16_000).astype(np.float32)
                yield AudioBlock(samples, at / 16_000)
                at += size

    recorder = Recorder()
    source = CleanSource(Source(), far_end, processing, processor=recorder)  # type: ignore[arg-type]
    return [block async for block in source.blocks()], recorder, source


def test_instants_stay_those_at_which_the_sound_was_taken(virtual_time: Run) -> None:
    blocks, _, _ = virtual_time(
        clean_ramp(Ramp(1.0), [100, 100, 500, 160, 37, 203] * 3, VoiceProcessing())
    )
    assert {len(block.samples) % FRAME_SAMPLES for block in blocks} == {0}
    for block in blocks:
        # What comes out is what went in 128 samples earlier.
        assert block.start_s == pytest.approx(float(block.samples[0]) - 128 / 16_000, abs=1e-6)


def test_the_far_end_is_read_by_the_same_instants_a_little_ahead(virtual_time: Run) -> None:
    _, recorder, source = virtual_time(clean_ramp(Ramp(1.0), [160] * 20, VoiceProcessing()))
    for near, far, delay_ms in recorder.asked:
        assert far[0] - near[0] == pytest.approx(0.01, abs=1e-5)
        assert delay_ms == 10
    assert source.frames_without_far_end == 0


def test_the_lead_is_shortened_to_what_is_known(virtual_time: Run) -> None:
    _, recorder, source = virtual_time(clean_ramp(Ramp(0.004), [160] * 50, VoiceProcessing()))
    near, far, delay_ms = recorder.asked[-1]
    assert far[0] - near[0] == pytest.approx(0.003, abs=1e-5)
    assert delay_ms == 3
    assert source.frames_without_far_end == 1


def test_a_loudspeaker_that_stands_still_does_not_shorten_the_lead(virtual_time: Run) -> None:
    _, recorder, source = virtual_time(clean_ramp(Ramp(-5.0), [160] * 50, VoiceProcessing()))
    assert {delay_ms for _, _, delay_ms in recorder.asked} == {10}
    assert source.frames_without_far_end == 50

"""What the instrument itself gets wrong: callers and answers of which the truth is known."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voicebot.acoustic.bias import Bias, bias_of
from voicebot.acoustic.heard import hear_turn
from voicebot.acoustic.loopback_assistant import beep
from voicebot.audio.files import write_wav
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.bench.callers import Caller, CallerTurn

if TYPE_CHECKING:
    from voicebot.acoustic.pulse_ports import PulsePorts
    from voicebot.audio.samples import Samples

__all__ = [
    "KNOWN_DELAY_MS",
    "SelfTest",
    "measure_known_answers",
    "noise_clip",
    "sound_test_callers",
]

KNOWN_DELAY_MS = 500.0
"""The loop-back assistant's latency."""

_CLIP_S, _LEAD_S = 1.2, 0.3
_POLL_S = 0.02
_SETTLE_S = 0.3


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What came of it, in milliseconds.

    Attributes:
        instrument: measured less true, where caller and answer are played from one clock, the
            answer so many samples behind the true end: nobody's error but the instrument's.
        device_path: measured less true, where a program hears the caller through its microphone
            and answers through its loudspeaker: the error of the times that its devices report.
    """

    instrument: Bias
    device_path: Bias


def noise_clip(sample_rate_hz: int, seed: int) -> Samples:
    """Noise with a hard end at ``_LEAD_S + _CLIP_S`` seconds, silence around it; shape (n,)."""
    generator = np.random.default_rng(seed)
    noise = 0.1 * generator.standard_normal(round(_CLIP_S * sample_rate_hz))
    noise[-1] = 0.3  # so that the end can be heard to the sample
    silence = np.zeros(round(_LEAD_S * sample_rate_hz))
    samples: Samples = np.concatenate((silence, noise, silence)).astype(np.float32)
    return samples


def _label(number: int, path: Path) -> CallerTurn:
    return CallerTurn(
        name=f"noise-{number}",
        path=path,
        kind="self-test",
        duration_s=_CLIP_S + 2 * _LEAD_S,
        speech=((_LEAD_S, _LEAD_S + _CLIP_S),),
    )


def sound_test_callers(folder: Path, count: int) -> list[Caller]:
    """Callers of noise, whose end is known to the sample, as files in ``folder``."""
    callers = []
    for number in range(count):
        path = folder / f"noise-{number}.wav"
        write_wav(path, noise_clip(INPUT_SAMPLE_RATE_HZ, number), INPUT_SAMPLE_RATE_HZ)
        turn = _label(number, path)
        callers.append(Caller(turn.name, turn.kind, (turn,)))
    return callers


def measure_known_answers(ports: PulsePorts, count: int) -> Bias:
    """Play caller and answer as two channels of one sound, and measure.

    Args:
        ports: of a virtual room in which nobody else speaks.
        count: how many.

    Returns:
        Measured less true, in milliseconds.

    Raises:
        DeviceError: the room is gone.
        AudioError: the sound is not in the recording.
    """
    rate_hz = ports.play_rate_hz
    errors_ms = []
    for number in range(count):
        clip = noise_clip(rate_hz, number)
        true_end = round((_LEAD_S + _CLIP_S) * rate_hz)
        # A delay of its own for each, none of which is a whole number of windows.
        delay = round((100.0 + 37.3 * number) * rate_hz / 1000.0)
        tone = beep(rate_hz)
        frames = np.zeros((true_end + delay + tone.size, 2), dtype=np.float32)
        frames[: clip.size, 0] = clip  # it ends before the answer does
        frames[true_end + delay :, 1] = tone
        begins = ports.tape.end
        playing = ports.play_both(frames)
        try:
            while not playing.is_over():
                time.sleep(_POLL_S)
                ports.check()
            time.sleep(_SETTLE_S)
        finally:
            playing.stop()
        user, first = ports.tape.channel(0, begins)
        bot = ports.tape.channel(1, first)[0][: user.size]
        heard = hear_turn(user, bot, rate_hz, clip=clip, label=_label(number, Path()))
        measured_ms = heard.voice_to_voice_ms
        if measured_ms is not None:
            errors_ms.append(measured_ms - delay * 1000.0 / rate_hz)
    return bias_of(errors_ms)

"""A loopback cable or a second microphone: real devices through PortAudio."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from voicebot.acoustic.recording_file import recording_file
from voicebot.acoustic.tape import Tape
from voicebot.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from voicebot.audio.samples import Samples

__all__ = ["DevicePorts", "device_ports"]

_SILENT_S = 3.0
_LOWEST_RATE_HZ = 16_000
_STEREO = 2


class _DevicePlaying:
    """A clip in an output stream."""

    def __init__(self, stream: Any, finished: threading.Event, began_s: float) -> None:
        self._stream = stream
        self._finished = finished
        self._longest_until_s = began_s

    def is_over(self) -> bool:
        if not self._finished.is_set():
            if time.monotonic() > self._longest_until_s:
                raise DeviceError("the caller's device has stopped to play", "connect it again")
            return False
        self._stream.close()
        return True

    def stop(self) -> None:
        self._stream.abort()
        self._stream.close()


class DevicePorts:
    """See ``RoomPorts``; made by ``device_ports``."""

    def __init__(self, sounddevice: Any, player: int | str, play_rate_hz: int, tape: Tape) -> None:
        self._sounddevice = sounddevice
        self._player = player
        self.play_rate_hz = play_rate_hz
        self.tape = tape
        self._seen_end, self._seen_at_s = 0, time.monotonic()

    def play(self, samples: Samples) -> _DevicePlaying:
        """Let the caller speak; shape (n,) at ``play_rate_hz``.

        Raises:
            DeviceError: the device cannot be opened.
        """
        at = 0

        def on_demand(out: Any, frames: int, stream_time: Any, status: Any) -> None:
            nonlocal at
            del stream_time, status
            part = samples[at : at + frames]
            out[: len(part), 0] = part
            out[len(part) :, 0] = 0.0
            at += frames
            if at >= samples.size:
                raise self._sounddevice.CallbackStop

        finished = threading.Event()
        try:
            stream = self._sounddevice.OutputStream(
                device=self._player,
                samplerate=self.play_rate_hz,
                channels=1,
                dtype="float32",
                latency="high",
                callback=on_demand,
                finished_callback=finished.set,
            )
            stream.start()
        except self._sounddevice.PortAudioError as error:
            raise DeviceError(
                f"the caller's device cannot be opened ({error})",
                "close other programs that use it, or choose another with --play",
            ) from error
        longest_s = samples.size / self.play_rate_hz + _SILENT_S
        return _DevicePlaying(stream, finished, time.monotonic() + longest_s)

    def check(self) -> None:
        """Find out whether the recording goes on.

        Raises:
            DeviceError: the device gives nothing any more.
            OutputError: what shall be kept cannot be written.
        """
        self.tape.check()
        now_s = time.monotonic()
        if self.tape.end > self._seen_end:
            self._seen_end, self._seen_at_s = self.tape.end, now_s
        if now_s - self._seen_at_s > _SILENT_S:
            raise DeviceError(
                f"the recording device has given nothing for {_SILENT_S:g} s",
                "see whether it is still connected, then start again",
            )


@contextmanager
def device_ports(
    *,
    player: str,
    recorder: str,
    channels: int | None = None,
    keep: Path | None = None,
) -> Iterator[DevicePorts]:
    """Record a device until the context is left.

    Args:
        player: where callers are played, by name or number.
        recorder: what hears both sides, by name or number.
        channels: 2 with the caller left and the bot right; 1 if one microphone hears both; None
            for what the device has.
        keep: a file for the whole recording.

    Raises:
        DeviceError: a device is absent, busy, or gives a rate below 16 kHz.
        OutputError: the file cannot be opened.
    """
    try:
        import sounddevice  # noqa: PLC0415 - loads PortAudio, which only devices need
    except OSError as error:
        raise DeviceError(
            "the PortAudio library is missing", "install it (Debian: apt-get install libportaudio2)"
        ) from error
    play_device, play_info = _find(sounddevice, player, "output", "--play")
    record_device, record_info = _find(sounddevice, recorder, "input", "--record")
    rate_hz = round(record_info["default_samplerate"])
    if rate_hz < _LOWEST_RATE_HZ:
        raise DeviceError(
            f"the recording device runs at {rate_hz} Hz",
            f"set it to {_LOWEST_RATE_HZ} Hz or more in the system's sound settings",
        )
    has_channels = int(record_info["max_input_channels"])
    wanted = channels or min(_STEREO, has_channels)
    if wanted > has_channels:
        raise DeviceError(
            "the recording device has one channel only",
            "choose another with --record, or measure with --channels 1",
        )
    with ExitStack() as opened:
        kept = None
        if keep is not None:
            kept = opened.enter_context(recording_file(keep, rate_hz, wanted))
        tape = Tape(rate_hz, wanted, kept)
        opened.enter_context(_recording(sounddevice, record_device, tape))
        yield DevicePorts(sounddevice, play_device, round(play_info["default_samplerate"]), tape)


@contextmanager
def _recording(sounddevice: Any, device: int | str, tape: Tape) -> Iterator[None]:
    rate_hz = tape.sample_rate_hz
    offset_s = time.time() - time.monotonic()

    def on_audio(data: Any, frames: int, times: Any, status: Any) -> None:
        del status
        now_s = time.monotonic() + offset_s
        adc_s = times.inputBufferAdcTime
        # Without an ADC time the block is taken to have ended just now.
        late_s = times.currentTime - adc_s - frames / rate_hz if adc_s else 0.0
        tape.append(np.array(data, dtype=np.float32), heard_at_s=now_s - max(0.0, late_s))

    try:
        stream = sounddevice.InputStream(
            device=device,
            samplerate=rate_hz,
            channels=tape.channels,
            dtype="float32",
            latency="high",
            callback=on_audio,
        )
    except sounddevice.PortAudioError as error:
        raise DeviceError(
            f"the recording device cannot be opened ({error})",
            "close other programs that use it, or choose another with --record",
        ) from error
    with stream:
        yield


def _find(sounddevice: Any, name: str, side: str, flag: str) -> tuple[int | str, Any]:
    device: int | str = int(name) if name.isdigit() else name
    try:
        return device, sounddevice.query_devices(device, side)
    except (sounddevice.PortAudioError, ValueError) as error:
        raise DeviceError(
            f"no {side} device {name!r} ({flag})", "'voicebot doctor' lists the devices"
        ) from error

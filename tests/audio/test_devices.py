"""The microphone and the loudspeaker against a PortAudio that the test drives."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soxr

from voicebot.audio import devices as devices_module
from voicebot.audio import portaudio as portaudio_module
from voicebot.audio.devices import Microphone, Speaker, require_devices
from voicebot.audio.resampling import StreamResampler
from voicebot.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from voicebot.audio.blocks import AudioBlock
    from voicebot.audio.samples import Samples

    Run = Callable[[Coroutine[Any, Any, Any]], Any]

RATE_HZ = 16_000
BLOCK_S = 0.01
STREAM_AHEAD_S = 1000.0  # PortAudio's clock against the loop's
INPUT_LATENCY_S = 0.02
OUTPUT_LATENCY_S = 0.03


class PortAudioError(Exception):
    """As sounddevice's own."""


@dataclass
class FakeStream:
    """A stream whose callback the test calls."""

    samplerate: int
    blocksize: int
    callback: Callable[..., None]
    latency: float = OUTPUT_LATENCY_S
    is_started: bool = False
    is_closed: bool = False

    def start(self) -> None:
        self.is_started = True

    def close(self) -> None:
        self.is_closed = True


@dataclass
class FakePortAudio:
    """One device a side, named "desk", that takes its own rate and those it is told to."""

    own_rate_hz: int = RATE_HZ
    rates_hz: set[int] = field(default_factory=lambda: {RATE_HZ})
    streams: list[FakeStream] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    refusal: tuple[str, int] = ("Invalid sample rate", -9997)
    PortAudioError: type[Exception] = PortAudioError

    def query_devices(self, kind: str | None = None) -> Any:
        desk = {
            "index": 0,
            "name": "desk",
            "hostapi": 0,
            "max_input_channels": 2,
            "max_output_channels": 2,
            "default_samplerate": float(self.own_rate_hz),
            "default_low_input_latency": INPUT_LATENCY_S,
            "default_low_output_latency": OUTPUT_LATENCY_S,
        }
        assert kind in {None, "input", "output"}
        return [desk] if kind is None else desk

    def query_hostapis(self) -> list[dict[str, str]]:
        return [{"name": "Fake"}]

    def InputStream(self, **settings: Any) -> FakeStream:  # noqa: N802  # sounddevice's name
        return self._open(settings)

    def OutputStream(self, **settings: Any) -> FakeStream:  # noqa: N802  # sounddevice's name
        return self._open(settings)

    def _open(self, settings: dict[str, Any]) -> FakeStream:
        self.asked.append(settings)
        if settings["samplerate"] not in self.rates_hz:
            raise PortAudioError(*self.refusal)
        assert settings["dtype"] == "float32"
        assert settings["device"] == 0
        stream = FakeStream(settings["samplerate"], settings["blocksize"], settings["callback"])
        self.streams.append(stream)
        return stream


@pytest.fixture
def portaudio(monkeypatch: pytest.MonkeyPatch) -> FakePortAudio:
    fake = FakePortAudio()
    monkeypatch.setattr(portaudio_module, "_sounddevice", lambda: fake)
    return fake


def deliver(stream: FakeStream, samples: Samples, *, adc_s: float, late_s: float = 0.0) -> None:
    """The callback with a block whose first sample was taken at ``adc_s`` of the loop's clock."""
    current_s = asyncio.get_running_loop().time() - late_s + STREAM_AHEAD_S
    time = SimpleNamespace(currentTime=current_s, inputBufferAdcTime=adc_s + STREAM_AHEAD_S)
    stream.callback(samples[:, None], len(samples), time, None)


class Player:
    """Asks the loudspeaker for a block every 10 ms and keeps what leaves, and when."""

    def __init__(self, stream: FakeStream) -> None:
        self._stream = stream
        self.played: list[tuple[float, Samples]] = []

    async def ask(self, blocks: int = 1, *, late_s: float = 0.0) -> None:
        """Ask for ``blocks``, the first of which Python gets to see late."""
        loop = asyncio.get_running_loop()
        for index in range(blocks):
            current_s = loop.time() - (late_s if index == 0 else 0.0)
            time = SimpleNamespace(
                currentTime=current_s + STREAM_AHEAD_S,
                outputBufferDacTime=current_s + OUTPUT_LATENCY_S + STREAM_AHEAD_S,
            )
            out = np.full((self._stream.blocksize, 1), np.nan, dtype=np.float32)
            self._stream.callback(out, len(out), time, None)
            assert not np.isnan(out).any(), "every sample is set"
            self.played.append((current_s + OUTPUT_LATENCY_S, out[:, 0]))
            await asyncio.sleep(BLOCK_S)

    @property
    def samples(self) -> Samples:
        return np.concatenate([samples for _, samples in self.played])

    def onset_s(self) -> float:
        """The instant at which the first sample that is not silence left."""
        for start_s, samples in self.played:
            loud = np.flatnonzero(samples)
            if len(loud):
                return float(start_s + loud[0] / self._stream.samplerate)
        raise AssertionError("nothing sounded")


def ones(count: int) -> Samples:
    return np.ones(count, dtype=np.float32)


# The microphone.


def test_blocks_come_with_the_instants_of_their_first_samples(
    virtual_time: Run, portaudio: FakePortAudio
) -> None:
    async def main() -> list[AudioBlock]:
        with Microphone("", block_ms=10) as microphone:
            (stream,) = portaudio.streams
            assert stream.is_started
            for index in range(100):
                await asyncio.sleep(BLOCK_S)
                adc_s = asyncio.get_running_loop().time() - INPUT_LATENCY_S
                deliver(stream, ones(160) * index, adc_s=adc_s)
            await asyncio.sleep(0)
            microphone.close()
            blocks = [block async for block in microphone.blocks()]
        assert stream.is_closed
        return blocks

    blocks = virtual_time(main())
    assert [block.samples[0] for block in blocks] == list(range(100))
    for index, block in enumerate(blocks):
        assert block.start_s == pytest.approx((index + 1) * BLOCK_S - INPUT_LATENCY_S)


def test_a_late_callback_does_not_shift_later_instants(
    virtual_time: Run, portaudio: FakePortAudio
) -> None:
    """Python may hold a callback up; the device's own clock does not care."""
    stall_at, stall_s = 50, 0.3

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        with Microphone("", block_ms=10) as microphone:
            (stream,) = portaudio.streams
            true_starts = []
            for index in range(400):
                taken_s = index * BLOCK_S
                due_s = taken_s + BLOCK_S + INPUT_LATENCY_S
                runs_s = due_s + (stall_s if index == stall_at else 0.0005)
                await asyncio.sleep(max(0.0, runs_s - loop.time()))
                deliver(stream, ones(160), adc_s=taken_s, late_s=loop.time() - due_s)
                true_starts.append(taken_s)
            await asyncio.sleep(0)
            microphone.close()
            blocks = [block async for block in microphone.blocks()]
        return [block.start_s - true_s for block, true_s in zip(blocks, true_starts, strict=True)]

    errors_s = virtual_time(main())
    assert max(map(abs, errors_s)) < 0.002


def test_instants_follow_a_gap_and_never_run_back(
    virtual_time: Run, portaudio: FakePortAudio
) -> None:
    async def main() -> list[AudioBlock]:
        with Microphone("", block_ms=10) as microphone:
            for adc_s in (1.0, 1.01, 1.02, 1.5, 1.51, 1.505):
                deliver(portaudio.streams[0], ones(160), adc_s=adc_s)
            await asyncio.sleep(0)
            microphone.close()
            return [block async for block in microphone.blocks()]

    starts = [block.start_s for block in virtual_time(main())]
    assert starts[3] == pytest.approx(1.5)
    assert starts == sorted(starts)


def test_a_microphone_that_stops_delivering_is_a_device_error(
    virtual_time: Run, portaudio: FakePortAudio
) -> None:
    async def main() -> float:
        with Microphone("", block_ms=10) as microphone:
            deliver(portaudio.streams[0], ones(160), adc_s=0.0)
            blocks = aiter(microphone.blocks())
            assert len((await anext(blocks)).samples) == 160
            with pytest.raises(DeviceError, match=r"has delivered nothing .*still connected"):
                await anext(blocks)
            return asyncio.get_running_loop().time()

    assert 1.0 < virtual_time(main()) < 10.0


def test_a_microphone_at_another_rate_is_resampled(
    virtual_time: Run, portaudio: FakePortAudio
) -> None:
    portaudio.own_rate_hz = 48_000
    portaudio.rates_hz = {48_000}

    async def main() -> list[AudioBlock]:
        with Microphone("", block_ms=10) as microphone:
            (stream,) = portaudio.streams
            assert stream.blocksize == 480
            for index in range(200):
                deliver(stream, ones(480), adc_s=index * BLOCK_S)
            await asyncio.sleep(0)
            microphone.close()
            return [block async for block in microphone.blocks()]

    blocks = virtual_time(main())
    seconds = sum(len(block.samples) for block in blocks) / RATE_HZ
    assert seconds == pytest.approx(2.0, abs=0.002), "the filter holds 1 ms back"
    for index, block in enumerate(blocks[1:]):
        assert block.start_s == pytest.approx((index + 1) * BLOCK_S, abs=0.0015)
    assert np.concatenate([block.samples for block in blocks])[8000:] == pytest.approx(1, abs=0.01)


def test_overruns_are_counted(virtual_time: Run, portaudio: FakePortAudio) -> None:
    async def main() -> int:
        with Microphone("", block_ms=10) as microphone:
            time = SimpleNamespace(currentTime=1.0, inputBufferAdcTime=0.98)
            status = SimpleNamespace(input_overflow=True)
            portaudio.streams[0].callback(ones(160)[:, None], 160, time, status)
            deliver(portaudio.streams[0], ones(160), adc_s=0.0)
            return microphone.overruns

    assert virtual_time(main()) == 1


# The loudspeaker.


def test_write_tells_when_its_first_sample_leaves(
    virtual_time: Run, portaudio: FakePortAudio
) -> None:
    async def main() -> None:
        with Speaker("", sample_rate_hz=RATE_HZ, block_ms=10) as speaker:
            player = Player(portaudio.streams[0])
            await player.ask(20)
            speaker.begin()
            starts_s = speaker.write(ones(250))
            follows_s = speaker.write(ones(70))
            assert follows_s == pytest.approx(starts_s + 250 / RATE_HZ)
            assert speaker.ends_s == pytest.approx(starts_s + 320 / RATE_HZ)
            await player.ask(5)
            assert player.onset_s() == pytest.approx(starts_s, abs=1e-4)
            assert np.count_nonzero(player.samples) == 320

    virtual_time(main())


def test_what_has_been_played_ends_in_the_past(virtual_time: Run, portaudio: FakePortAudio) -> None:
    """Or a reply would never be over while the device asks for more."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with Speaker("", sample_rate_hz=RATE_HZ, block_ms=10) as speaker:
            player = Player(portaudio.streams[0])
            await player.ask(5)
            assert speaker.ends_s < loop.time()
            speaker.begin()
            starts_s = speaker.write(ones(250))
            await player.ask(30)
            assert speaker.ends_s == pytest.approx(starts_s + 250 / RATE_HZ, abs=1e-4)
            assert speaker.ends_s < loop.time()
            assert speaker.clear() == speaker.ends_s

    virtual_time(main())


def test_a_late_demand_does_not_shift_the_dac_times(
    virtual_time: Run, portaudio: FakePortAudio
) -> None:
    async def main() -> None:
        with Speaker("", sample_rate_hz=RATE_HZ, block_ms=10) as speaker:
            player = Player(portaudio.streams[0])
            await player.ask(20)
            await asyncio.sleep(0.015)  # Python gets to see it late; the device was in time
            await player.ask(1, late_s=0.015)
            true_end_s = player.played[-1][0] + BLOCK_S
            assert speaker.write(ones(10)) == pytest.approx(true_end_s, abs=1e-4)

    virtual_time(main())


@pytest.mark.parametrize("silent_s", [0.012, 0.02, 0.035, 0.05, 1.5])
def test_a_device_that_does_not_ask_plays_nothing_sooner_for_it(
    virtual_time: Run, portaudio: FakePortAudio, silent_s: float
) -> None:
    """What is written now is asked for now at the earliest, and leaves a latency later."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with Speaker("", sample_rate_hz=RATE_HZ, block_ms=10) as speaker:
            player = Player(portaudio.streams[0])
            await player.ask(20)
            await asyncio.sleep(silent_s - BLOCK_S)
            for _ in range(2):
                speaker.begin()
                starts_s = speaker.write(ones(160))
                assert starts_s >= loop.time() + OUTPUT_LATENCY_S - 1e-4
                await player.ask(1)
                assert player.onset_s() == pytest.approx(starts_s, abs=1e-3)
                player.played.clear()
                await player.ask(100)
                player.played.clear()

    virtual_time(main())


def test_a_device_that_asks_for_two_blocks_at_once_is_told_exactly(
    virtual_time: Run, portaudio: FakePortAudio
) -> None:
    async def main() -> None:
        with Speaker("", sample_rate_hz=RATE_HZ, block_ms=10) as speaker:
            (stream,) = portaudio.streams
            loop = asyncio.get_running_loop()
            for index in range(40):
                now_s = loop.time() + STREAM_AHEAD_S
                for block in range(2):
                    dac_s = now_s + OUTPUT_LATENCY_S + block * BLOCK_S
                    time = SimpleNamespace(currentTime=now_s, outputBufferDacTime=dac_s)
                    stream.callback(np.zeros((160, 1), np.float32), 160, time, None)
                asked_s = loop.time()
                await asyncio.sleep(0.019 if index % 2 else 0.003)
                starts_s = speaker.write(ones(1))
                speaker.clear()
                due_s = asked_s + OUTPUT_LATENCY_S + 2 * BLOCK_S
                assert starts_s == pytest.approx(due_s, abs=1e-4)
                await asyncio.sleep(asked_s + 2 * BLOCK_S - loop.time())

    virtual_time(main())


def test_before_the_device_asks_its_latency_is_still_to_come(
    virtual_time: Run, portaudio: FakePortAudio
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with Speaker("", sample_rate_hz=RATE_HZ, block_ms=10) as speaker:
            speaker.begin()
            starts_s = speaker.write(ones(160))
            assert starts_s == pytest.approx(loop.time() + OUTPUT_LATENCY_S)
            await asyncio.sleep(0.0)
            player = Player(portaudio.streams[0])
            await player.ask(1)
            assert player.onset_s() == pytest.approx(starts_s, abs=1e-4)

    virtual_time(main())


def test_a_device_that_ran_dry_needs_its_whole_latency_again(
    virtual_time: Run, portaudio: FakePortAudio
) -> None:
    """Whatever was left of it when it asked last."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with Speaker("", sample_rate_hz=RATE_HZ, block_ms=10) as speaker:
            player = Player(portaudio.streams[0])
            await player.ask(20)
            await asyncio.sleep(0.025)
            await player.ask(1, late_s=0.025)
            await asyncio.sleep(0.2)
            assert speaker.write(ones(10)) >= loop.time() + OUTPUT_LATENCY_S

    virtual_time(main())


def test_clear_drops_what_is_queued_and_tells_when_it_is_silent(
    virtual_time: Run, portaudio: FakePortAudio
) -> None:
    async def main() -> None:
        with Speaker("", sample_rate_hz=RATE_HZ, block_ms=10) as speaker:
            player = Player(portaudio.streams[0])
            await player.ask(5)
            speaker.begin()
            speaker.write(ones(RATE_HZ))
            await player.ask(7)
            silent_from_s = speaker.clear()
            assert speaker.ends_s == silent_from_s
            await player.ask(20)
            loud = np.flatnonzero(player.samples)
            assert len(loud) == 7 * 160
            last_s = player.onset_s() + len(loud) / RATE_HZ
            assert silent_from_s == pytest.approx(last_s, abs=1e-4)
            assert speaker.underruns == 0

    virtual_time(main())


def test_running_dry_within_an_utterance_is_an_underrun(
    virtual_time: Run, portaudio: FakePortAudio
) -> None:
    async def main() -> list[int]:
        underruns = []
        with Speaker("", sample_rate_hz=RATE_HZ, block_ms=10) as speaker:
            player = Player(portaudio.streams[0])
            for gap_blocks in (0, 1, 4):
                await player.ask(3)
                speaker.begin()
                speaker.write(ones(200))
                await player.ask(1)
                await player.ask(gap_blocks)
                speaker.write(ones(200))
                await player.ask(5)
                underruns.append(speaker.underruns)
        return underruns

    assert virtual_time(main()) == [0, 1, 2]


def test_the_end_of_an_utterance_is_no_underrun(
    virtual_time: Run, portaudio: FakePortAudio
) -> None:
    async def main() -> int:
        with Speaker("", sample_rate_hz=RATE_HZ, block_ms=10) as speaker:
            player = Player(portaudio.streams[0])
            for _ in range(3):
                speaker.begin()
                speaker.write(ones(200))
                await player.ask(10)
            speaker.begin()
            speaker.write(ones(200))
            await player.ask(1)
            speaker.clear()
            await player.ask(3)
            speaker.write(ones(200))
            return speaker.underruns

    assert virtual_time(main()) == 0


@pytest.mark.parametrize(("rate_hz", "device_hz"), [(22_050, 48_000), (16_000, 44_100)])
def test_a_loudspeaker_at_another_rate_plays_the_same_sound(
    virtual_time: Run, portaudio: FakePortAudio, rate_hz: int, device_hz: int
) -> None:
    """Resampled in chunks of odd lengths it is what it is resampled as a whole."""
    portaudio.own_rate_hz = device_hz
    portaudio.rates_hz = {device_hz}
    time_s = np.arange(rate_hz) / rate_hz
    sound = (0.5 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32)

    async def main() -> Samples:
        with Speaker("", sample_rate_hz=rate_hz, block_ms=10) as speaker:
            player = Player(portaudio.streams[0])
            speaker.begin()
            for chunk in np.array_split(sound, 37):
                speaker.write(chunk)
            loop = asyncio.get_running_loop()
            assert speaker.ends_s - loop.time() == pytest.approx(1.0 + OUTPUT_LATENCY_S, abs=0.02)
            await player.ask(130)
            assert speaker.underruns == 0
            return player.samples

    played = virtual_time(main())
    count = np.flatnonzero(played)[-1] + 1
    assert count / device_hz == pytest.approx(1.0, abs=1e-3), "nothing of the end is lost"
    whole = soxr.resample(sound, rate_hz, device_hz, quality="HQ")
    assert played[100 : count - 100] == pytest.approx(whole[100 : count - 100], abs=2e-3)


def test_the_device_need_not_wait_while_a_chunk_is_resampled(
    virtual_time: Run, portaudio: FakePortAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks within the resampling, and takes what the resampler still held."""
    portaudio.own_rate_hz = 48_000
    portaudio.rates_hz = {48_000}
    asked: list[Samples] = []

    def ask() -> None:
        (stream,) = portaudio.streams
        now_s = asyncio.get_running_loop().time() + STREAM_AHEAD_S
        out = np.full((480, 1), np.nan, dtype=np.float32)
        time = SimpleNamespace(currentTime=now_s, outputBufferDacTime=now_s + OUTPUT_LATENCY_S)
        stream.callback(out, 480, time, None)
        asked.append(out[:, 0])

    class SlowResampler(StreamResampler):
        def push(self, samples: Samples) -> Samples:
            if len(asked) < 4:
                ask()
                ask()
            return super().push(samples)

    monkeypatch.setattr(devices_module, "StreamResampler", SlowResampler)

    async def main() -> int:
        with Speaker("", sample_rate_hz=RATE_HZ, block_ms=10) as speaker:
            speaker.begin()
            for _ in range(3):
                speaker.write(ones(200))
            while len(asked) < 12:
                ask()
            return speaker.underruns

    underruns = virtual_time(main())
    played = np.concatenate(asked)
    assert np.sum(played) / 48_000 == pytest.approx(600 / RATE_HZ, abs=0.0015), "all, and once"
    assert underruns > 0


# What may be wrong with devices.


@pytest.mark.parametrize("make", [Microphone, Speaker])
@pytest.mark.parametrize("device", ["attic", "7"])
def test_an_absent_device_is_named_with_a_way_out(
    virtual_time: Run, portaudio: FakePortAudio, make: Callable[..., Any], device: str
) -> None:
    rate = {"sample_rate_hz": RATE_HZ} if make is Speaker else {}

    async def main() -> None:
        with pytest.raises(DeviceError) as raised, make(device, block_ms=10, **rate):
            pass
        assert repr(device) in raised.value.problem
        assert "voicebot devices" in raised.value.way_out

    virtual_time(main())
    assert not portaudio.streams


@pytest.mark.parametrize("make", [Microphone, Speaker])
def test_a_device_that_cannot_be_opened_is_told_with_a_way_out(
    virtual_time: Run, portaudio: FakePortAudio, make: Callable[..., Any]
) -> None:
    portaudio.own_rate_hz = 48_000
    portaudio.rates_hz = set()
    rate = {"sample_rate_hz": RATE_HZ} if make is Speaker else {}

    async def main() -> None:
        with pytest.raises(DeviceError) as raised, make("desk", block_ms=10, **rate):
            pass
        assert "'desk' does not take 16000 nor 48000 samples a second" in raised.value.problem
        assert "another rate" in raised.value.way_out

    virtual_time(main())
    asked = [(settings["samplerate"], settings["channels"]) for settings in portaudio.asked]
    assert asked == [(RATE_HZ, 1), (RATE_HZ, 2), (48_000, 1), (48_000, 2)]


@pytest.mark.parametrize(
    ("microphone", "speaker", "problem"),
    [
        ("attic", "", "no microphone called 'attic'"),
        ("0", "attic", "no loudspeaker called 'attic'"),
    ],
)
def test_devices_are_looked_for_before_anything_is_loaded(
    portaudio: FakePortAudio, microphone: str, speaker: str, problem: str
) -> None:
    require_devices("desk", "")
    with pytest.raises(DeviceError) as raised:
        require_devices(microphone, speaker)
    assert raised.value.problem == problem
    assert not portaudio.asked, "looking opens nothing"


def test_a_computer_without_any_device_is_told_so(
    portaudio: FakePortAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(kind: str | None = None) -> Any:
        if kind is None:
            return []
        raise PortAudioError("Error querying device -1")

    monkeypatch.setattr(portaudio, "query_devices", none)
    with pytest.raises(DeviceError, match=r"no microphone found: .*--input"):
        require_devices("", "")


def test_a_missing_portaudio_is_told_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DeviceError, match=r"PortAudio library is missing: install it"):
        require_devices("", "")

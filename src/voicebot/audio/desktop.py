"""Microphone and loudspeaker of one computer together, through all that may happen to them.

A device that vanishes is followed: what is heard meanwhile is silence, the conversation goes on
when the device, or the system's default one, is there. PortAudio must be started anew to see new
devices, which ends both streams for a moment; so another process looks first whether that is worth
it. The lowest latency is tried first and raised when samples are lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from voicebot.audio.devices import Microphone, Speaker
from voicebot.audio.echo import CleanSource, VoiceProcessing
from voicebot.audio.portaudio import (
    Device,
    Side,
    find_device,
    list_devices,
    list_devices_afresh,
    relist,
)
from voicebot.errors import DeviceError, as_expected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voicebot.audio.sources import AudioSource

__all__ = ["DesktopAudio", "DesktopChoice"]

_log = logging.getLogger("voicebot.audio.desktop")

ResultT = TypeVar("ResultT")

_LOOK_EVERY_S = 0.1
_PATIENCE_S = 2.0
_TRY_AGAIN_S = 1.0
_BETTER_EVERY_S = 5.0
_QUEUE_KEPT_S = 5.0
_MISHAP_WINDOW_S = 10.0
_MISHAPS_BORNE = 3
_LATENCY_RISES = 2
_OWN_ANSWER_S = 10.0
_FRAMES_TO_SETTLE = 20
"""Until it is known how far ahead the loudspeaker's sound is known; no mishap."""


@dataclass(frozen=True, slots=True)
class DesktopChoice:
    """Which devices, and how they are used.

    Attributes:
        microphone: by name or number; empty for the system's default.
        loudspeaker: likewise.
        sample_rate_hz: of what is played.
        block_ms: length of a block.
        processing: what is done to the microphone's sound.
        follows_default: whether to look for a change of the system's default device, where
            nothing else is chosen. Linux's sound servers do so themselves.
    """

    microphone: str
    loudspeaker: str
    sample_rate_hz: int
    block_ms: float
    processing: VoiceProcessing
    follows_default: bool = sys.platform != "linux"


class _Part(Protocol):
    """What a microphone and a loudspeaker have in common."""

    @property
    def device(self) -> Device | None: ...
    @property
    def mishaps(self) -> int: ...
    def join_loop(self) -> None: ...
    def open(self, device: Device, latency: float | str) -> None: ...
    def is_alive(self, patience_s: float) -> bool: ...
    def be_away(self) -> Callable[[], None]: ...


class _Watched:
    """One of the two, and what is known of its luck."""

    def __init__(self, side: Side, part: _Part, wanted: str) -> None:
        self.side = side
        self.part = part
        self.wanted = wanted
        self.name = ""  # of the device that is, or was, in use
        self.names_used: list[str] = []  # in the order in which they were opened first
        self.is_missed = False  # and the user was told so
        self._raised = 0
        self._mishaps_before = 0
        self._window_since_s = 0.0

    def latency(self, device: Device) -> float | str:
        """In seconds, or 'low' or 'high': the lowest first, twice that, then the safe one."""
        low_ms = device.input_latency_ms if self.side is Side.INPUT else device.output_latency_ms
        return ("low", 2.0 * low_ms / 1000.0, "high")[self._raised]

    def open(self, devices: Sequence[Device]) -> None:
        """Open the wanted device, or the default one if there is no such.

        Raises:
            DeviceError: neither is there, or it cannot be opened.
        """
        device = self.choose(devices)
        self.part.open(device, self.latency(device))
        self.name = device.name
        if device.name not in self.names_used:
            self.names_used.append(device.name)
        if self.wanted.isdigit():  # numbers change when devices come and go
            self.wanted = f"{device.name}, {device.host_api}"

    def choose(self, devices: Sequence[Device]) -> Device:
        """The wanted device, or the default one if there is no such.

        Raises:
            DeviceError: neither is there.
        """
        try:
            return find_device(self.side, self.wanted, devices)
        except DeviceError:
            for each in devices:  # several of that name: one of them rather than another
                is_meant = self.wanted == f"{each.name}, {each.host_api}"
                if is_meant and each.channels(self.side):
                    return each
            return find_device(self.side, "", devices)

    def wants_another(self, devices: Sequence[Device]) -> bool:
        """Whether a better device than the one in use is there."""
        with contextlib.suppress(DeviceError):
            return find_device(self.side, self.wanted, devices).name != self.name
        return False

    def had_too_many_mishaps(self, now_s: float) -> bool:
        """Whether samples are lost so often that a higher latency is due; says so once."""
        if now_s - self._window_since_s > _MISHAP_WINDOW_S:
            self._window_since_s = now_s
            self._mishaps_before = self.part.mishaps
        is_highest = self._raised == _LATENCY_RISES
        if is_highest or self.part.mishaps - self._mishaps_before <= _MISHAPS_BORNE:
            return False
        self._raised += 1
        self._mishaps_before = self.part.mishaps
        return True


class DesktopAudio:
    """A microphone and a loudspeaker for one conversation; use as an async context manager.

    ``source`` and ``sink`` are what the session takes.

    Args:
        choice: which devices.
        tell: takes one line for the user when a device goes or comes.

    Raises:
        DeviceError: on entering, when a device is absent, busy or refused.
        AudioError: on entering, when the echo canceller cannot be loaded.
    """

    def __init__(self, choice: DesktopChoice, tell: Callable[[str], None]) -> None:
        self._choice = choice
        self._tell = tell
        self.microphone = Microphone(choice.microphone, block_ms=choice.block_ms)
        self.sink = Speaker(
            choice.loudspeaker, sample_rate_hz=choice.sample_rate_hz, block_ms=choice.block_ms
        )
        self._watched = (
            _Watched(Side.INPUT, self.microphone, choice.microphone),
            _Watched(Side.OUTPUT, self.sink, choice.loudspeaker),
        )
        self._cleaner: CleanSource | None = None
        self._watching: asyncio.Task[None] | None = None
        self.changes = 0
        self._opening_lock = threading.Lock()  # held by the one thread that opens streams
        self._told_failures: set[str] = set()

    @property
    def source(self) -> AudioSource:
        """The microphone, with the echo taken out if that is chosen."""
        return self._cleaner or self.microphone

    async def __aenter__(self) -> Self:
        if self._choice.processing.is_any:
            self._cleaner = CleanSource(self.microphone, self.sink, self._choice.processing)
        devices = list_devices()
        try:
            for each in self._watched:
                each.part.join_loop()
                each.open(devices)
        except BaseException:
            _run_all([each.part.be_away() for each in self._watched])
            raise
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        closings = [each.part.be_away() for each in self._watched]
        with contextlib.suppress(DeviceError):  # a device that is gone may not answer any more
            await _apart(lambda: _run_all(closings))

    def names(self) -> tuple[str, str]:
        """Of the microphones and of the loudspeakers that were opened, in their order."""
        microphone, loudspeaker = (", then ".join(each.names_used) for each in self._watched)
        return microphone, loudspeaker

    def mishaps(self) -> str:
        """Overruns, underruns and changes of devices in one line; empty if there were none."""
        parts = [
            f"{count} {what.format(s='' if count == 1 else 's')}"
            for count, what in (
                (self.microphone.overruns, "overrun{s} of the microphone"),
                (self.sink.device_underruns, "underrun{s} of the loudspeaker"),
                (self.sink.underruns, "gap{s} in replies"),
                (self.changes, "change{s} of devices"),
            )
            if count
        ]
        lost = self._cleaner.frames_without_far_end if self._cleaner is not None else 0
        if lost > _FRAMES_TO_SETTLE:
            parts.append(f"{lost * 10} ms without echo cancellation")
        return ", ".join(parts)

    async def _watch(self) -> None:
        """Follow the devices until cancelled; what nobody expected does not end that."""
        while True:
            try:
                await self._follow()
            except Exception as error:  # noqa: BLE001  # of drivers and libraries
                self._tell_failure(error)
            await asyncio.sleep(_TRY_AGAIN_S)

    def _tell_failure(self, error: Exception) -> None:
        """Say what nobody expected, each thing once."""
        kind = f"{type(error).__name__}: {error}"
        if kind not in self._told_failures:
            self._told_failures.add(kind)
            self._tell(f"voicebot: {as_expected(error, 'following the sound devices')}")

    async def _follow(self) -> None:
        looked_s = _now()
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            lost = [each for each in self._watched if not each.part.is_alive(_PATIENCE_S)]
            if lost:
                await self._recover(lost)
                looked_s = _now()
            elif _now() - looked_s > _BETTER_EVERY_S:
                await self._look_for_better()
                looked_s = _now()
            for each in self._watched:
                if each.had_too_many_mishaps(_now()):
                    await self._reopen_slower(each)

    async def _recover(self, lost: Sequence[_Watched]) -> None:
        """Follow devices that are gone until the conversation has both sides again."""
        gone_since_s = _now()
        while True:
            for each in lost:
                await self._miss(each)
            if _now() - gone_since_s > _QUEUE_KEPT_S and self.sink.device is None:
                self.sink.clear()  # nobody wants to hear it as late as that
            if await self._has_both_sides() and await self._reopen():
                return
            await asyncio.sleep(_TRY_AGAIN_S)
            lost = [
                each
                for each in self._watched
                if not each.is_missed and not each.part.is_alive(_PATIENCE_S)
            ]

    async def _miss(self, lost: _Watched) -> None:
        close = lost.part.be_away()
        if not lost.is_missed:
            lost.is_missed = True
            self._tell(
                f"The {lost.side.noun} {lost.name!r} is gone; the conversation goes on as soon as "
                "it or another one is there."
            )
        with contextlib.suppress(DeviceError):
            await _apart(close)

    async def _has_both_sides(self) -> bool:
        try:
            devices = await _apart(list_devices_afresh)
            for each in self._watched:
                each.choose(devices)
        except DeviceError:
            return False
        return True

    async def _reopen(self, better: Sequence[_Watched] = ()) -> bool:
        """Start PortAudio anew and open both; whether it worked."""
        closings = [each.part.be_away() for each in self._watched]

        def work(given_up: threading.Event) -> None:
            _run_all(closings)
            if given_up.is_set():
                return
            relist()
            devices = list_devices()
            for each in self._watched:
                each.open(devices)

        try:
            await self._open_apart(work)
        except DeviceError:
            return False
        self.changes += 1
        for each in self._watched:
            if not each.is_missed and each not in better:
                continue
            each.is_missed = False
            self._tell(f"The {each.side.noun} is {each.name!r} now.")
        return True

    async def _look_for_better(self) -> None:
        """Go back to a device that was missed, or on to a new default one."""
        asked = [
            each
            for each in self._watched
            if (each.wanted and not self._is_wanted(each))
            or (not each.wanted and self._choice.follows_default)
        ]
        if not asked:
            return
        try:
            devices = await _apart(list_devices_afresh)
        except DeviceError:
            return
        better = [each for each in asked if each.wants_another(devices)]
        if better and not await self._reopen(better):
            await self._recover(self._watched)

    @staticmethod
    def _is_wanted(watched: _Watched) -> bool:
        device = watched.part.device
        if device is None:
            return False
        with contextlib.suppress(DeviceError):
            return find_device(watched.side, watched.wanted, [device]) is device
        return False

    async def _reopen_slower(self, watched: _Watched) -> None:
        """More latency for a device that loses samples."""
        device = watched.part.device
        if device is None:
            return
        close = watched.part.be_away()

        def work(given_up: threading.Event) -> None:
            close()
            if not given_up.is_set():
                watched.part.open(device, watched.latency(device))

        with contextlib.suppress(DeviceError):  # then it is lost, and will be followed
            await self._open_apart(work)

    async def _open_apart(self, work: Callable[[threading.Event], None]) -> None:
        """Run what opens streams; one at a time, and nothing stays open that nobody waits for.

        Args:
            work: is given an event that is set once it was given up.

        Raises:
            DeviceError: the work raised it, or the sound system did not answer.
        """
        given_up = threading.Event()

        def run() -> None:
            with self._opening_lock:
                work(given_up)
                if given_up.is_set():
                    _run_all([each.part.be_away() for each in self._watched])

        try:
            await _apart(run)
        finally:
            given_up.set()


async def _apart(work: Callable[[], ResultT]) -> ResultT:
    """Run what may block on a thread that nobody need wait for.

    Raises:
        DeviceError: the work raised it, or the sound system did not answer.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(result)
        else:
            done.set_exception(error)

    def run() -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = work()
        except BaseException as raised:  # noqa: BLE001  # crosses to the waiter
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop has closed
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="sound devices", daemon=True).start()
    try:
        async with asyncio.timeout(_OWN_ANSWER_S):
            answer: ResultT = await done
            return answer
    except TimeoutError:
        raise DeviceError(
            "the sound system does not answer", "end other programs that use sound, or log in anew"
        ) from None


def _run_all(closings: Sequence[Callable[[], None]]) -> None:
    for close in closings:
        close()


def _now() -> float:
    return asyncio.get_running_loop().time()

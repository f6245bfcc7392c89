"""libespeak-ng by ctypes: one text in, its samples and word events out.

The library keeps one voice, one set of parameters and one callback for the whole process, so there
is one ``EspeakLibrary`` a process (``espeak_library()``), and each call sets what it needs under a
lock. Constants and structures follow ``speak_lib.h`` of eSpeak NG.
"""

from __future__ import annotations

import ctypes
import difflib
import functools
import os
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voicebot.errors import ConfigError, EngineError, ModelMissingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voicebot.engines.protocols import StopFlag

__all__ = [
    "EspeakLibrary",
    "EspeakSettings",
    "EspeakVoice",
    "RawSpeech",
    "WordEvent",
    "espeak_library",
    "short_data_path",
]

_OUTPUT_SYNCHRONOUS = 2
_BUFFER_MS = 50
_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_POSITION_CHARACTER = 1
_EVENT_LIST_END = 0
_EVENT_WORD = 1
_PARAMETER_RATE, _PARAMETER_VOLUME, _PARAMETER_PITCH = 1, 2, 3
_GO_ON, _ABORT = 0, 1
_MAX_DATA_PATH_BYTES = 150
"""The library holds its data path in 160 bytes; a longer one makes it look elsewhere."""


class _EventId(ctypes.Union):
    _fields_ = (
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True, slots=True)
class EspeakVoice:
    """A voice that is there: its main language tag ("en-us") and its name."""

    language: str
    name: str


@dataclass(frozen=True, slots=True)
class EspeakSettings:
    """How to speak: a voice name, words a minute, pitch (0 to 99), volume (0 to 100)."""

    voice: str
    rate_wpm: int
    pitch: int
    volume: int


@dataclass(frozen=True, slots=True)
class WordEvent:
    """A word begins: the index of its first character, and the sample its sound starts at."""

    text_index: int
    sample: int


@dataclass(frozen=True, slots=True)
class RawSpeech:
    """What the library made of one text: shape (n,), int16, and its words in order."""

    samples: NDArray[np.int16]
    words: tuple[WordEvent, ...]


class _Job:
    """What the callback gathers while one text is spoken."""

    def __init__(self, stop: StopFlag) -> None:
        self.stop = stop
        self.blocks: list[NDArray[np.int16]] = []
        self.words: list[WordEvent] = []
        self.error: BaseException | None = None


class EspeakLibrary:
    """The library, loaded and initialised.

    Args:
        library_path: the shared library.
        data_path: its ``espeak-ng-data`` folder.

    Raises:
        ModelMissingError: the library or its data cannot be loaded.
    """

    def __init__(self, library_path: Path, data_path: Path) -> None:
        way_out = "install it again: pip install --force-reinstall espeakng-loader"
        self._lock = threading.Lock()
        self._job: _Job | None = None
        self._applied: EspeakSettings | None = None
        if not (data_path / "phontab").is_file():
            raise ModelMissingError(f"eSpeak NG has no data in {data_path}", way_out)
        try:
            self._lib = ctypes.CDLL(str(library_path))
        except OSError as error:
            raise ModelMissingError(f"eSpeak NG cannot be loaded: {error}", way_out) from error
        self._lib.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        self._lib.espeak_Synth.argtypes = (
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.c_void_p,
            ctypes.c_void_p,
        )
        # Voices are read from the data long after this call, so a shortened path is kept.
        self._short_data, data = short_data_path(data_path)
        self.sample_rate_hz = int(
            self._lib.espeak_Initialize(
                _OUTPUT_SYNCHRONOUS, _BUFFER_MS, os.fsencode(data), _DONT_EXIT
            )
        )
        if self.sample_rate_hz <= 0:
            raise ModelMissingError(f"eSpeak NG cannot read its data in {data_path}", way_out)
        self._callback = _Callback(self._take)
        self._lib.espeak_SetSynthCallback(self._callback)

    def voices(self) -> tuple[EspeakVoice, ...]:
        """The voices there are, by language."""
        with self._lock:
            return self._listed()

    def check(self, settings: EspeakSettings) -> None:
        """Make sure that these settings can be used.

        Raises:
            ConfigError: there is no such voice.
        """
        with self._lock:
            known = self._apply(settings)
        if not known:
            names = [name for voice in self.voices() for name in (voice.language, voice.name)]
            close = difflib.get_close_matches(settings.voice, names, n=4, cutoff=0.4)
            raise ConfigError(
                f'eSpeak NG has no voice "{settings.voice}"',
                f"close ones: {', '.join(close)}" if close else "en-us is one that it has",
            )

    def speak(self, text: str, settings: EspeakSettings, stop: StopFlag) -> RawSpeech:
        """Speak ``text`` at once; what was made before ``stop`` was set if that happens.

        Args:
            text: plain text without null characters or lone surrogates.
            settings: checked before by ``check``.
            stop: looked at for every 60 ms of audio, which take about 0.1 ms.

        Raises:
            EngineError: the library refused.
        """
        encoded = text.encode()
        with self._lock:
            job = self._job = _Job(stop)
            try:
                if not self._apply(settings):
                    raise EngineError(f'eSpeak NG lost its voice "{settings.voice}"')
                status = self._lib.espeak_Synth(
                    encoded, len(encoded) + 1, 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None
                )
            finally:
                self._job = None
        if job.error is not None:
            raise job.error
        if status != 0:
            raise EngineError(f"eSpeak NG could not speak (status {status})")
        samples = np.concatenate(job.blocks) if job.blocks else np.zeros(0, np.int16)
        return RawSpeech(samples, tuple(job.words))

    def _apply(self, settings: EspeakSettings) -> bool:
        # Only on a change: each voice change queues an event, and many of them push words out.
        if settings == self._applied:
            return True
        self._applied = None
        if not self._set_voice(settings.voice):
            return False
        for parameter, value in (
            (_PARAMETER_RATE, settings.rate_wpm),
            (_PARAMETER_VOLUME, settings.volume),
            (_PARAMETER_PITCH, settings.pitch),
        ):
            self._lib.espeak_SetParameter(parameter, value, 0)
        self._applied = settings
        return True

    def _set_voice(self, name: str) -> bool:
        if "\0" in name:
            return False
        if not self._lib.espeak_SetVoiceByName(name.encode()):
            return True
        # By a name the library finds files, and some bear another name than their language.
        language, plus, variant = name.partition("+")
        for voice in self._listed():
            if voice.language.lower() == language.lower():
                return not self._lib.espeak_SetVoiceByName(f"{voice.name}{plus}{variant}".encode())
        return False

    def _listed(self) -> tuple[EspeakVoice, ...]:
        found = []
        listed = self._lib.espeak_ListVoices(None)
        index = 0
        while listed[index]:
            voice = listed[index].contents
            # languages: a priority byte, then a C string; only the first one is the main one.
            language = ctypes.string_at(voice.languages + 1).decode("utf-8", "replace")
            found.append(EspeakVoice(language, voice.name.decode("utf-8", "replace")))
            index += 1
        return tuple(sorted(found, key=lambda voice: (voice.language, voice.name)))

    def _take(self, samples: ctypes._Pointer[ctypes.c_short], count: int, events: object) -> int:
        job = self._job
        if job is None:
            return _ABORT
        try:
            return self._gather(job, samples, count, events)
        except BaseException as error:  # noqa: BLE001 - C code cannot carry it; speak() raises it
            job.error = error
            return _ABORT

    @staticmethod
    def _gather(job: _Job, samples: object, count: int, events: object) -> int:
        index = 0
        while events[index].type != _EVENT_LIST_END:  # type: ignore[index]  # a ctypes pointer
            event = events[index]  # type: ignore[index]  # a ctypes pointer
            if event.type == _EVENT_WORD:
                job.words.append(WordEvent(event.text_position - 1, event.sample))
            index += 1
        if samples and count > 0:
            block = np.ctypeslib.as_array(samples, (count,))
            job.blocks.append(block.copy())
        return _ABORT if job.stop.is_set() else _GO_ON


def short_data_path(
    data_path: Path, max_bytes: int = _MAX_DATA_PATH_BYTES
) -> tuple[tempfile.TemporaryDirectory[str] | None, Path]:
    """A path to the data that the library can hold: itself, or a link in a temporary folder.

    Returns:
        The folder to keep while the path is in use (None if it is not needed), and the path.

    Raises:
        ModelMissingError: the path is too long and no link can be made.
    """
    if len(os.fsencode(data_path)) <= max_bytes:
        return None, data_path
    folder = tempfile.TemporaryDirectory(prefix="espeak-")
    link = Path(folder.name) / "espeak-ng-data"
    try:
        if len(os.fsencode(link)) > max_bytes:
            raise OSError(f"{folder.name} is too long as well")  # noqa: TRY301 - same way out
        link.symlink_to(data_path, target_is_directory=True)
    except OSError as error:
        folder.cleanup()
        raise ModelMissingError(
            f"the path of eSpeak NG's data is longer than {max_bytes} bytes ({error})",
            f"install voicebot in a folder with a shorter path than {data_path}",
        ) from error
    return folder, link


@functools.cache
def espeak_library() -> EspeakLibrary:
    """The process's one library, from the espeakng-loader package, loaded on first use.

    Raises:
        ModelMissingError: the package, the library or its data is not there.
    """
    try:
        import espeakng_loader  # noqa: PLC0415 - start-up time counts

        library_path = Path(espeakng_loader.get_library_path())
        data_path = Path(espeakng_loader.get_data_path())
    except (ImportError, RuntimeError) as error:
        raise ModelMissingError(
            f"eSpeak NG is not installed: {error}", "pip install espeakng-loader"
        ) from error
    return EspeakLibrary(library_path, data_path)

"""The error tree: every expected failure is one clear line with the way out.

::

    VoicebotError                exit code 1
    ├── ConfigError              exit code 2: a setting is unknown, mistyped or out of range
    ├── AudioError               audio that cannot be used
    │   ├── AudioFileError       a file: missing, truncated, empty, not audio
    │   └── DeviceError          a sound device: absent, busy, refused
    ├── CallersError             a folder of callers breaks its contract
    ├── ModelError               a model's files
    │   ├── ModelMissingError    not on this machine yet
    │   ├── ModelFetchError      cannot be downloaded: network, disk, source gone
    │   ├── ModelDamagedError    fails its checksum or cannot be read
    │   └── ModelUnsafeError     a format that may carry code
    ├── EngineError              a stage failed while it worked
    │   └── EngineStuckError     a stage gave no sign of life in its time
    ├── KnowledgeError           a folder of knowledge, or the guard's lists, cannot be read
    ├── OutputError              results cannot be written
    └── NewProcessWantedError    exit code 75: only a new process helps
"""

from __future__ import annotations

import logging

__all__ = [
    "AudioError",
    "AudioFileError",
    "CallersError",
    "ConfigError",
    "DeviceError",
    "EngineError",
    "EngineStuckError",
    "KnowledgeError",
    "ModelDamagedError",
    "ModelError",
    "ModelFetchError",
    "ModelMissingError",
    "ModelUnsafeError",
    "NewProcessWantedError",
    "OutputError",
    "VoicebotError",
    "as_expected",
]

_log = logging.getLogger("voicebot.errors")


class VoicebotError(Exception):
    """An expected failure.

    Args:
        problem: what is wrong, one line, without a full stop at its end.
        way_out: what the user can do about it, one line; may be empty.
    """

    exit_code = 1

    def __init__(self, problem: str, way_out: str = "") -> None:
        super().__init__(problem, way_out)
        self.problem = " ".join(problem.split())
        self.way_out = " ".join(way_out.split())

    def __str__(self) -> str:
        return f"{self.problem}: {self.way_out}" if self.way_out else self.problem


class ConfigError(VoicebotError):
    """A setting is unknown, of the wrong type or out of range, or its file cannot be read."""

    exit_code = 2


class AudioError(VoicebotError):
    """Audio that cannot be used."""


class AudioFileError(AudioError):
    """An audio file is missing, empty, truncated or not audio."""


class DeviceError(AudioError):
    """A sound device is absent, busy or refused."""


class CallersError(VoicebotError):
    """A folder of callers breaks its contract."""


class ModelError(VoicebotError):
    """A model's files cannot be used."""


class ModelMissingError(ModelError):
    """A model is not on this machine yet."""


class ModelFetchError(ModelError):
    """A model cannot be downloaded: no network, no space, source gone."""


class ModelDamagedError(ModelError):
    """A model's file fails its checksum or cannot be read."""


class ModelUnsafeError(ModelError):
    """A model's file has a format that may carry code."""


class EngineError(VoicebotError):
    """A stage failed while it worked."""


class EngineStuckError(EngineError):
    """A stage gave no sign of life within its time."""


class KnowledgeError(VoicebotError):
    """A folder of knowledge, or one of the guard's lists, cannot be read."""


class OutputError(VoicebotError):
    """Results cannot be written."""


class NewProcessWantedError(VoicebotError):
    """Only a new process helps: too many threads hang, or too much memory is in use."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again


def as_expected(error: BaseException, what: str) -> VoicebotError:
    """``error`` itself if it is one of the tree, else an ``EngineError`` that stands for it.

    Args:
        error: what was raised.
        what: what failed, as the error's line shall name it.
    """
    if isinstance(error, VoicebotError):
        return error
    _log.error("%s failed", what, exc_info=error)
    return EngineError(
        f"{what} failed ({type(error).__name__}: {error})",
        "if it happens again, please report it; --verbose tells more",
    )

"""Which devices the user has chosen, kept from one conversation to the next."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from voicebot.errors import OutputError

if TYPE_CHECKING:
    from voicebot.config import AudioSettings

__all__ = ["RememberedDevices", "remember", "remembered", "wanted_devices"]

_FILE_NAME = "devices.json"


@dataclass(frozen=True, slots=True)
class RememberedDevices:
    """Names of devices; empty for the system's default."""

    input: str = ""
    output: str = ""


def remembered(folder: Path | None = None) -> RememberedDevices:
    """What was remembered last; nothing if the file is missing or damaged.

    Args:
        folder: instead of the user's state folder.
    """
    with contextlib.suppress(OSError, ValueError, TypeError, LookupError):
        found = json.loads(_file(folder).read_text(encoding="utf-8"))
        names = {side: found[side] for side in ("input", "output")}
        if all(isinstance(name, str) for name in names.values()):
            return RememberedDevices(**names)
    return RememberedDevices()


def remember(devices: RememberedDevices, folder: Path | None = None) -> Path:
    """Keep ``devices``; gives the file.

    Raises:
        OutputError: the file cannot be written.
    """
    path = _file(folder)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(devices)) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror}",
            "set audio.input and audio.output in the configuration instead",
        ) from error
    return path


def wanted_devices(audio: AudioSettings, folder: Path | None = None) -> RememberedDevices:
    """The devices that the settings name, else those that are remembered."""
    kept = remembered(folder)
    return RememberedDevices(audio.input or kept.input, audio.output or kept.output)


def _file(folder: Path | None) -> Path:
    return (folder or Path(platformdirs.user_state_dir("voicebot"))) / _FILE_NAME

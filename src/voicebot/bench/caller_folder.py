"""Making a folder of callers: clips with labels, one row after the other."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.files import write_wav
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.bench.callers import MANIFEST_NAME
from voicebot.bench.files import write_text_atomically
from voicebot.errors import CallersError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from voicebot.audio.samples import Samples

__all__ = ["CallerFolder", "Line", "label_speech", "read_lines"]

_WINDOW_S = 0.01
_FLOOR_PERCENTILE = 10
_OVER_FLOOR_DB = 12.0
_BELOW_PEAK_DB = 38.0
_QUIETEST = 1e-7
_LONGEST_GAP_S = 0.2
_SHORTEST_S = 0.05
_LEAD_S, _TAIL_S = 0.3, 0.5
_PAUSE = re.compile(r"\s*\|[^|]*\|\s*")
_FIELDS_MAX = 3


@dataclass(frozen=True, slots=True)
class Line:
    """A turn to be made.

    Attributes:
        text: what is said; ``|0.6|`` is a pause in seconds.
        kind: how reports group it.
        conversation: lines of the same name are turns of one caller; empty for one of its own.
        number: where it stands in the file, from 1; 0 if it is of none.
    """

    text: str
    kind: str
    conversation: str = ""
    number: int = field(default=0, compare=False)

    @property
    def words(self) -> str:
        """The text without its pauses."""
        return _PAUSE.sub(" ", self.text).strip()


def read_lines(path: Path) -> list[Line]:
    """Read sentences, one a line; a kind and a conversation may stand before it, with tabs between.

    Empty lines and those that begin with ``#`` are passed over. A line with a pause and no kind is
    of kind ``pause``, any other of kind ``question``.

    Raises:
        CallersError: the file cannot be read, or holds no sentence, or a line has a bar without its
            fellow or no words; the problem names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise CallersError(
            f"the sentences {path} cannot be read: {why}", "give a text file, a sentence a line"
        ) from error
    lines = []
    for number, row in enumerate(text.splitlines(), start=1):
        if not row.strip() or row.lstrip().startswith("#"):
            continue
        fields = [field.strip() for field in row.split("\t")]
        if len(fields) > _FIELDS_MAX or not fields[-1]:
            raise CallersError(
                f"{path}:{number}: not a sentence, nor kind and sentence",
                "write: kind, conversation, sentence, with tabs between; the first two may be left "
                "out",
            )
        said = fields[-1]
        kind = fields[0] if len(fields) > 1 else "pause" if _PAUSE.search(said) else "question"
        if said.count("|") % 2:
            raise CallersError(
                f"{path}:{number}: a bar without its fellow in {said!r}",
                "write a pause as |0.6|, its seconds between two bars",
            )
        conversation = fields[1] if len(fields) == _FIELDS_MAX else ""
        lines.append(Line(said, kind, conversation, number))
    if not lines:
        raise CallersError(f"{path} holds no sentence", "write one a line")
    return lines


def label_speech(samples: Samples) -> tuple[tuple[float, float], ...]:
    """Where speech is in a recording, by energy, in seconds; to be checked by ear.

    A window of 10 ms is speech if it lies 12 dB over the quietest tenth and no more than 38 dB
    below the loudest. Gaps of up to 0.2 s, as before a stop consonant, belong to it; what lasts
    less than 50 ms is a click.
    """
    window = round(_WINDOW_S * INPUT_SAMPLE_RATE_HZ)
    count = len(samples) // window
    if count == 0:
        return ()
    power = np.mean(np.square(samples[: count * window].reshape(count, window)), axis=1)
    level_db = 10.0 * np.log10(power + _QUIETEST**2)
    floor_db = np.percentile(level_db, _FLOOR_PERCENTILE)
    threshold_db = max(floor_db + _OVER_FLOOR_DB, level_db.max() - _BELOW_PEAK_DB)
    spans: list[list[int]] = []
    for index in np.flatnonzero(level_db > threshold_db):
        if spans and (index - spans[-1][1]) * _WINDOW_S <= _LONGEST_GAP_S:
            spans[-1][1] = int(index) + 1
        else:
            spans.append([int(index), int(index) + 1])
    return tuple(
        (round(start * _WINDOW_S, 3), round(end * _WINDOW_S, 3))
        for start, end in spans
        if (end - start) * _WINDOW_S >= _SHORTEST_S
    )


class CallerFolder:
    """A folder that is being made; it is one of callers as soon as it has a turn.

    The manifest is written with every turn, so that whatever ends the work leaves what was done.

    Args:
        path: where to; created if need be.

    Raises:
        OutputError: it cannot be made, or holds callers already.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[dict[str, object]] = []
        if (path / MANIFEST_NAME).exists():
            raise OutputError(f"{path} holds callers already", "give a new folder")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"the folder {path} cannot be made: {error.strerror or error}", "give another one"
            ) from error

    def add(
        self,
        line: Line,
        samples: Samples,
        speech: Iterable[tuple[float, float]],
        *,
        speaker: str,
        checked: bool,
    ) -> None:
        """Store one turn.

        Args:
            line: what was to be said.
            samples: 16 kHz; silence is put around them.
            speech: where speech is in them, in seconds.
            speaker: who speaks.
            checked: whether the labels are known to be right, or stand to be checked by ear.

        Raises:
            CallersError: there is no speech.
            OutputError: the clip or the manifest cannot be written.
        """
        labels = [[round(a + _LEAD_S, 4), round(b + _LEAD_S, 4)] for a, b in speech]
        if not labels:
            raise CallersError(f"no speech in {line.words!r}", "record or write it anew")
        stem = re.sub(r"[^a-z0-9]+", "-", f"{line.kind} {line.words}".lower()).strip("-")
        name = f"{len(self._rows) + 1:03d}-{stem[:50].strip('-') or 'turn'}.wav"
        pad = [np.zeros(round(s * INPUT_SAMPLE_RATE_HZ), np.float32) for s in (_LEAD_S, _TAIL_S)]
        clip = np.concatenate((pad[0], samples, pad[1]))
        try:
            write_wav(self._path / name, clip, INPUT_SAMPLE_RATE_HZ)
        except OSError as error:
            raise OutputError(
                f"cannot write {self._path / name}: {error.strerror or error}",
                "free some space, or give another folder",
            ) from error
        row: dict[str, object] = {
            "path": name,
            "seconds": round(len(clip) / INPUT_SAMPLE_RATE_HZ, 3),
            "speech": labels,
            "text": line.words,
            "speaker": speaker,
            "kind": line.kind,
            "checked": checked,
        }
        if line.conversation:
            row["conversation"] = line.conversation
        rows = [*self._rows, row]
        text = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in rows)
        write_text_atomically(self._path / MANIFEST_NAME, text)
        self._rows = rows

    @property
    def turns(self) -> int:
        """How many there are."""
        return len(self._rows)

"""``acoustic.json``: what is kept of a run, and how it is summed up (pure)."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from importlib import resources
from typing import TYPE_CHECKING, Any

from voicebot.acoustic.bias import Bias, bias_of
from voicebot.bench.statistics import describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from voicebot.bench.record import Distribution, Host

__all__ = [
    "SCHEMA",
    "AcousticRun",
    "AcousticSummary",
    "AcousticTurn",
    "acoustic_schema",
    "summarise",
    "to_json",
    "with_own_figure",
]

SCHEMA = "voicebot.acoustic/1"


@dataclass(frozen=True, slots=True)
class AcousticTurn:
    """One turn, at the sound card and by the program's own account.

    Attributes:
        caller: the clip's name in the manifest.
        kind: of the caller.
        true_end_s: the true end in the recording, from its first sample.
        audible_s: the first audible sample of the reply in the recording; None without one.
        voice_to_voice_ms: the acoustic figure; None without a reply.
        missed: nothing audible within 5 s of the true end.
        cut_in: the bot was audible before the true end.
        overlap_ms: for how long.
        software_ms: the program's own figure for the reply; None if it gives none.
        difference_ms: acoustic less software, of turns without a cut-in.
        end_difference_ms: how much of it the user's end explains: the program's estimate less
            the true end, both as Unix time.
        start_difference_ms: how much of it the reply's beginning explains: the audible sample
            less the program's first sample.
        own_recording_ms: the figure from the label in the assistant's own recording, at the
            instants that its devices report; None without one, and for turns with a cut-in.
        device_difference_ms: acoustic less that: the error of those instants.
        yield_ms: from the caller's first word to the bot's last audible sample, where the bot was
            audible then.
        match: of the clip with the recording, 0 to 1.
        stretch_ms: the clip's end against its start in the recording.
        level_dbfs: of the caller.
        reply_level_dbfs: of the reply's first second.
        warnings: what makes the figure doubtful.
    """

    caller: str
    kind: str
    true_end_s: float | None
    audible_s: float | None
    voice_to_voice_ms: float | None
    missed: bool
    cut_in: bool
    overlap_ms: float
    software_ms: float | None
    difference_ms: float | None
    end_difference_ms: float | None
    start_difference_ms: float | None
    match: float
    stretch_ms: float
    level_dbfs: float | None
    reply_level_dbfs: float | None
    warnings: tuple[str, ...] = ()
    yield_ms: float | None = None
    own_recording_ms: float | None = None
    device_difference_ms: float | None = None


@dataclass(frozen=True, slots=True)
class AcousticSummary:
    """All turns together.

    Attributes:
        turns: played.
        answered: with a reply to be heard.
        missed: without one within 5 s of the true end.
        cut_ins: turns in which the bot was audible before the true end.
        voice_to_voice_ms: at the sound card, of the answered turns.
        software_ms: by the program's own account.
        difference: acoustic less software.
        end_difference: the part that lies at the user's end.
        start_difference: the part that lies at the reply's beginning.
        device_difference: acoustic less the figure in the assistant's own recording: what the
            devices account for.
        own_recording_ms: that figure.
        yield_ms: how long the bot went on where a caller spoke into its reply.
    """

    turns: int
    answered: int
    missed: int
    cut_ins: int
    voice_to_voice_ms: Distribution
    software_ms: Distribution
    difference: Bias
    end_difference: Bias
    start_difference: Bias
    device_difference: Bias
    own_recording_ms: Distribution
    yield_ms: Distribution


@dataclass(frozen=True, slots=True)
class AcousticRun:
    """A run.

    Attributes:
        started_at: ISO 8601 with the zone.
        version: of voicebot.
        host: the machine.
        target: what was measured, in words.
        room: how it was heard: ``virtual room`` or the devices' names.
        sample_rate_hz: of the recording.
        stereo: whether caller and bot had a channel each.
        partial: the run was stopped early.
        turns: in order.
        summary: of all of them.
    """

    started_at: str
    version: str
    host: Host
    target: str
    room: str
    sample_rate_hz: int
    stereo: bool
    partial: bool
    turns: tuple[AcousticTurn, ...]
    summary: AcousticSummary


def summarise(turns: Sequence[AcousticTurn]) -> AcousticSummary:
    """The figures of all turns."""
    return AcousticSummary(
        turns=len(turns),
        answered=sum(turn.voice_to_voice_ms is not None for turn in turns),
        missed=sum(turn.missed for turn in turns),
        cut_ins=sum(turn.cut_in for turn in turns),
        voice_to_voice_ms=describe(_known(turn.voice_to_voice_ms for turn in turns)),
        software_ms=describe(_known(turn.software_ms for turn in turns)),
        difference=bias_of(_known(turn.difference_ms for turn in turns)),
        end_difference=bias_of(_known(turn.end_difference_ms for turn in turns)),
        start_difference=bias_of(_known(turn.start_difference_ms for turn in turns)),
        device_difference=bias_of(_known(turn.device_difference_ms for turn in turns)),
        own_recording_ms=describe(_known(turn.own_recording_ms for turn in turns)),
        yield_ms=describe(_known(turn.yield_ms for turn in turns)),
    )


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def with_own_figure(turn: AcousticTurn, own_ms: float | None) -> AcousticTurn:
    """``turn`` with what the assistant's own recording says of it, see ``own_figures_ms``."""
    difference = None
    if own_ms is not None and turn.voice_to_voice_ms is not None and not turn.cut_in:
        difference = turn.voice_to_voice_ms - own_ms
    return replace(turn, own_recording_ms=own_ms, device_difference_ms=difference)


def to_json(run: AcousticRun) -> str:
    """The file's text; figures are rounded to a microsecond."""
    content = {"schema": SCHEMA, **asdict(run)}
    return json.dumps(_rounded(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def acoustic_schema() -> Mapping[str, Any]:
    """The JSON schema (draft 2020-12) that the file fits."""
    text = (resources.files("voicebot.acoustic") / "acoustic.schema.json").read_text("utf-8")
    schema: Mapping[str, Any] = json.loads(text)
    return schema


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return round(value, 6) if math.isfinite(value) else None
        case dict():
            return {key: _rounded(item) for key, item in value.items()}
        case list() | tuple():
            return [_rounded(item) for item in value]
        case _:
            return value

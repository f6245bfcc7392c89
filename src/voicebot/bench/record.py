"""A measured run as data: what ``run.json`` holds, written and read without loss.

The names here are the names in the file (schema ``voicebot.run/1``, ``run.schema.json`` beside
this module). Fields may be added; none changes its meaning. Times named ``_s`` are seconds from
the first sample of a caller's clip; times named ``_ms`` are milliseconds, and those of marks and
spans count from the turn's true end, so that work done while the caller still spoke is negative.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from importlib.resources import files
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import jsonschema
from jsonschema.exceptions import best_match
from pydantic import TypeAdapter

from voicebot.bench.files import write_text_atomically
from voicebot.errors import VoicebotError
from voicebot.timeline import Breakdown  # noqa: TC001 (pydantic resolves it at run time)

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "BREAKDOWN_STAGES",
    "SCHEMA",
    "AudioPath",
    "Distribution",
    "DraftTotals",
    "Drafts",
    "GroupSummary",
    "Host",
    "MachineState",
    "ModelUsed",
    "PlayedScenario",
    "Run",
    "RunMeta",
    "Span",
    "StagePercentiles",
    "Summary",
    "TurnRecord",
    "YieldPercentiles",
    "from_json",
    "read_run",
    "to_json",
    "validate_run",
    "write_run",
]

SCHEMA = "voicebot.run/1"
"""The name of the format; a reader refuses any other."""

BREAKDOWN_STAGES = ("endpoint", "asr", "llm", "tts", "output", "unattributed")
"""The parts of a breakdown, in the order in which a turn goes through them."""


@dataclass(frozen=True, slots=True)
class Drafts:
    """Replies begun before the commit.

    Attributes:
        started: how many were begun.
        used: how many became the reply (0 or 1).
        discarded: how many were thrown away.
        discarded_tokens: what the language model wrote for those in vain.
        discarded_cpu_s: processor seconds that the engines' own threads spent on those; None in a
            file that does not tell.
        won_ms: how much of the used draft's work was done before the commit; None if none was used.
    """

    started: int = 0
    used: int = 0
    discarded: int = 0
    discarded_tokens: int = 0
    discarded_cpu_s: float | None = None
    won_ms: float | None = None


@dataclass(frozen=True, slots=True)
class DraftTotals:
    """The drafts of some turns together.

    Attributes:
        started: how many were begun.
        used: how many became the reply.
        discarded: how many were thrown away.
        discarded_tokens: what the language model wrote for those in vain.
        discarded_cpu_s: processor seconds spent on those; None if no turn tells.
        won_ms_p50: the median of what a used draft won; None without any.
    """

    started: int
    used: int
    discarded: int
    discarded_tokens: int
    discarded_cpu_s: float | None
    won_ms_p50: float | None


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of work for the turn's waterfall.

    Attributes:
        stage: what worked, for example ``asr``, ``llm``, ``tts``.
        start_ms: begin, in ms after the true end.
        end_ms: end, in ms after the true end.
        hidden: True when a wait hid it, so that it cost the turn nothing.
    """

    stage: str
    start_ms: float
    end_ms: float
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """One turn of a caller and what the bot made of it.

    Attributes:
        caller: path of the clip, relative to the folder of callers.
        kind: the kind its manifest gives it.
        true_end_s: end of the caller's last speech segment, from the label.
        audible_s: first audible sample of the reply that answers the whole turn, at its DAC time.
        voice_to_voice_ms: ``audible_s`` minus ``true_end_s``, signed, never clipped; None when
            no reply answered the whole turn.
        cut_in: the bot was audible between the caller's first sound and the true end.
        overlap_ms: for how long it was, while the caller's turn lasted.
        missed: nothing was audible within 5 s of the true end.
        transcript: what the recogniser understood.
        reply: what the language model wrote.
        heard: the part of the reply that was played before anything stopped it.
        marks: name to ms after the true end.
        breakdown_ms: parts of ``voice_to_voice_ms``; None when there is none.
        drafts: replies begun before the commit.
        text: what the caller says, if the manifest tells.
        conversation: name of the conversation the turn is part of, if any.
        speaker: who speaks, if the manifest tells.
        speech: the caller's speech segments, seconds in the clip; the last end is the true end.
        outcome: ``answered``, ``missed``, ``merged``, ``dismissed``, ``acknowledged`` (an
            'mm-hm' over the bot, which went on) or another word for how it ended.
        bot_audio: when the bot was audible, seconds in the clip's time (it may go on past it).
        spans: the work of the turn, for its waterfall.
        underruns: how often the sink ran dry while the reply was not over.
        failure: what went wrong, one line; None when nothing did.
        warmup: the turn was played first and is not counted.
        yield_ms: from the caller's first sound to the bot's last audible sample before it fell
            silent; None unless the caller began to speak while the bot did.
        cpu_s: processor seconds of the process and its children while the caller was played; the
            turns of a conversation share them equally. None in a file that does not tell.
        audio: the recording of the turn, caller left and bot right, relative to the run's folder;
            None unless recordings were asked for.
        fallbacks: the stages in which a second engine worked when the turn was over.
        queue_wait_s: how long the caller waited for a free line before the first turn; the same in
            all turns of a conversation, None where callers do not come at instants of their own.
    """

    caller: str
    kind: str
    true_end_s: float
    audible_s: float | None
    voice_to_voice_ms: float | None
    cut_in: bool
    overlap_ms: float
    missed: bool
    transcript: str
    reply: str
    marks: Mapping[str, float] = field(default_factory=dict)
    breakdown_ms: Breakdown | None = None
    drafts: Drafts = field(default_factory=Drafts)
    text: str | None = None
    heard: str = ""
    conversation: str | None = None
    speaker: str | None = None
    speech: tuple[tuple[float, float], ...] = ()
    outcome: str = "answered"
    bot_audio: tuple[tuple[float, float], ...] = ()
    spans: tuple[Span, ...] = ()
    underruns: int = 0
    failure: str | None = None
    warmup: bool = False
    yield_ms: float | None = None
    cpu_s: float | None = None
    audio: str | None = None
    fallbacks: tuple[str, ...] = ()
    queue_wait_s: float | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """The machine that played the run."""

    cpu: str
    cores: int
    memory_gib: float
    os: str
    python: str


@dataclass(frozen=True, slots=True)
class ModelUsed:
    """A model of the run.

    Attributes:
        role: the stage it served.
        name: the model's name.
        source: where it came from; a server's address.
        sha256: its checksum; None where there is no file, as with a server.
        licence: as its publisher states it.
        runs_as: what computed it, on which device, with which numbers; for a server what it says
            of itself; empty where that is not known or always the same.
        is_fallback: whether it only stood in for the one before it.
    """

    role: str
    name: str
    source: str
    sha256: str | None
    licence: str
    runs_as: str = ""
    is_fallback: bool = False


@dataclass(frozen=True, slots=True)
class AudioPath:
    """Where sound came in and went out.

    Attributes:
        input: name of the source.
        output: name of the sink.
        block_ms: how much audio goes over at a time.
        output_latency_ms: what the sink adds between a write and the DAC; part of every latency.
    """

    input: str
    output: str
    block_ms: float
    output_latency_ms: float


@dataclass(frozen=True, slots=True)
class MachineState:
    """What else the machine did while callers were played.

    Attributes:
        load_before: the load of the minute before.
        others_share: of the machine's processor time, what other programs took.
        stolen_share: what other virtual machines took of it; 0 where the system does not tell.
        throttles: how often a core was slowed down because it was hot; 0 where not told.
        timer_resolution_us: of the clock that latencies are measured with, in microseconds.
    """

    load_before: float
    others_share: float
    stolen_share: float
    throttles: int
    timer_resolution_us: float


@dataclass(frozen=True, slots=True)
class PlayedScenario:
    """What was played, where it was a scenario and no folder of callers.

    Attributes:
        name: of the scenario's file, without its ending.
        at_once: how many callers were on the line at the same time.
        arrivals_per_minute: how many called a minute on average; None if nobody had to wait for
            an arrival.
    """

    name: str
    at_once: int = 1
    arrivals_per_minute: float | None = None


@dataclass(frozen=True, slots=True)
class RunMeta:
    """What a run was made with.

    Attributes:
        started_at: ISO 8601 with its offset from UTC.
        version: voicebot's version.
        commit: of voicebot's source, if known.
        host: the machine.
        packages: name to version.
        profile: name of the profile.
        config: the configuration in force.
        models: every model that took part.
        audio: where sound came in and went out.
        startup_s: from the start of the process to listening.
        loop_stall_p95_ms: 95th percentile of how late the event loop was for its own alarm.
        true_ends: ``labelled`` by whoever made the callers, or ``estimated`` by the endpointer, as
            in the recording of a real conversation; it says so in a caveat.
        machine: what else the machine did meanwhile; None in a file that does not tell.
        scenario: what was played; None for a folder of callers.
    """

    started_at: str
    version: str
    commit: str | None
    host: Host
    packages: Mapping[str, str]
    profile: str
    config: Mapping[str, Any]
    models: tuple[ModelUsed, ...]
    audio: AudioPath
    startup_s: float | None = None
    loop_stall_p95_ms: float | None = None
    true_ends: str = "labelled"
    machine: MachineState | None = None
    scenario: PlayedScenario | None = None


@dataclass(frozen=True, slots=True)
class Distribution:
    """A set of latencies in a few figures, all in ms and all None when there are none.

    Attributes:
        mean: the arithmetic mean.
        p50: median.
        p90: 90th percentile.
        p95: 95th percentile.
        max: the slowest.
        p50_ci95: low and high end of the median's 95 % interval; None where there is none.
        p95_ci95: the same for the 95th percentile.
        mean_ci95: the same for the mean.
        min: the fastest; negative when a reply was audible before the true end.
        count: how many values there are; 0 in a file that does not tell.
    """

    mean: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    max: float | None
    p50_ci95: tuple[float, float] | None
    p95_ci95: tuple[float, float] | None
    mean_ci95: tuple[float, float] | None = None
    min: float | None = None
    count: int = 0


@dataclass(frozen=True, slots=True)
class YieldPercentiles:
    """How fast the bot fell silent for those who spoke over it, in ms; None when nobody did."""

    p50: float | None = None
    p95: float | None = None
    count: int = 0


@dataclass(frozen=True, slots=True)
class StagePercentiles:
    """One part of the breakdown over the turns that have one, in ms."""

    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSummary:
    """Some turns in figures: those of one kind, or all.

    Attributes:
        turns: how many there are, warm-up apart.
        answered: those with a reply to the whole turn that is not a miss.
        missed: those with nothing audible within 5 s of the true end.
        cut_ins: those in which the bot was audible before the true end.
        cut_in_rate: ``cut_ins`` over ``turns``; None without turns.
        pauses: gaps between speech segments inside the turns, each a chance to cut in.
        pauses_cut_into: gaps after which the bot began before the true end.
        pause_cut_in_rate: ``pauses_cut_into`` over ``pauses``; None without pauses.
        voice_to_voice_ms: of every turn that has a figure, cut-ins and late replies included.
        word_error_rate: of the rows with a text; None without any.
        draft_hit_rate: drafts used over drafts started; None when none was started.
        yield_ms: of the turns that began while the bot could be heard.
        drafts: what drafts cost and won; None in a file that does not tell.
    """

    turns: int
    answered: int
    missed: int
    cut_ins: int
    cut_in_rate: float | None
    pauses: int = 0
    pauses_cut_into: int = 0
    pause_cut_in_rate: float | None = None
    voice_to_voice_ms: Distribution
    word_error_rate: float | None
    draft_hit_rate: float | None
    yield_ms: YieldPercentiles = field(default_factory=YieldPercentiles)
    drafts: DraftTotals | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary(GroupSummary):
    """The whole run in figures.

    Attributes:
        breakdown_ms: stage (``BREAKDOWN_STAGES``) to its percentiles.
        cpu_seconds_per_turn: of the process and its children; None if not measured.
        peak_rss_mib: highest resident memory of the same; None if not measured.
        by_kind: the same in short for each kind of caller.
    """

    breakdown_ms: Mapping[str, StagePercentiles]
    cpu_seconds_per_turn: float | None
    peak_rss_mib: float | None
    by_kind: Mapping[str, GroupSummary] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """A measured run.

    Attributes:
        meta: what it was made with.
        warmup: number of turns played first and not counted.
        turns: the turns that count.
        summary: their figures.
        partial: the run was ended before every caller had spoken.
        warmup_turns: the turns that do not count, kept to be looked at.
        schema: the format's name.
    """

    meta: RunMeta
    warmup: int
    turns: tuple[TurnRecord, ...]
    summary: Summary
    partial: bool = False
    warmup_turns: tuple[TurnRecord, ...] = ()
    schema: str = SCHEMA


def to_json(run: Run) -> dict[str, Any]:
    """The run as ``run.json`` holds it: dicts, lists, strings, numbers, booleans and None.

    Raises:
        ValueError: a number is not finite (JSON has none such), or the configuration holds a
            value JSON does not know; the message names its place.
    """
    order = ("schema", "meta", "warmup", "partial", "summary", "turns", "warmup_turns")
    return {name: _plain(getattr(run, name), name) for name in order}


def from_json(data: Mapping[str, Any]) -> Run:
    """The run that ``data`` describes; fields it does not know are passed over.

    Raises:
        VoicebotError: ``data`` is not a run of this schema.
    """
    validate_run(data)
    return _run_adapter().validate_python(data)


def validate_run(data: Mapping[str, Any]) -> None:
    """Hold ``data`` against ``run.schema.json``.

    Raises:
        VoicebotError: it does not fit; the problem names the place.
    """
    error = best_match(_schema_validator().iter_errors(data))
    if error is not None:
        place = error.json_path.removeprefix("$").removeprefix(".") or "the file"
        raise VoicebotError(
            f"not a {SCHEMA} record, at {place}: {_shorten(error.message)}",
            "give a run.json that `voicebot bench` wrote",
        )


def write_run(run: Run, path: Path) -> None:
    """Write ``run`` to ``path`` as JSON, whole or not at all.

    Raises:
        OutputError: the file cannot be written; what stood there before still stands.
        ValueError: see ``to_json``.
    """
    text = json.dumps(to_json(run), ensure_ascii=False, allow_nan=False, indent=1)
    write_text_atomically(path, text + "\n")


def read_run(path: Path) -> Run:
    """Read a run from a ``run.json``.

    Raises:
        VoicebotError: the file is missing, unreadable, not JSON, or not a run.
    """
    way_out = "give a run.json that `voicebot bench` wrote"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise VoicebotError(f"cannot read {path}: {error.strerror or error}", way_out) from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise VoicebotError(f"{path} is not JSON: {error}", way_out) from error
    try:
        return from_json(data)
    except VoicebotError as error:
        raise VoicebotError(f"{path} is {error.problem}", error.way_out) from error


@cache
def _run_adapter() -> TypeAdapter[Run]:
    return TypeAdapter(Run)


@cache
def _schema_validator() -> jsonschema.Draft202012Validator:
    text = files("voicebot.bench").joinpath("run.schema.json").read_text(encoding="utf-8")
    return jsonschema.Draft202012Validator(json.loads(text))


def _plain(value: object, place: str) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {
            each.name: _plain(getattr(value, each.name), f"{place}.{each.name}")
            for each in fields(value)
        }
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        if not math.isfinite(value):
            raise ValueError(f"{place} is {value}, which JSON cannot hold")
        return float(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(each, f"{place}.{key}") for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, f"{place}[{index}]") for index, each in enumerate(value)]
    raise ValueError(f"{place} is a {type(value).__name__}, which JSON cannot hold")


def _shorten(message: str, limit: int = 160) -> str:
    return message if len(message) <= limit else message[: limit - 1] + "…"

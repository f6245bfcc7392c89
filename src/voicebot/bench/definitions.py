"""The same turns scored as other projects score themselves.

Between two figures in two READMEs lies, before any difference in speed, a difference in what was
timed: where the clock was started, where it was stopped, and which turns were left out. Here each
such definition is applied to the turns of one run, so that a reader sees what it would have made
of them, and by how much it flatters. Pure.

A definition that needs a mark which a turn lacks gives no figure for that turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.bench.scoring import MISS_AFTER_S
from voicebot.bench.statistics import percentile
from voicebot.timeline import Mark, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from voicebot.bench.record import TurnRecord

__all__ = ["DEFINITIONS", "Definition", "Scored", "score_by_definitions"]

_CONVERSATIONAL_MS = 1000.0


@dataclass(frozen=True, slots=True)
class Definition:
    """A way to time a turn.

    Attributes:
        name: short, for tables and files.
        begins: where the clock starts.
        ends: where it stops.
        left_out: which turns do not count; empty if all do.
        source: where it is documented or done, with an address where there is one.
        of_turn: the figure of a turn in ms; None if the turn has none by this definition.
    """

    name: str
    begins: str
    ends: str
    left_out: str
    source: str
    of_turn: Callable[[TurnRecord], float | None]


@dataclass(frozen=True, slots=True)
class Scored:
    """A run by one definition.

    Attributes:
        definition: which.
        count: how many turns have a figure by it.
        left_out: how many turns that are counted here are left out by it; negative if it gives a
            figure to turns that have none here.
        mean_ms: the mean.
        p50_ms: the median.
        p95_ms: the 95th percentile.
        clock_bias_ms: the mean difference to voice-to-voice as defined here, over the turns that
            have both: what the definition's clock hides (negative) or adds.
        mean_bias_ms: its mean less ours over all turns, those among them that it leaves out: what
            its clock and its choice of turns do together to the figure that is published.
        p50_bias_ms: the same of the median.
    """

    definition: Definition
    count: int
    left_out: int
    mean_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    clock_bias_ms: float | None
    mean_bias_ms: float | None
    p50_bias_ms: float | None


def _voice_to_voice(turn: TurnRecord) -> float | None:
    return turn.voice_to_voice_ms


def _between(begin: Mark, end: Mark) -> Callable[[TurnRecord], float | None]:
    def of_turn(turn: TurnRecord) -> float | None:
        begin_ms, end_ms = turn.marks.get(begin.value), turn.marks.get(end.value)
        if turn.voice_to_voice_ms is None or begin_ms is None or end_ms is None:
            return None
        return end_ms - begin_ms

    return of_turn


def _first_byte(turn: TurnRecord) -> float | None:
    return None if turn.voice_to_voice_ms is None else turn.marks.get(Mark.WRITTEN.value)


def _from_transcript(turn: TurnRecord) -> float | None:
    done = _work(turn).get(Part.ASR)
    if turn.voice_to_voice_ms is None or done is None:
        return None
    return turn.voice_to_voice_ms - done[1]


def _sum_of_parts(turn: TurnRecord) -> float | None:
    """End-of-turn delay, first token and first sound, each timed by itself, added up."""
    marks, work = turn.marks, _work(turn)
    if turn.voice_to_voice_ms is None or not {Part.LLM, Part.TTS} <= work.keys():
        return None
    needed = (Mark.SPEECH_END.value, Mark.COMMIT.value, Mark.FIRST_TOKEN.value)
    if any(name not in marks for name in needed):
        return None
    speech_end_ms, commit_ms, first_token_ms = (marks[name] for name in needed)
    waiting_ms = commit_ms - speech_end_ms
    first_sound_ms = work[Part.TTS][1] - work[Part.TTS][0]
    return waiting_ms + (first_token_ms - work[Part.LLM][0]) + first_sound_ms


def _clipped(turn: TurnRecord) -> float | None:
    return None if turn.voice_to_voice_ms is None else max(0.0, turn.voice_to_voice_ms)


def _without_slow(turn: TurnRecord) -> float | None:
    latency_ms = turn.voice_to_voice_ms
    return latency_ms if latency_ms is not None and latency_ms <= _CONVERSATIONAL_MS else None


def _without_cut_ins(turn: TurnRecord) -> float | None:
    return None if turn.cut_in else turn.voice_to_voice_ms


def _work(turn: TurnRecord) -> Mapping[Part, tuple[float, float]]:
    """Start and end of the models' work on the first sound, in ms after the true end."""
    parts = {part.value: part for part in (Part.ASR, Part.LLM, Part.TTS)}
    return {
        parts[span.stage]: (span.start_ms, span.end_ms)
        for span in turn.spans
        if span.stage in parts
    }


_TRUE_END = "the true end of the caller's speech, from the label"
_AUDIBLE = "the first audible sample, at the loudspeaker"

DEFINITIONS: tuple[Definition, ...] = (
    Definition("voice-to-voice", _TRUE_END, _AUDIBLE, "", "docs/measuring.md", _voice_to_voice),
    Definition(
        "from-vad-stop",
        "the stop that voice activity reports, its window of silence over",
        _AUDIBLE,
        "",
        "voicegateway's response_speed_ms, as its issue 244 describes it: "
        "https://github.com/mahimailabs/voicegateway/issues/244",
        _between(Mark.SOFT_END, Mark.AUDIBLE),
    ),
    Definition(
        "from-vad-estimate",
        "the end of speech that voice activity estimates, its stop less its window",
        _AUDIBLE,
        "",
        "Pipecat's UserBotLatencyObserver: https://docs.pipecat.ai/api-reference/server/utilities/"
        "observers/user-bot-latency-observer",
        _between(Mark.SPEECH_END, Mark.AUDIBLE),
    ),
    Definition(
        "from-turn-decision",
        "the decision that the turn is over",
        _AUDIBLE,
        "",
        "the wait before it is left out wherever only 'processing' is timed; a published account: "
        "https://signalwire.com/blogs/ceo/truth-about-voice-ai-latency",
        _between(Mark.COMMIT, Mark.AUDIBLE),
    ),
    Definition(
        "from-transcript",
        "the moment at which the final transcript is there",
        _AUDIBLE,
        "",
        "'some start the timer after speech recognition finishes': "
        "https://signalwire.com/blogs/ceo/truth-about-voice-ai-latency",
        _from_transcript,
    ),
    Definition(
        "first-byte",
        _TRUE_END,
        "the first bytes of audio handed over, heard or not",
        "",
        "Deepgram's LatencyReport, total_latency, 'to first audio byte': "
        "https://developers.deepgram.com/docs/voice-agent-latency-report",
        _first_byte,
    ),
    Definition(
        "sum-of-parts",
        "the start of each stage by itself",
        "its own end, added up: end-of-turn delay, time to first token, to first synthesised byte",
        "",
        "LiveKit Agents' documented sum, and a user's finding that it does not give the silence "
        "heard: https://github.com/livekit/agents/issues/3824",
        _sum_of_parts,
    ),
    Definition(
        "clipped-at-zero",
        _TRUE_END,
        _AUDIBLE + "; replies before the true end count as 0 ms",
        "",
        "no voice assistant is known to; an agent of a language model clips its call latencies so: "
        "https://github.com/OpenHands/OpenHands/pull/5660",
        _clipped,
    ),
    Definition(
        "cut-ins-dropped",
        _TRUE_END,
        _AUDIBLE,
        "turns in which the bot spoke over the caller",
        "common practice where only clean turns are counted; no single source",
        _without_cut_ins,
    ),
    Definition(
        "slow-turns-dropped",
        _TRUE_END,
        _AUDIBLE,
        f"turns slower than {_CONVERSATIONAL_MS:.0f} ms",
        "common practice where slow turns are taken for outliers or failures; the limit is ours "
        f"(a miss here is {MISS_AFTER_S:g} s, and stays in)",
        _without_slow,
    ),
)
"""Every definition, the one of this project first."""


def score_by_definitions(turns: Sequence[TurnRecord]) -> tuple[Scored, ...]:
    """The turns of a run by each of ``DEFINITIONS``, in their order."""
    all_ours = [turn.voice_to_voice_ms for turn in turns if turn.voice_to_voice_ms is not None]
    counted = len(all_ours)
    our_mean, our_p50 = _mean(all_ours), percentile(all_ours, 50)
    scored = []
    for definition in DEFINITIONS:
        pairs = [(definition.of_turn(turn), turn.voice_to_voice_ms) for turn in turns]
        values = [value for value, _ in pairs if value is not None]
        biases = [value - ours for value, ours in pairs if value is not None and ours is not None]
        scored.append(
            Scored(
                definition,
                count=len(values),
                left_out=counted - len(values),
                mean_ms=_mean(values),
                p50_ms=percentile(values, 50),
                p95_ms=percentile(values, 95),
                clock_bias_ms=_mean(biases),
                mean_bias_ms=_less(_mean(values), our_mean),
                p50_bias_ms=_less(percentile(values, 50), our_p50),
            )
        )
    return tuple(scored)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other

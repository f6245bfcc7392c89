"""From what was labelled, what was played and what the session says: the record of a turn.

Pure. The label gives the true end, the played waveform gives the audible instants; the session's
own facts only explain. Every instant is on the session's clock until the record is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from voicebot.audio.loudness import audible_spans
from voicebot.bench.record import Drafts, Span, TurnRecord
from voicebot.events import Outcome
from voicebot.timeline import (
    Mark,
    Part,
    Timeline,
    break_down,
    won_by_draft_s,
    work_came_last,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voicebot.audio.sinks import Playback
    from voicebot.bench.callers import CallerTurn
    from voicebot.events import TurnClosed

__all__ = ["MISS_AFTER_S", "PlayedTurn", "heard_spans", "heard_stretches", "score"]

MISS_AFTER_S = 5.0
"""Nothing audible within this time of the true end is a miss (part of the contract)."""

_ONSET_TOLERANCE_S = 0.5
_JOIN_GAP_MS = 200.0
_UNDERSTOOD = (Outcome.ANSWERED, Outcome.ACKNOWLEDGED)


@dataclass(frozen=True, slots=True)
class PlayedTurn:
    """A caller's turn as it was played.

    Attributes:
        label: what the manifest says of it.
        starts_s: the instant of its clip's first sample.
        until_s: the instant at which the next turn's clip begins, or the end of the listening.
        conversation: name of the conversation, None for a single turn.
    """

    label: CallerTurn
    starts_s: float
    until_s: float
    conversation: str | None

    @property
    def true_end_s(self) -> float:
        """The true end, on the session's clock."""
        return self.starts_s + self.label.true_end_s


def heard_spans(playbacks: Sequence[Playback], sample_rate_hz: int) -> list[tuple[float, float]]:
    """When the bot could be heard, to the window of 10 ms; (start, end) on the session's clock."""
    spans = []
    for playback in playbacks:
        for start, end in audible_spans(playback.samples, sample_rate_hz):
            spans.append(
                (
                    playback.start_s + start / sample_rate_hz,
                    playback.start_s + end / sample_rate_hz,
                )
            )
    return spans


def heard_stretches(
    playbacks: Sequence[Playback], sample_rate_hz: int
) -> list[tuple[float, float]]:
    """From the first to the last audible sample of what was played without a gap.

    A pause between words is inside a stretch; a sink that was cleared or ran dry ends one.
    """
    stretches = []
    for playback in playbacks:
        spans = heard_spans([playback], sample_rate_hz)
        if spans:
            stretches.append((spans[0][0], spans[-1][1]))
    return stretches


def score(
    turn: PlayedTurn,
    *,
    bot_spans: Sequence[tuple[float, float]],
    closed: Sequence[TurnClosed],
    bot_stretches: Sequence[tuple[float, float]] = (),
    underruns: int = 0,
    cpu_s: float | None = None,
    is_warmup: bool = False,
    fallbacks: Mapping[int, tuple[str, ...]] = MappingProxyType({}),
) -> TurnRecord:
    """The record of one turn.

    Args:
        turn: as it was played.
        bot_spans: all stretches in which the bot could be heard during the conversation.
        closed: all turns of the conversation that the session took note of.
        bot_stretches: see ``heard_stretches``; without them nothing is said of yielding.
        underruns: of the sink while this turn lasted.
        cpu_s: processor seconds of this turn.
        is_warmup: not to be counted.
        fallbacks: by the session's number of a turn, the stages in which a second engine worked.
    """
    end_s = turn.true_end_s
    own = _own(turn, closed)
    answer = _answer(turn, own)
    audible_s = _audible(turn, answer, bot_spans)
    spans = [span for span in bot_spans if turn.starts_s <= span[1] and span[0] < turn.until_s]
    speech_start_s = turn.starts_s + turn.label.start_s
    overlap_s = sum(max(0.0, min(end, end_s) - max(start, speech_start_s)) for start, end in spans)
    timeline = answer.timeline.copy() if answer is not None else Timeline()
    breakdown = None
    if audible_s is not None:
        breakdown = break_down(timeline, end_s=end_s, audible_s=audible_s)
        timeline.mark(Mark.AUDIBLE, audible_s)
    won_s = None if answer is None else won_by_draft_s(answer.timeline)
    started = sum(item.drafts_started for item in own)
    used = int(won_s is not None)
    return TurnRecord(
        caller=turn.label.name,
        kind=turn.label.kind,
        true_end_s=turn.label.true_end_s,
        audible_s=None if audible_s is None else round(audible_s - turn.starts_s, 6),
        voice_to_voice_ms=None if audible_s is None else (audible_s - end_s) * 1000.0,
        cut_in=overlap_s > 0,
        overlap_ms=overlap_s * 1000.0,
        missed=not any(end_s <= end and start <= end_s + MISS_AFTER_S for start, end in spans),
        transcript=" ".join(item.transcript for item in own if item.outcome in _UNDERSTOOD),
        reply=answer.reply if answer is not None else "",
        marks={mark.value: (at_s - end_s) * 1000.0 for mark, at_s in timeline.marks.items()},
        breakdown_ms=breakdown,
        drafts=Drafts(
            started=started,
            used=used,
            discarded=started - used,
            discarded_tokens=sum(item.discarded_tokens for item in own),
            discarded_cpu_s=sum(item.discarded_cpu_s for item in own),
            won_ms=None if won_s is None else won_s * 1000.0,
        ),
        text=turn.label.text,
        heard=answer.heard if answer is not None else "",
        conversation=turn.conversation,
        speaker=turn.label.speaker,
        speech=turn.label.speech,
        outcome=answer.outcome.value if answer is not None else _unanswered(own),
        bot_audio=tuple(
            (start - turn.starts_s, end - turn.starts_s) for start, end in _joined(spans)
        ),
        spans=tuple(_waterfall(timeline, end_s)),
        underruns=underruns,
        failure=next((item.failure for item in own if item.failure), None),
        warmup=is_warmup,
        yield_ms=_yield_ms(speech_start_s, bot_stretches),
        cpu_s=cpu_s,
        fallbacks=tuple(sorted({stage for item in own for stage in fallbacks.get(item.turn, ())})),
    )


def _yield_ms(speech_start_s: float, bot_stretches: Sequence[tuple[float, float]]) -> float | None:
    for start_s, end_s in bot_stretches:
        if start_s <= speech_start_s < end_s:
            return (end_s - speech_start_s) * 1000.0
    return None


def _own(turn: PlayedTurn, closed: Sequence[TurnClosed]) -> list[TurnClosed]:
    first_s = turn.starts_s + turn.label.start_s - _ONSET_TOLERANCE_S
    return [
        item
        for item in closed
        if first_s <= item.speech_start_s < turn.until_s - _ONSET_TOLERANCE_S
    ]


def _answer(turn: PlayedTurn, own: Sequence[TurnClosed]) -> TurnClosed | None:
    """The last reply given, if it answers the whole turn.

    It does if the words it answers reach into the caller's last stretch of speech: an answer to
    what was said before a pause is none to what was said after it.
    """
    answered = [item for item in own if item.outcome is Outcome.ANSWERED]
    if not answered or answered[-1].failure is not None:
        return None  # an apology is no answer
    last_speech_start_s = turn.starts_s + turn.label.speech[-1][0]
    heard_to_s = answered[-1].speech_end_s
    return answered[-1] if heard_to_s is not None and heard_to_s > last_speech_start_s else None


def _audible(
    turn: PlayedTurn, answer: TurnClosed | None, bot_spans: Sequence[tuple[float, float]]
) -> float | None:
    left_s = None if answer is None else answer.timeline.marks.get(Mark.LEFT_SINK)
    if left_s is None:
        return None
    onsets = (start for start, end in bot_spans if end > left_s and start < turn.until_s)
    return next(onsets, None)


def _unanswered(own: Sequence[TurnClosed]) -> str:
    """How the caller's last words ended, where no reply answers the whole turn."""
    if own and own[-1].failure is not None:
        return "failed"
    if own and own[-1].outcome is Outcome.MERGED:
        return "merged"
    if own and own[-1].outcome is Outcome.ACKNOWLEDGED:
        return "acknowledged"
    return "dismissed"


def _waterfall(timeline: Timeline, end_s: float) -> list[Span]:
    marks = timeline.marks
    commit_s, soft_end_s = marks.get(Mark.COMMIT), marks.get(Mark.SOFT_END)
    if commit_s is None or soft_end_s is None:
        return []

    def span(part: Part, start_s: float, stop_s: float, *, hidden: bool) -> Span:
        return Span(part.value, (start_s - end_s) * 1000.0, (stop_s - end_s) * 1000.0, hidden)

    work_is_last = work_came_last(timeline)
    rows = [
        span(Part.ENDPOINT, min(end_s, soft_end_s), soft_end_s, hidden=False),
        span(Part.ENDPOINT, soft_end_s, commit_s, hidden=work_is_last),
    ]
    rows += [
        span(item.part, item.start_s, item.end_s, hidden=not work_is_last)
        for item in timeline.work()
    ]
    if Mark.WRITTEN in marks and Mark.AUDIBLE in marks:
        rows.append(span(Part.OUTPUT, marks[Mark.WRITTEN], marks[Mark.AUDIBLE], hidden=False))
    return rows


def _joined(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Spans with no more than a short gap between words count as one, for the eye."""
    joined: list[tuple[float, float]] = []
    for start, end in spans:
        if joined and (start - joined[-1][1]) * 1000.0 <= _JOIN_GAP_MS:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined

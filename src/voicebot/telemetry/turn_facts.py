"""A turn that is over, in figures that may leave the program (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from voicebot.latency import estimated_breakdown
from voicebot.timeline import Mark

if TYPE_CHECKING:
    from voicebot.events import TurnClosed
    from voicebot.timeline import Breakdown

__all__ = ["TurnFacts", "turn_facts"]


@dataclass(frozen=True, slots=True)
class TurnFacts:
    """One turn.

    Attributes:
        turn: its number in the conversation.
        began_at: when the user began to speak, ISO 8601 in UTC.
        outcome: how it ended.
        latency_ms: from the user's estimated end to the first sample at the loudspeaker; None
            without a reply, and for one that had to wait for an earlier one. There is no label in a
            live conversation: the estimate stands in.
        breakdown_ms: where it went; None without a reply.
        drafts_started: replies begun, the played one included.
        drafts_discarded: those thrown away.
        discarded_tokens: what those had cost.
        failure: the error line, if a stage failed.
        speech_end_at: the user's estimated end, ISO 8601 in UTC; None if it never came.
        first_sample_at: when the reply's first sample left the loudspeaker, by the device's own
            time; None without a reply.
        run: which measured run it is of; None in a conversation with a person.
        caller: which of that run's callers; None likewise.
        transcript: what was understood; None unless words are wanted.
        reply: what was written; None unless words are wanted.
        heard: how much of it was played; None unless words are wanted.
    """

    turn: int
    began_at: str
    outcome: str
    latency_ms: float | None
    breakdown_ms: Breakdown | None
    drafts_started: int
    drafts_discarded: int
    discarded_tokens: int
    failure: str | None
    speech_end_at: str | None = None
    first_sample_at: str | None = None
    run: str | None = None
    caller: str | None = None
    transcript: str | None = None
    reply: str | None = None
    heard: str | None = None


def turn_facts(
    closed: TurnClosed,
    *,
    clock_offset_s: float,
    with_words: bool,
    run: str | None = None,
    caller: str | None = None,
) -> TurnFacts:
    """The facts of a turn.

    Args:
        closed: the turn.
        clock_offset_s: what makes an instant of the session's clock a Unix time.
        with_words: whether what was said may leave the program.
        run: the measured run it is of, if any.
        caller: and the caller.
    """
    left_s = closed.timeline.marks.get(Mark.LEFT_SINK)
    breakdown = estimated_breakdown(closed)
    began = datetime.fromtimestamp(closed.speech_start_s + clock_offset_s, UTC)

    def instant(at_s: float | None) -> str | None:
        if at_s is None:
            return None
        unix = datetime.fromtimestamp(at_s + clock_offset_s, UTC)
        return unix.isoformat(timespec="microseconds")

    return TurnFacts(
        turn=closed.turn,
        began_at=began.isoformat(timespec="milliseconds"),
        outcome=closed.outcome.value,
        latency_ms=None if breakdown is None else breakdown.total_ms,
        breakdown_ms=breakdown,
        drafts_started=closed.drafts_started,
        drafts_discarded=closed.drafts_discarded,
        discarded_tokens=closed.discarded_tokens,
        failure=closed.failure,
        speech_end_at=instant(closed.speech_end_s),
        first_sample_at=instant(left_s),
        run=run,
        caller=caller,
        transcript=closed.transcript if with_words else None,
        reply=closed.reply if with_words else None,
        heard=closed.heard if with_words else None,
    )

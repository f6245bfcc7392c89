"""The latency of a turn whose true end nobody has labelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.timeline import Breakdown, Mark, break_down

if TYPE_CHECKING:
    from voicebot.events import TurnClosed

__all__ = ["estimated_breakdown"]


def estimated_breakdown(turn: TurnClosed) -> Breakdown | None:
    """From the estimated end of speech (or the Enter key) to the first sample of the reply.

    None if nothing was said in reply, and if the reply had to wait until the bot had ended another
    one, as it does in the modes that let it speak on: that wait was chosen, and is no latency.
    """
    marks = turn.timeline.marks
    left_s = marks.get(Mark.LEFT_SINK)
    if turn.speech_end_s is None or left_s is None or Mark.FLOOR_FREE in marks:
        return None
    return break_down(turn.timeline, end_s=turn.speech_end_s, audible_s=left_s)

"""Where the time of a turn goes: marks and spans on one clock, and the breakdown of a latency.

A latency is explained along its critical path. Walking back from the first audible sample, each
instant had to wait for one other: the sink for the gate or for the first samples, whichever came
last; the samples for the clause; the clause for the transcript; the transcript for the soft end.
Work that went on behind a longer wait is off the path and costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

__all__ = ["Breakdown", "Mark", "Span", "Stage", "Timeline", "break_down"]


class Stage(Enum):
    """The parts into which a latency is broken down."""

    ENDPOINT = "endpoint"
    ASR = "asr"
    LLM = "llm"
    TTS = "tts"
    OUTPUT = "output"


class Mark(Enum):
    """Named instants of a turn."""

    SPEECH_END = "speech_end"  # the endpointer's estimate
    SOFT_END = "soft_end"  # the decision that the played draft started from
    COMMIT = "commit"
    PREFILLED = "prefilled"
    FIRST_TOKEN = "first_token"  # noqa: S105  # a language model's token
    WRITTEN = "written"  # the sink took the first samples
    LEFT_SINK = "left_sink"  # the first sample's DAC time
    AUDIBLE = "audible"


@dataclass(frozen=True, slots=True)
class Span:
    """One stage at work on what the first sound needed."""

    stage: Stage
    start_s: float
    end_s: float


@dataclass(slots=True)
class Timeline:
    """The marks and spans of one reply; later marks of the same name do not replace the first."""

    marks: dict[Mark, float] = field(default_factory=dict)
    spans: dict[Stage, Span] = field(default_factory=dict)

    def mark(self, mark: Mark, at_s: float) -> None:
        """Set ``mark`` unless it is set."""
        self.marks.setdefault(mark, at_s)

    def span(self, stage: Stage, start_s: float, end_s: float) -> None:
        """Set the span of ``stage`` unless it is set."""
        self.spans.setdefault(stage, Span(stage, start_s, end_s))

    def copy(self) -> Timeline:
        """An independent copy."""
        return Timeline(dict(self.marks), dict(self.spans))


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Where the milliseconds of a latency went, along the critical path; they sum to it.

    ``unattributed`` is what no mark explains and may be negative, as may ``endpoint`` when the
    endpointer was ahead of the true end.
    """

    endpoint: float
    asr: float
    llm: float
    tts: float
    output: float
    unattributed: float

    @property
    def total_ms(self) -> float:
        """The latency itself, in milliseconds."""
        return self.endpoint + self.asr + self.llm + self.tts + self.output + self.unattributed


def break_down(timeline: Timeline, *, end_s: float, audible_s: float) -> Breakdown | None:
    """Explain ``audible_s - end_s`` along the critical path.

    Args:
        timeline: of the reply that was played.
        end_s: the true end of the user's speech, or its estimate where there is no label.
        audible_s: the first audible sample, read from the played waveform.

    Returns:
        The breakdown, or None if the timeline lacks the commit or the first samples.
    """
    marks, spans = timeline.marks, timeline.spans
    if not {Mark.COMMIT, Mark.WRITTEN, Mark.LEFT_SINK} <= marks.keys():
        return None
    commit_s = marks[Mark.COMMIT]
    written_s, left_s = marks[Mark.WRITTEN], marks[Mark.LEFT_SINK]
    spent = dict.fromkeys(Stage, 0.0)
    spent[Stage.OUTPUT] = left_s - written_s
    spent[Stage.TTS] = audible_s - left_s  # leading silence is the synthesiser's
    work = [spans[stage] for stage in (Stage.ASR, Stage.LLM, Stage.TTS) if stage in spans]
    if work and work[-1].end_s > commit_s:
        # The reply came last: its chain of work is the path, the gate stood open by then.
        for span in work:
            spent[span.stage] += span.end_s - span.start_s
        spent[Stage.ENDPOINT] = marks.get(Mark.SOFT_END, work[0].start_s) - end_s
    else:
        spent[Stage.ENDPOINT] = commit_s - end_s
    unattributed = (audible_s - end_s) - sum(spent.values())
    return Breakdown(
        **{stage.value: spent[stage] * 1000.0 for stage in Stage},
        unattributed=unattributed * 1000.0,
    )

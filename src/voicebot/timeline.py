"""Where the time of a turn goes: marks and spans on one clock, and the breakdown of a latency.

A latency is explained along its critical path. Walking back from the first audible sample, each
instant had to wait for one other: the sink for the gate or for the first samples, whichever came
last; the samples for the clause; the clause for the transcript; the transcript for the soft end.
Work that went on behind a longer wait is off the path and costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

__all__ = [
    "Breakdown",
    "Mark",
    "Part",
    "Span",
    "Timeline",
    "break_down",
    "won_by_draft_s",
    "work_came_last",
]


class Part(Enum):
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
    FLOOR_FREE = "floor_free"  # an earlier reply, which had to be waited for, was over
    PREFILLED = "prefilled"
    FIRST_TOKEN = "first_token"  # noqa: S105  # a language model's token
    WRITTEN = "written"  # the sink took the first samples
    LEFT_SINK = "left_sink"  # the first sample's DAC time
    AUDIBLE = "audible"


@dataclass(frozen=True, slots=True)
class Span:
    """One part of the work that the first sound needed."""

    part: Part
    start_s: float
    end_s: float


@dataclass(slots=True)
class Timeline:
    """The marks and spans of one reply; later marks of the same name do not replace the first."""

    marks: dict[Mark, float] = field(default_factory=dict)
    spans: dict[Part, Span] = field(default_factory=dict)

    def mark(self, mark: Mark, at_s: float) -> None:
        """Set ``mark`` unless it is set."""
        self.marks.setdefault(mark, at_s)

    def span(self, part: Part, start_s: float, end_s: float) -> None:
        """Set the span of ``part`` unless it is set."""
        self.spans.setdefault(part, Span(part, start_s, end_s))

    def work(self) -> list[Span]:
        """The spans of the models' work, in the order in which one waits for the other."""
        return [self.spans[part] for part in (Part.ASR, Part.LLM, Part.TTS) if part in self.spans]

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


def work_came_last(timeline: Timeline) -> bool:
    """Whether the first sound waited for the work rather than for the commit."""
    work = timeline.work()
    commit_s = timeline.marks.get(Mark.COMMIT)
    return bool(work) and commit_s is not None and work[-1].end_s > commit_s


def won_by_draft_s(timeline: Timeline) -> float | None:
    """How much of the models' work on the first sound was done before the commit, in seconds.

    By as much the reply would have come later, had the same work begun at the commit. None if no
    writing had begun by then, so that the reply was no draft.
    """
    commit_s = timeline.marks.get(Mark.COMMIT)
    writing = timeline.spans.get(Part.LLM)
    if commit_s is None or writing is None or writing.start_s >= commit_s:
        return None
    before = [span for span in timeline.work() if span.start_s < commit_s]
    return sum(min(span.end_s, commit_s) - span.start_s for span in before)


def break_down(timeline: Timeline, *, end_s: float, audible_s: float) -> Breakdown | None:
    """Explain ``audible_s - end_s`` along the critical path.

    Args:
        timeline: of the reply that was played.
        end_s: the true end of the user's speech, or its estimate where there is no label.
        audible_s: the first audible sample, read from the played waveform.

    Returns:
        The breakdown, or None if the timeline lacks the commit or the first samples.
    """
    marks = timeline.marks
    if not {Mark.COMMIT, Mark.WRITTEN, Mark.LEFT_SINK} <= marks.keys():
        return None
    commit_s = marks[Mark.COMMIT]
    written_s, left_s = marks[Mark.WRITTEN], marks[Mark.LEFT_SINK]
    spent = dict.fromkeys(Part, 0.0)
    spent[Part.OUTPUT] = left_s - written_s
    spent[Part.TTS] = audible_s - left_s  # leading silence is the synthesiser's
    if work_came_last(timeline):
        # The chain of work is the path: the gate stood open by then. Work that waited for the
        # commit has nothing before it on the path but the wait.
        work = timeline.work()
        done = [span for span in work if span.end_s <= commit_s]
        if done and work[len(done)].start_s >= commit_s:
            work = work[len(done) :]
        for span in work:
            spent[span.part] += span.end_s - span.start_s
        began_s = (
            marks.get(Mark.SOFT_END, work[0].start_s) if work[0].part is Part.ASR else commit_s
        )
        spent[Part.ENDPOINT] = began_s - end_s
    else:
        spent[Part.ENDPOINT] = commit_s - end_s
    unattributed = (audible_s - end_s) - sum(spent.values())
    return Breakdown(
        **{part.value: spent[part] * 1000.0 for part in Part},
        unattributed=unattributed * 1000.0,
    )

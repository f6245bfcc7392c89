"""What of a reply has gone to the loudspeaker, and when each of its words is heard.

A reply may be held in the middle of a word, and go on later from the start of that word. So the
sound of every clause is kept until the reply is over, together with the instants of its words.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from voicebot.events import ClauseSpoken
from voicebot.text.speakable import Speakable, heard_prefix
from voicebot.timeline import Mark, Timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.audio.samples import Samples
    from voicebot.audio.sinks import AudioSink
    from voicebot.engines.protocols import SpeechChunk
    from voicebot.events import Event

__all__ = ["PlayedClause", "Playout"]

_SAME_INSTANT_S = 1e-6
_FADE_IN_S = 0.005


@dataclass(slots=True)
class _PlayedWord:
    """A word of a clause.

    Attributes:
        text_end: where it ends in the spoken text.
        within_s: its start, from the clause's first sample.
        starts_s: its DAC time; None until it is written.
    """

    text_end: int
    within_s: float
    starts_s: float | None = None


@dataclass(slots=True, eq=False)
class PlayedClause:
    """A clause on its way through the loudspeaker.

    Attributes:
        speakable: its text.
        number: which of the reply's clauses it is, from 0.
        starts_s: the DAC time of its first sample; None until that is written.
        ends_s: the instant behind the last sample that was written.
        is_complete: whether all its sound is known.
        is_told: whether those who listen to events know of it.
    """

    speakable: Speakable
    number: int = 0
    starts_s: float | None = None
    ends_s: float = 0.0
    is_complete: bool = False
    is_told: bool = False
    _words: list[_PlayedWord] = field(default_factory=list)
    _sound: list[Samples] = field(default_factory=list)
    _samples: int = 0
    _written: int = 0
    _heard_words: int = 0  # of an earlier hold: they stay heard whatever is played later

    def keep(self, chunk: SpeechChunk) -> None:
        """Take the next piece of its sound."""
        self._words += [_PlayedWord(word.text_end, word.start_s) for word in chunk.words]
        self._sound.append(chunk.samples)
        self._samples += len(chunk.samples)

    def write_rest(self, sink: AudioSink, *, fades_in: bool = False) -> float | None:
        """Hand over what was not yet; gives the DAC time of its first sample, None for nothing."""
        first = self._written
        if first >= self._samples:
            return None
        rest = self._sound[-1] if first + len(self._sound[-1]) == self._samples else self._all()
        rest = rest[len(rest) - (self._samples - first) :]
        if fades_in:
            rest = _faded_in(rest, sink.sample_rate_hz)
        starts_s = sink.write(rest)
        self._written = self._samples
        from_s = first / sink.sample_rate_hz
        for word in self._words:
            # What the engine says of a word may lie before the chunk that brought it.
            if word.starts_s is None:
                word.starts_s = starts_s + word.within_s - from_s
        if self.starts_s is None:
            self.starts_s = starts_s
        self.ends_s = starts_s + len(rest) / sink.sample_rate_hz
        return starts_s

    def heard_words_by(self, instant_s: float) -> int:
        """How many of its words were over by then."""
        heard = self._heard_words
        for index, word in enumerate(self._words):
            if word.starts_s is None:
                break
            is_last = index + 1 == len(self._words)
            if is_last and not (self.is_complete and self._written == self._samples):
                break  # where it ends is not known yet
            over_s = self.ends_s if is_last else self._words[index + 1].starts_s
            if over_s is not None and over_s <= instant_s + _SAME_INSTANT_S:
                heard = max(heard, index + 1)
        return heard

    def heard_by(self, instant_s: float) -> str:
        """The original text up to the last word whose sound was over by then."""
        if self._is_over_by(instant_s):
            return self.speakable.original.strip()
        heard = self.heard_words_by(instant_s)
        heard_to = self._words[heard - 1].text_end if heard else 0
        return heard_prefix(self.speakable, heard_to).strip()

    def rewind(self, instant_s: float, sample_rate_hz: int) -> None:
        """Count only those words as written that were over by then."""
        if self.starts_s is None or self._is_over_by(instant_s):
            return
        if self.starts_s >= instant_s - _SAME_INSTANT_S:
            self.starts_s = None
        heard = self.heard_words_by(instant_s)
        self._heard_words = heard
        for word in self._words[heard:]:
            word.starts_s = None
        if heard < len(self._words):
            at = round(self._words[heard].within_s * sample_rate_hz) if heard else 0
            self._written = min(max(at, 0), self._written)
        elif not self._words:
            self._written = 0

    def take_back(self, instant_s: float, sample_rate_hz: int) -> None:
        """Count only those samples as written that leave before then; a word may be cut."""
        if self.starts_s is None or self.ends_s <= instant_s + _SAME_INSTANT_S:
            return
        taken_back = round((self.ends_s - instant_s) * sample_rate_hz)
        self._written = max(0, self._written - taken_back)
        if self._written == 0:
            self.starts_s = None
        for word in self._words:
            if word.starts_s is not None and word.starts_s >= instant_s - _SAME_INSTANT_S:
                word.starts_s = None

    def _is_over_by(self, instant_s: float) -> bool:
        is_written = self.is_complete and self._written == self._samples
        return is_written and self.ends_s <= instant_s + _SAME_INSTANT_S

    def _all(self) -> Samples:
        self._sound = [np.concatenate(self._sound)]
        return self._sound[0]


class Playout:
    """A reply's way through the loudspeaker.

    Args:
        turn: the number of the turn it answers.
        sink: the loudspeaker.
        timeline: receives the marks of the first sound.
        notify: takes the facts as they happen.
    """

    def __init__(
        self, turn: int, sink: AudioSink, timeline: Timeline, notify: Callable[[Event], None]
    ) -> None:
        self._turn = turn
        self._sink = sink
        self._timeline = timeline
        self._notify = notify
        self._clauses: list[PlayedClause] = []
        self._starts_s: float | None = None
        self._is_silenced = False
        self._last_number: int | None = None
        self._is_free = asyncio.Event()
        self._is_free.set()

    @property
    def is_silenced(self) -> bool:
        """Whether nothing more may reach the sink."""
        return self._is_silenced

    @property
    def starts_s(self) -> float | None:
        """The DAC time of its first sample; None until that is known."""
        return self._starts_s

    def add(self, clause: PlayedClause, chunk: SpeechChunk) -> None:
        """Take the next chunk; it is written at once unless the reply is held."""
        if self._last_number is not None and clause.number > self._last_number:
            return
        if not self._clauses or self._clauses[-1] is not clause:
            self._clauses.append(clause)
        clause.keep(chunk)
        if self._is_free.is_set():
            self._write(clause)

    def silence(self) -> None:
        """From now on nothing more reaches the sink."""
        self._is_silenced = True

    def hold(self) -> None:
        """Keep what comes from now on; call it before the sink is cleared."""
        self._is_free.clear()

    def resume(self, silent_from_s: float) -> None:
        """Go on from the start of the word that was cut at ``silent_from_s``."""
        self._is_free.set()
        if self._is_silenced:
            return
        self._sink.begin()
        was_cut = True
        for clause in self._clauses:
            clause.rewind(silent_from_s, self._sink.sample_rate_hz)
            was_cut = not self._write(clause, fades_in=was_cut) and was_cut

    def number_heard_at(self, instant_s: float) -> int:
        """Which clause is heard then: the last that has begun, else the first."""
        begun = [
            clause.number
            for clause in self._clauses
            if clause.starts_s is not None and clause.starts_s <= instant_s
        ]
        return begun[-1] if begun else 0

    def end_with(self, number: int) -> None:
        """Let the clause of that number be the last; later ones leave the sink's queue.

        What is left of the earlier ones is queued again, to the sample where it was.
        """
        self._last_number = number
        later = [clause for clause in self._clauses if clause.number > number]
        self._clauses = [clause for clause in self._clauses if clause.number <= number]
        if not self._is_free.is_set() or all(clause.starts_s is None for clause in later):
            return
        silent_from_s = self._sink.clear()
        self._sink.begin()
        for clause in self._clauses:
            clause.take_back(silent_from_s, self._sink.sample_rate_hz)
            self._write(clause)

    def heard_text(self, until_s: float) -> str:
        """What had been heard of it by ``until_s``, to the word."""
        parts = [
            clause.heard_by(until_s)
            for clause in self._clauses
            if clause.starts_s is not None and clause.starts_s < until_s
        ]
        return " ".join(part for part in parts if part)

    async def finish(self) -> None:
        """Wait until its last sample has been played, for as long as it is held too."""
        loop = asyncio.get_running_loop()
        while self._clauses:
            await self._is_free.wait()
            left_s = self._sink.ends_s - loop.time()
            if left_s <= 0:
                return
            await asyncio.sleep(left_s)

    def _write(self, clause: PlayedClause, *, fades_in: bool = False) -> bool:
        """Write what is left of ``clause``; whether there was anything."""
        written_s = asyncio.get_running_loop().time()
        starts_s = clause.write_rest(self._sink, fades_in=fades_in)
        if starts_s is None:
            return False
        if self._starts_s is None:
            self._starts_s = starts_s
        self._timeline.mark(Mark.WRITTEN, written_s)
        self._timeline.mark(Mark.LEFT_SINK, starts_s)
        if not clause.is_told:
            clause.is_told = True
            self._notify(ClauseSpoken(self._turn, clause.speakable.original, starts_s))
        return True


def _faded_in(samples: Samples, sample_rate_hz: int) -> Samples:
    """A word's start cut out of running speech would click."""
    count = min(len(samples), round(_FADE_IN_S * sample_rate_hz))
    faded = samples.copy()
    faded[:count] *= np.linspace(0.0, 1.0, count, dtype=np.float32)
    return faded

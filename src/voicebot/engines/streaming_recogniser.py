"""Streaming recognition with a model that decodes whole stretches of audio.

Everything here is independent of the model: it is driven through ``StretchDecoder``, and a test
gives it one that follows a script.

- While the user speaks, the turn's audio is decoded again and again as it grows, as often as the
  machine can bear (``decode_schedule.py``); the words on which two decodings agree have settled
  (``local_agreement.py``) and change in no later partial transcript.
- The moment the user falls silent is always worth a decoding: if they stay silent, it is the final
  one. ``finish`` then has nothing to do, since nothing that may be speech came after it.
- The final transcript is decoded from all the audio that is still held, without being bound to what
  was settled from less of it: it is what the model makes of the whole.
- A long turn is cut at pauses. What lies before the cut is decoded once more, by itself, stays as
  it is, and is the prompt of what follows; so a decoding never costs more than one window.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.engines.decode_schedule import DecodeSchedule
from voicebot.engines.heard_window import HeardWindow
from voicebot.engines.hypothesis import GateLimits, Hypothesis, judge
from voicebot.engines.local_agreement import LocalAgreement
from voicebot.engines.protocols import HeardWord, Transcript
from voicebot.engines.speech_track import SpeechTrack
from voicebot.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.audio.samples import Samples
    from voicebot.engines.protocols import Vad

__all__ = ["StreamingRecogniser", "StreamingRules", "StretchDecoder"]

_EARLIEST_CUT_S = 2.0
_LATEST_CUT_S = 1.0
_PROMPT_WORDS = 32


class StretchDecoder(Protocol):
    """A model that turns a stretch of audio into text."""

    def start(self) -> None:
        """A new turn begins."""
        ...

    def decode(self, samples: Samples, prompt: str) -> Hypothesis:
        """What was said in ``samples`` (16 kHz), after what ``prompt`` says."""
        ...

    def word_times(self) -> tuple[HeardWord, ...]:
        """The words of the last decoding, in seconds from the first of its samples."""
        ...

    def close(self) -> None:
        """Free the model."""
        ...


@dataclass(frozen=True, slots=True)
class StreamingRules:
    """How a turn is recognised as it comes in.

    Attributes:
        every_s: audio between two decodings, if the machine can bear it.
        share: the largest share of the time that is spent on decoding while the user speaks.
        window_s: a turn that is longer is cut.
        min_speech_s: audio with less speech than this is not decoded.
        context_words: so many of the last words of the turn before are the prompt of a turn.
        prompt: what every prompt begins with: names and words that are likely to come.
        word_times: whether final transcripts have the times of their words.
        limits: from where on a decoding is not believed.
    """

    every_s: float = 0.5
    share: float = 0.5
    window_s: float = 12.0
    min_speech_s: float = 0.06
    context_words: int = 0
    prompt: str = ""
    word_times: bool = False
    limits: GateLimits = field(default_factory=GateLimits)


@dataclass(frozen=True, slots=True)
class _Decoded:
    """What was made of the audio from ``start`` to ``end``."""

    start: int
    end: int
    text: str
    words: tuple[HeardWord, ...] = ()


class StreamingRecogniser:
    """Recognises one turn at a time. An ``Asr``.

    Args:
        decoder: the model.
        vad: voice activity for this recogniser alone.
        rules: see there.
        clock: gives seconds; tells what a decoding costs.
    """

    def __init__(
        self,
        decoder: StretchDecoder,
        vad: Vad,
        rules: StreamingRules,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._decoder = decoder
        self.runs_as = str(getattr(decoder, "runs_as", ""))
        self._speech = SpeechTrack(vad)
        self._rules = rules
        self._clock = clock
        self._schedule = DecodeSchedule(rules.every_s, rules.share)
        self._agreement = LocalAgreement()
        self._window = HeardWindow()
        self._kept: list[_Decoded] = []
        self._last: _Decoded | None = None
        self._final: _Decoded | None = None
        self._context = ""
        self._told = ""
        self._in_turn = False

    def start(self) -> None:
        """Begin a new turn; whatever was fed before is forgotten, but for the prompt's words."""
        if self._rules.context_words and self._final is not None:
            words = self._text(self._final.text).split()
            self._context = " ".join(words[-self._rules.context_words :])
        self._in_turn = True
        self._decoder.start()
        self._speech.start()
        self._schedule.start()
        self._agreement.reset()
        self._window.clear()
        self._kept.clear()
        self._last = self._final = None
        self._told = ""

    def feed(self, samples: Samples) -> Transcript | None:
        """Take the next audio, and decode all of it if that is due.

        Args:
            samples: shape (n,), float32, 16 kHz. NaN and infinities count as silence.

        Returns:
            The new partial transcript, if there was a decoding and it changed anything.

        Raises:
            EngineError: no turn was started, the samples have another shape, or the model failed.
        """
        self._check_turn()
        if samples.ndim != 1:
            raise EngineError(f"the recogniser takes samples of shape (n,), not {samples.shape}")
        self._window.push(samples)
        pause_begins = self._speech.push(samples)
        if not self._schedule.is_due(_seconds(self._window.end), pause_begins=pause_begins):
            return None
        if self._covers_all_speech(self._last):
            return None
        began_s = self._clock()
        self._keep_what_is_long_past()
        self._last = self._decode(self._window.start, self._window.end)
        self._agreement.update(self._last.text.split())
        self._schedule.decoded(_seconds(self._window.end), self._clock() - began_s)
        text = self._text(" ".join(self._agreement.words))
        if text == self._told:
            return None
        self._told = text
        return Transcript(text, final=False)

    def finish(self) -> Transcript:
        """The final transcript of all that was fed since ``start``; ``feed`` may follow.

        At once if the last decoding has heard all that may be speech, else after one decoding.

        Raises:
            EngineError: no turn was started, or the model failed.
        """
        self._check_turn()
        final = self._last
        if final is None or not self._covers_all_speech(final):
            began_s = self._clock()
            self._keep_what_is_long_past()
            final = self._decode(self._window.start, self._window.end)
            self._schedule.decoded(_seconds(self._window.end), self._clock() - began_s)
            self._agreement.update(final.text.split())
        if self._rules.word_times and final.text and not final.words:
            final = _Decoded(final.start, final.end, final.text, self._times(final.start))
        self._last = self._final = final
        self._told = self._text(final.text)
        words = [word for part in (*self._kept, final) for word in part.words]
        return Transcript(self._told, final=True, words=tuple(words))

    def close(self) -> None:
        """Free the model and voice activity."""
        self._decoder.close()
        self._speech.close()

    def _text(self, of_window: str) -> str:
        return " ".join(filter(None, [*(part.text for part in self._kept), of_window]))

    def _covers_all_speech(self, decoded: _Decoded | None) -> bool:
        """Whether nothing that may be speech came after ``decoded``."""
        if decoded is None:
            return False
        return not self._speech.may_hold_speech(decoded.end)

    def _keep_what_is_long_past(self) -> None:
        """Cut a window that is too long at a pause, and decode what lies before it for good."""
        window = _samples(self._rules.window_s)
        while self._window.end - self._window.start > window:
            kept = self._final_to_keep() or self._decode_to_keep(self._window.start + window)
            if kept.text:
                self._kept.append(kept)
            self._window.cut(kept.end)
            self._last = self._final = None
            self._agreement.reset()

    def _final_to_keep(self) -> _Decoded | None:
        """The last final transcript, if the user has spoken on: it ended in a pause, too."""
        final = self._final
        is_of_use = (
            final is not None
            and final.end - self._window.start >= _samples(_EARLIEST_CUT_S)
            and final.end < self._window.end
        )
        return final if is_of_use else None

    def _decode_to_keep(self, limit: int) -> _Decoded:
        cut = self._speech.best_cut(
            self._window.start + _samples(_EARLIEST_CUT_S), limit - _samples(_LATEST_CUT_S)
        )
        decoded = self._decode(self._window.start, cut)
        if self._rules.word_times and decoded.text:
            return _Decoded(decoded.start, cut, decoded.text, self._times(decoded.start))
        return decoded

    def _decode(self, start: int, end: int) -> _Decoded:
        speech_s = _seconds(self._speech.speech_samples(start, end))
        if speech_s < self._rules.min_speech_s:
            return _Decoded(start, end, "")
        samples = self._window.samples(end)
        prompt = self._prompt()
        judged = judge(
            self._decoder.decode(samples, prompt), speech_s=speech_s, limits=self._rules.limits
        )
        if judged.is_repetitive and prompt:
            # What was said before may have led the model into its loop. The context of earlier
            # turns is forgotten; of this turn, what is kept is left out once, and stays.
            self._context = ""
            judged = judge(
                self._decoder.decode(samples, ""), speech_s=speech_s, limits=self._rules.limits
            )
        return _Decoded(start, end, judged.text)

    def _prompt(self) -> str:
        before = " ".join(part.text for part in self._kept) or self._context
        words = before.split()[-max(_PROMPT_WORDS, self._rules.context_words) :]
        return " ".join(filter(None, [self._rules.prompt, *words]))

    def _times(self, start: int) -> tuple[HeardWord, ...]:
        offset_s = _seconds(start)
        return tuple(
            HeardWord(word.text, offset_s + word.start_s, offset_s + word.end_s, word.probability)
            for word in self._decoder.word_times()
        )

    def _check_turn(self) -> None:
        if not self._in_turn:
            raise EngineError("the recogniser has no turn to work on", "start one first")


def _seconds(samples: int) -> float:
    return samples / INPUT_SAMPLE_RATE_HZ


def _samples(seconds: float) -> int:
    return round(seconds * INPUT_SAMPLE_RATE_HZ)

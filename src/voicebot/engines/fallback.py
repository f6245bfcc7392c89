"""Two engines for one stage: the second does the work while the first one fails.

The wrappers are engines themselves, so that neither the session nor a reply knows of them. The work
that failed is done by the second engine where that is possible:

- a reply whose first token never came is written by the second model; one that broke off in the
  middle stays as it was spoken, and its error goes on to whoever asked, who admits it aloud;
- the turn that the first recogniser lost is replayed to the second;
- the clause that the first voice lost is spoken by the second, from its beginning.

After a failure the second engine is asked for a while, which doubles with each further failure;
then the first has another chance, at the beginning of a reply, of a turn, of a clause.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np

from voicebot.audio.pcm import Resampler
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.engines.protocols import Prefilled, SpeechChunk, TextPiece
from voicebot.errors import VoicebotError, as_expected
from voicebot.events import StageFellBack, StageRecovered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from voicebot.audio.samples import Samples
    from voicebot.engines.protocols import Asr, Llm, Message, StopFlag, Transcript, Tts

__all__ = ["FallbackAsr", "FallbackLlm", "FallbackPlan", "FallbackTts"]

_log = logging.getLogger("voicebot.engines")

_LONGEST_PAUSE_FACTOR = 32
_REPLAYED_S = 25.0
"""So much of a turn is replayed: engines refuse audio that they are too far behind."""


class _Closable(Protocol):
    def close(self) -> None: ...


EngineT = TypeVar("EngineT", bound=_Closable)


class FallbackPlan:
    """What a wrapper needs to know of its stage.

    Args:
        stage: its name as it stands in lines to the user.
        fallback: what the second engine is called there.
        report: takes what happens; called on the engine's thread.
        retry_after_s: for how long the second works before the first has another chance.
        second_reads: whether the second language model reads along while the first one writes: it
            tells how finished the user's words read where the first cannot, and is ready at once
            when it is needed.
        now: a clock in seconds.
    """

    def __init__(
        self,
        stage: str,
        fallback: str,
        *,
        report: Callable[[StageFellBack | StageRecovered], None],
        retry_after_s: float,
        second_reads: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stage = stage
        self.fallback = fallback
        self.report = report
        self.retry_after_s = retry_after_s
        self.second_reads = second_reads
        self.now = now


class _Pair(Generic[EngineT]):
    """The two engines and which of them is to work."""

    def __init__(
        self,
        make_first: Callable[[], EngineT],
        make_second: Callable[[], EngineT],
        plan: FallbackPlan,
    ) -> None:
        self._make_first = make_first
        self._plan = plan
        self._first: EngineT | None = None
        self._failures = 0
        self._not_before_s = 0.0
        # Ready from the start: an engine that is loaded when it is needed comes too late.
        self.second = make_second()
        try:
            self._first = make_first()
        except VoicebotError as error:
            self.has_failed(error)
        except BaseException:
            self.second.close()
            raise

    @property
    def first(self) -> EngineT | None:
        """The first engine if it is there and has a chance; loads it if it was not there."""
        if self._failures and self._plan.now() < self._not_before_s:
            return None
        if self._first is None:
            try:
                self._first = self._make_first()
            except Exception as error:  # noqa: BLE001  # the second works, whatever is the matter
                self.has_failed(error)
        return self._first

    def has_worked(self) -> None:
        """The first engine has done its work."""
        if self._failures:
            self._failures = 0
            self._plan.report(StageRecovered(self._plan.stage))

    def has_failed(self, error: Exception) -> None:
        """The first engine has failed: the second works for a while."""
        plan = self._plan
        pause_s = plan.retry_after_s * min(2**self._failures, _LONGEST_PAUSE_FACTOR)
        self._not_before_s = plan.now() + pause_s
        self._failures += 1
        if self._failures == 1:
            expected = as_expected(error, f"the {plan.stage} stage")
            plan.report(StageFellBack(plan.stage, plan.fallback, expected))

    @property
    def runs_as(self) -> str:
        """What runs the first engine's model; empty if it is not there."""
        return str(getattr(self._first, "runs_as", ""))

    def close(self) -> None:
        """Free both."""
        if self._first is not None:
            self._first.close()
        self.second.close()


class FallbackLlm:
    """Two language models (``Llm``); see the module.

    Raises:
        VoicebotError: the second cannot be loaded.
    """

    def __init__(
        self, make_first: Callable[[], Llm], make_second: Callable[[], Llm], plan: FallbackPlan
    ) -> None:
        self._pair = _Pair(make_first, make_second, plan)
        self.runs_as = self._pair.runs_as
        self._second_reads = plan.second_reads

    def generate(
        self, messages: Sequence[Message], stop: StopFlag
    ) -> Iterator[Prefilled | TextPiece]:
        """Write the reply with the first model, or with the second if no text came.

        Raises:
            VoicebotError: the first broke off in the middle, or the second failed, too.
        """
        first = self._pair.first
        is_read = False
        for item in self._second_or_both(first, messages, stop):
            if isinstance(item, Prefilled):
                if is_read:
                    continue
                is_read = True
            yield item

    def _second_or_both(
        self, first: Llm | None, messages: Sequence[Message], stop: StopFlag
    ) -> Iterator[Prefilled | TextPiece]:
        has_text = False
        if first is not None:
            read = self._read_by_second(messages, stop)
            if read is not None:
                yield read
            try:
                for item in first.generate(messages, stop):
                    has_text = has_text or (isinstance(item, TextPiece) and bool(item.text))
                    yield item
            except Exception as error:
                self._pair.has_failed(error)
                if has_text:
                    raise
            else:
                if not stop.is_set():
                    self._pair.has_worked()
                return
        yield from self._pair.second.generate(messages, stop)

    def prepare(
        self, messages: Sequence[Message], stop: StopFlag, write_tokens: int = 0
    ) -> Prefilled | None:
        """Let the model that works now read ahead; the second, too, if it reads along."""
        first = self._pair.first
        if first is None:
            return self._pair.second.prepare(messages, stop, write_tokens)
        read = self._read_by_second(messages, stop)
        return first.prepare(messages, stop, write_tokens) if read is None else read

    def close(self) -> None:
        """Free both."""
        self._pair.close()

    def _read_by_second(self, messages: Sequence[Message], stop: StopFlag) -> Prefilled | None:
        if not self._second_reads:
            return None
        # What is wrong with it shows when it is needed; the first one works.
        try:
            return self._pair.second.prepare(messages, stop)
        except Exception as error:  # noqa: BLE001  # as above
            _log.debug("the fallback language model could not read along: %s", error)
            return None


class FallbackAsr:
    """Two recognisers (``Asr``); see the module.

    Raises:
        VoicebotError: the second cannot be loaded.
    """

    def __init__(
        self, make_first: Callable[[], Asr], make_second: Callable[[], Asr], plan: FallbackPlan
    ) -> None:
        self._pair = _Pair(make_first, make_second, plan)
        self.runs_as = self._pair.runs_as
        self._first: Asr | None = None  # which hears this turn; None if the second does
        self._audio: list[Samples] = []
        self._audio_samples = 0

    def start(self) -> None:
        """Begin a new turn."""
        self._audio = []
        self._audio_samples = 0
        self._first = self._pair.first
        if self._first is None:
            self._pair.second.start()
            return
        try:
            self._first.start()
        except Exception as error:  # noqa: BLE001  # the second hears the turn
            self._switch(error)

    def feed(self, samples: Samples) -> Transcript | None:
        """Take the next audio."""
        if self._first is None:
            return self._pair.second.feed(samples)
        self._keep(samples)
        try:
            return self._first.feed(samples)
        except Exception as error:  # noqa: BLE001  # the second hears the turn
            return self._switch(error)

    def finish(self) -> Transcript:
        """The transcript of all that was fed since ``start``."""
        if self._first is not None:
            try:
                transcript = self._first.finish()
            except Exception as error:  # noqa: BLE001  # the second hears the turn
                self._switch(error)
            else:
                self._pair.has_worked()
                return transcript
        return self._pair.second.finish()

    def close(self) -> None:
        """Free both."""
        self._pair.close()

    def _keep(self, samples: Samples) -> None:
        self._audio.append(samples)
        self._audio_samples += len(samples)
        while self._audio_samples - len(self._audio[0]) > _REPLAYED_S * INPUT_SAMPLE_RATE_HZ:
            self._audio_samples -= len(self._audio.pop(0))

    def _switch(self, error: Exception) -> Transcript | None:
        """Replay the turn to the second recogniser, which hears it from now on."""
        self._pair.has_failed(error)
        self._first = None
        audio, self._audio = self._audio, []
        second = self._pair.second
        second.start()
        return second.feed(np.concatenate(audio)) if audio else None


class FallbackTts:
    """Two voices (``Tts``); see the module.

    Raises:
        VoicebotError: the second cannot be loaded.
    """

    def __init__(
        self, make_first: Callable[[], Tts], make_second: Callable[[], Tts], plan: FallbackPlan
    ) -> None:
        self._pair = _Pair(make_first, make_second, plan)
        self.runs_as = self._pair.runs_as
        voice = self._pair.first or self._pair.second
        self._sample_rate_hz = voice.sample_rate_hz

    @property
    def sample_rate_hz(self) -> int:
        """The first voice's, if it was there at the start; the other is brought to it."""
        return self._sample_rate_hz

    def synthesise(self, text: str, stop: StopFlag) -> Iterator[SpeechChunk]:
        """Speak ``text`` with the first voice, or once more with the second if that fails.

        Raises:
            VoicebotError: the second failed, too.
        """
        spoken_samples = 0
        first = self._pair.first
        if first is not None:
            try:
                for chunk in self._resampled(first, text, stop):
                    spoken_samples += len(chunk.samples)
                    yield chunk
            except Exception as error:  # noqa: BLE001  # the second speaks the clause
                self._pair.has_failed(error)
            else:
                if not stop.is_set():
                    self._pair.has_worked()
                return
        offset_s = spoken_samples / self._sample_rate_hz
        for chunk in self._resampled(self._pair.second, text, stop):
            words = tuple(replace(word, start_s=word.start_s + offset_s) for word in chunk.words)
            yield replace(chunk, words=words)

    def close(self) -> None:
        """Free both."""
        self._pair.close()

    def _resampled(self, voice: Tts, text: str, stop: StopFlag) -> Iterator[SpeechChunk]:
        if voice.sample_rate_hz == self._sample_rate_hz:
            yield from voice.synthesise(text, stop)
            return
        resampler = Resampler(voice.sample_rate_hz, self._sample_rate_hz)
        for chunk in voice.synthesise(text, stop):
            yield replace(chunk, samples=resampler.feed(chunk.samples))
        if not stop.is_set():
            rest = resampler.flush()
            if len(rest):
                yield SpeechChunk(rest)

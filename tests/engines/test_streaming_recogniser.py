"""The policy, with a decoder that follows a script: speech is a level, its text what was spoken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest

from voicebot.engines.hypothesis import Hypothesis
from voicebot.engines.protocols import HeardWord
from voicebot.engines.streaming_recogniser import StreamingRecogniser, StreamingRules
from voicebot.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voicebot.audio.samples import Samples

RATE_HZ = 16_000
BLOCK = 160
WORD_S = 0.3


class LevelVad:
    frame_samples = 512

    def probability(self, frame: Samples) -> float:
        return 0.99 if frame.max() > 0 else 0.01

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


@dataclass
class WordDecoder:
    """Hears word N as samples of N / 1000, as soon as half of the word is there."""

    costs_s: float = 0.0
    prompts: list[str] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    says: Callable[[list[int], str], str] | None = None
    now_s: float = 0.0
    heard: list[int] = field(default_factory=list)

    def start(self) -> None:
        pass

    def decode(self, samples: Samples, prompt: str) -> Hypothesis:
        self.prompts.append(prompt)
        self.lengths.append(len(samples))
        self.now_s += self.costs_s
        counts = np.bincount(np.round(samples * 1000).astype(int))
        self.heard = [
            int(word)
            for word in np.nonzero(counts)[0]
            if word and counts[word] >= WORD_S * RATE_HZ / 2
        ]
        text = " ".join(f"w{word}" for word in self.heard)
        return Hypothesis(self.says(self.heard, prompt) if self.says else text)

    def word_times(self) -> tuple[HeardWord, ...]:
        return tuple(
            HeardWord(f"w{word}", place * WORD_S, (place + 1) * WORD_S, 0.9)
            for place, word in enumerate(self.heard)
        )

    def close(self) -> None:
        pass


def said(words: Sequence[int | float]) -> Samples:
    """Whole numbers are words, others are pauses in seconds."""
    parts = [
        np.full(round(WORD_S * RATE_HZ), word / 1000, np.float32)
        if isinstance(word, int)
        else np.zeros(round(word * RATE_HZ), np.float32)
        for word in words
    ]
    return np.concatenate(parts)


def recogniser(decoder: WordDecoder, **rules: float | str | bool) -> StreamingRecogniser:
    asr = StreamingRecogniser(
        decoder,
        LevelVad(),
        StreamingRules(**rules),  # type: ignore[arg-type]
        clock=lambda: decoder.now_s,
    )
    asr.start()
    return asr


def feed(asr: StreamingRecogniser, samples: Samples) -> list[str]:
    partials = [asr.feed(samples[at : at + BLOCK]) for at in range(0, len(samples), BLOCK)]
    return [partial.text for partial in partials if partial is not None]


def test_partials_grow_and_the_final_has_all() -> None:
    asr = recogniser(WordDecoder(), every_s=0.3)
    partials = feed(asr, said([1, 2, 3, 4, 0.1]))
    assert partials[0] == "w1"
    assert partials[-1] == "w1 w2 w3 w4"
    assert [len(one) for one in partials] == sorted(len(one) for one in partials)
    final = asr.finish()
    assert (final.text, final.final, final.confidence) == ("w1 w2 w3 w4", True, None)


def test_after_a_decoding_at_the_beginning_of_the_pause_the_final_costs_nothing() -> None:
    decoder = WordDecoder()
    asr = recogniser(decoder, every_s=10.0)
    feed(asr, said([1, 2, 0.1]))
    assert len(decoder.lengths) == 1
    assert asr.finish().text == "w1 w2"
    assert asr.finish().text == "w1 w2"
    assert len(decoder.lengths) == 1


def test_speech_after_the_last_decoding_is_decoded_by_finish() -> None:
    decoder = WordDecoder()
    asr = recogniser(decoder, every_s=10.0)
    assert feed(asr, said([1, 2])) == []
    assert asr.finish().text == "w1 w2"
    assert decoder.lengths == [round(2 * WORD_S * RATE_HZ)]


def test_the_turn_goes_on_after_its_final() -> None:
    asr = recogniser(WordDecoder())
    feed(asr, said([1, 2, 0.1]))
    assert asr.finish().text == "w1 w2"
    feed(asr, said([0.4, 3, 4, 0.1]))
    assert asr.finish().text == "w1 w2 w3 w4"


def test_silence_and_noise_are_never_decoded() -> None:
    decoder = WordDecoder(says=lambda heard, prompt: "Thanks for watching!")
    asr = recogniser(decoder)
    assert feed(asr, said([3.0])) == []
    assert asr.finish().text == ""
    assert decoder.lengths == []


def test_a_slow_machine_decodes_less_often_and_says_all_the_same() -> None:
    quick, slow = WordDecoder(), WordDecoder(costs_s=1.0)
    words = said([*range(1, 21), 0.1])
    texts = []
    for decoder in (quick, slow):
        asr = recogniser(decoder, share=0.5)
        feed(asr, words)
        texts.append(asr.finish().text)
    assert texts[0] == texts[1]
    assert len(slow.lengths) < len(quick.lengths) / 2
    assert len(slow.lengths) <= 0.5 * len(words) / RATE_HZ + 2


def test_what_has_settled_does_not_flicker_but_the_final_may_know_better() -> None:
    def says(heard: list[int], prompt: str) -> str:
        words = [f"w{word}" for word in heard]
        if len(heard) == 5:
            words[0] = "other"
        return " ".join(words)

    asr = recogniser(WordDecoder(says=says), every_s=0.3)
    partials = feed(asr, said([1, 2, 3, 4, 5]))
    assert all(one.startswith("w1") for one in partials)
    assert asr.finish().text == "other w2 w3 w4 w5"


def test_a_minute_is_cut_at_pauses_and_nothing_is_lost() -> None:
    decoder = WordDecoder()
    asr = recogniser(decoder, window_s=8.0)
    sentences = [[*range(first, first + 9), 0.5] for first in range(1, 181, 9)]
    feed(asr, said([part for sentence in sentences for part in sentence]))
    final = asr.finish()
    assert final.text == " ".join(f"w{word}" for word in range(1, 181))
    assert max(decoder.lengths) <= 8.5 * RATE_HZ
    assert decoder.prompts[-1].split()[-1].startswith("w")


def test_a_minute_in_one_block_is_cut_too() -> None:
    decoder = WordDecoder()
    asr = recogniser(decoder, window_s=8.0)
    words: list[int | float] = []
    for word in range(1, 101):
        words += [word, 0.1]
    asr.feed(said(words))
    assert asr.finish().text == " ".join(f"w{word}" for word in range(1, 101))
    assert max(decoder.lengths) <= 8.0 * RATE_HZ


def test_a_final_transcript_on_the_way_is_kept_instead_of_decoding_again() -> None:
    decoder = WordDecoder()
    asr = recogniser(decoder, window_s=6.0, every_s=100.0, share=1.0)
    feed(asr, said([*range(1, 11), 0.1]))
    asr.finish()
    before = len(decoder.lengths)
    feed(asr, said([0.6, *range(11, 21)]))
    assert asr.finish().text == " ".join(f"w{word}" for word in range(1, 21))
    assert len(decoder.lengths) == before + 1
    assert decoder.lengths[-1] < 4.0 * RATE_HZ


def test_the_last_turns_words_are_a_prompt_if_asked_for() -> None:
    decoder = WordDecoder()
    asr = recogniser(decoder, context_words=2, prompt="Names: Ada.")
    feed(asr, said([1, 2, 3, 0.1]))
    asr.finish()
    asr.start()
    feed(asr, said([4, 0.1]))
    assert asr.finish().text == "w4"
    assert decoder.prompts[0] == "Names: Ada."
    assert decoder.prompts[-1] == "Names: Ada. w2 w3"


def test_by_default_one_turn_knows_nothing_of_the_last() -> None:
    decoder = WordDecoder()
    asr = recogniser(decoder)
    for _ in range(2):
        asr.start()
        feed(asr, said([1, 0.1]))
        asr.finish()
    assert set(decoder.prompts) == {""}


def test_a_loop_is_decoded_again_without_its_prompt_which_is_dropped() -> None:
    def says(heard: list[int], prompt: str) -> str:
        return "so we go " * 30 if prompt else "w1"

    decoder = WordDecoder(says=says)
    asr = recogniser(decoder, context_words=3)
    feed(asr, said([1, 0.1]))
    asr.finish()
    asr.start()
    feed(asr, said([1, 0.1]))
    assert asr.finish().text == "w1"
    assert decoder.prompts[-2:] == ["w1", ""]


def test_word_times_count_from_the_turns_first_sample() -> None:
    decoder = WordDecoder()
    asr = recogniser(decoder, word_times=True, window_s=6.0, every_s=0.5)
    words: list[int | float] = []
    for word in range(1, 31):
        words += [word]
    feed(asr, said(words))
    final = asr.finish()
    assert [word.text for word in final.words] == final.text.split()
    starts_s = [word.start_s for word in final.words]
    assert starts_s == sorted(starts_s)
    assert starts_s[-1] > 6.0


def test_what_is_no_number_costs_nothing() -> None:
    asr = recogniser(WordDecoder())
    asr.feed(np.full(8000, np.nan, np.float32))
    feed(asr, said([1, 0.1]))
    assert asr.finish().text == "w1"


def test_without_a_turn_there_is_nothing_to_do() -> None:
    asr = StreamingRecogniser(WordDecoder(), LevelVad(), StreamingRules())
    with pytest.raises(EngineError, match="no turn"):
        asr.finish()
    asr.start()
    with pytest.raises(EngineError, match=r"\(n,\)"):
        asr.feed(np.zeros((2, 2), np.float32))
    assert asr.finish().text == ""


def test_a_failing_decoder_costs_one_call_only() -> None:
    failures = iter([True])

    def says(heard: list[int], prompt: str) -> str:
        if next(failures, False):
            raise EngineError("there is not enough memory for the recogniser")
        return "w1"

    asr = recogniser(WordDecoder(says=says), every_s=100.0)
    asr.feed(said([1]))
    with pytest.raises(EngineError, match="memory"):
        asr.finish()
    assert asr.finish().text == "w1"

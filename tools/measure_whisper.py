"""Measure a Whisper as it is used here: errors and times by padding, beam and threads.

    python tools/measure_whisper.py --model DIR [--callers DIR] [--kind KIND] [--limit N]
        [--padding 0,1,2.5,none] [--threads 1,2,4] [--beam 1] [--seconds 2,4,8] [--keep]

Two tables, each in Markdown.

The first is of the decoder alone: for stretches of ``--seconds`` of noise, what features, encoder
and the writing of tokens take, by padding and threads. It means the same for random weights of the
same sizes (``tools/make_tiny_whisper.py --shape``), and is then marked so. With ``--keep`` the
thread count that is worth it is kept, and ``asr.threads = 0`` takes it.

The second is of whole turns: every turn of the callers that has a text goes through the streaming
recogniser in blocks of 10 ms, as fast as it takes them, with a final transcript at its end:

- ``WER``: of the final transcripts, over all words;
- ``final p50, p95 ms``: from the call of ``finish`` to its transcript;
- ``at once``: how many finals needed no decoding, since the pause's beginning had been decoded;
- ``RTF``: decoding time a second of audio, with all partial transcripts.

The cost of less padding is the difference of the WER to the row ``none`` (30 s).
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voicebot.audio.files import read_audio
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.bench.callers import load_callers, recorded_callers_dir
from voicebot.bench.statistics import describe, word_errors
from voicebot.engines.streaming_recogniser import StreamingRecogniser, StreamingRules
from voicebot.engines.whisper_decoder import WhisperDecoder
from voicebot.errors import VoicebotError
from voicebot.text.normalise import normalise_words
from voicebot.tuning import Speed, keep_threads
from voicebot.turns.silero import SileroVad, bundled_model_path

if TYPE_CHECKING:
    from voicebot.audio.samples import Samples
    from voicebot.bench.callers import CallerTurn
    from voicebot.engines.hypothesis import Hypothesis
    from voicebot.engines.protocols import HeardWord

_BLOCK = INPUT_SAMPLE_RATE_HZ // 100
_RUNS = 5
_SILENCE_S = 0.1
_LEAD_S = 0.32


class _Stopwatch:
    """A decoder that counts and times its decodings."""

    def __init__(self, decoder: WhisperDecoder) -> None:
        self._decoder = decoder
        self.spent_s = 0.0
        self.decodings = 0

    def start(self) -> None:
        self._decoder.start()

    def decode(self, samples: Samples, prompt: str) -> Hypothesis:
        began_s = time.perf_counter()
        try:
            return self._decoder.decode(samples, prompt)
        finally:
            self.spent_s += time.perf_counter() - began_s
            self.decodings += 1

    def word_times(self) -> tuple[HeardWord, ...]:
        return self._decoder.word_times()

    def close(self) -> None:
        self._decoder.close()


def _load(
    arguments: argparse.Namespace, padding_s: float | None, threads: int, beam_size: int
) -> WhisperDecoder:
    return WhisperDecoder.load(
        arguments.model,
        language=arguments.language,
        device=arguments.device,
        compute_type=arguments.compute_type,
        threads=threads,
        padding_s=padding_s,
        beam_size=beam_size,
    )


def _measure_decoder(arguments: argparse.Namespace) -> None:
    print("| padding s | threads | audio s | decoding p50 ms | tokens |\n|---|---|---|---|---|")
    speeds: list[Speed] = []
    for padding_s in arguments.padding:
        for threads in arguments.threads:
            decoder = _load(arguments, padding_s, threads, arguments.beam[0])
            for seconds in arguments.seconds:
                noise = np.random.default_rng(0).normal(
                    0.0, 0.05, round(seconds * INPUT_SAMPLE_RATE_HZ)
                )
                took_ms, tokens = [], 0
                for run in range(_RUNS + 1):
                    began_s = time.perf_counter()
                    tokens = len(decoder.decode(noise.astype(np.float32), "").tokens)
                    if run:  # the first meets new shapes
                        took_ms.append(1e3 * (time.perf_counter() - began_s))
                p50_ms = statistics.median(took_ms)
                print(f"| {_name(padding_s)} | {threads} | {seconds:g} | {p50_ms:.0f} | {tokens} |")
            speeds.append(Speed("asr", threads, p50_ms, "ms a decoding"))
            decoder.close()
    if arguments.keep:
        first = speeds[: len(arguments.threads)]
        kept = keep_threads("asr", arguments.name or str(arguments.model), first)
        print(f"\nkept: {kept} threads")


def _measure_turns(arguments: argparse.Namespace, turns: list[CallerTurn]) -> None:
    print("\n| padding s | threads | beam | turns | WER | final p50, p95 ms | at once | RTF |")
    print("|---" * 8 + "|")
    audio = [_audio(turn) for turn in turns]
    for padding_s in arguments.padding:
        for threads in arguments.threads:
            for beam_size in arguments.beam:
                decoder = _Stopwatch(_load(arguments, padding_s, threads, beam_size))
                vad = SileroVad(bundled_model_path())
                asr = StreamingRecogniser(decoder, vad, StreamingRules())
                final_ms: list[float] = []
                at_once = 0
                pairs: list[tuple[str, str]] = []
                for turn, samples in zip(turns, audio, strict=True):
                    asr.start()
                    for start in range(0, len(samples), _BLOCK):
                        asr.feed(samples[start : start + _BLOCK])
                    before, began_s = decoder.decodings, time.perf_counter()
                    pairs.append((turn.text or "", asr.finish().text))
                    final_ms.append(1e3 * (time.perf_counter() - began_s))
                    at_once += decoder.decodings == before
                asr.close()
                errors, words = word_errors(pairs, normalise_words)
                final = describe(final_ms)
                audio_s = sum(map(len, audio)) / INPUT_SAMPLE_RATE_HZ
                print(
                    f"| {_name(padding_s)} | {threads} | {beam_size} | {len(turns)} "
                    f"| {errors / max(words, 1):.3f} | {final.p50:.0f}, {final.p95:.0f} "
                    f"| {at_once / len(turns):.0%} | {decoder.spent_s / audio_s:.2f} |"
                )


def _audio(turn: CallerTurn) -> Samples:
    """The turn from 0.32 s before its speech to 0.1 s after, as the session feeds it."""
    samples = read_audio(turn.path).samples
    first = max(0.0, turn.speech[0][0] - _LEAD_S)
    last = turn.speech[-1][1] + _SILENCE_S
    return samples[round(first * INPUT_SAMPLE_RATE_HZ) : round(last * INPUT_SAMPLE_RATE_HZ)]


def _name(padding_s: float | None) -> str:
    return "none (30 s)" if padding_s is None else f"{padding_s:g}"


def _paddings(text: str) -> list[float | None]:
    return [None if part == "none" else float(part) for part in text.split(",")]


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _seconds(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def _main() -> None:
    parser = argparse.ArgumentParser(description="Measure a Whisper.")
    parser.add_argument("--model", type=Path, required=True, help="folder, CTranslate2's format")
    parser.add_argument("--name", help="what asr.model says, if it is not the folder; for --keep")
    parser.add_argument("--callers", type=Path, default=recorded_callers_dir())
    parser.add_argument("--kind")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--language", default="en")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--compute-type", default="auto")
    parser.add_argument("--padding", type=_paddings, default=_paddings("0,1,2.5,none"))
    parser.add_argument("--threads", type=_numbers, default=[1, 2])
    parser.add_argument("--beam", type=_numbers, default=[1])
    parser.add_argument("--seconds", type=_seconds, default=[2.0, 4.0, 8.0])
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    if (arguments.model / "SHAPE_TRUE.json").is_file():
        print("RANDOM WEIGHTS: times are those of the real checkpoint, WER means nothing.\n")
    try:
        _measure_decoder(arguments)
        callers = load_callers(arguments.callers, kind=arguments.kind, limit=arguments.limit)
        turns = [turn for caller in callers for turn in caller.turns if turn.text]
        if turns:
            _measure_turns(arguments, turns)
    except VoicebotError as error:
        parser.error(str(error))


if __name__ == "__main__":
    _main()

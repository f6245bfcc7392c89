"""Measure the recogniser: final transcripts, partial ones, errors, processor time.

    python tools/measure_asr.py [--callers DIR] [--kind KIND] [--limit N] [--busy N]

Every turn is fed in real time, in blocks of 10 ms, as the session does it: audio while there is
speech, ``finish`` at each soft end, and the silence after it only if speech resumes. Meanwhile
``--busy`` other processes burn a core each (none by default). The turn is fed twice: with the
decoder at this process's own priority, and at the raised one that it asks for by itself; which
comes first alternates, so that a change of the machine's load falls on both alike. Raising it
takes a privilege; without it there is one row.

It prints a Markdown table, a row a priority:

- ``final``: from the call of ``finish`` to its transcript, at every soft end; what the thread hop
  of a stage adds is not in it. The 95 % intervals are drawn over speakers.
- ``word lag``: from a word's labelled end to the partial transcript since which all the words up
  to it have stayed as they are in the final one; over turns that were understood without an error
  and whose words have times.
- ``partial = final``: how often the newest partial transcript at the last soft end had the same
  words as the final one.
- ``WER``: word error rate of the final transcript, and of that newest partial one.
- ``CPU``: the decoder's processor time a second of audio.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from voicebot.audio.blocks import AudioBlock, Framer
from voicebot.audio.files import read_audio
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.bench.callers import load_callers, recorded_callers_dir
from voicebot.bench.statistics import describe, word_errors
from voicebot.engines.pocketsphinx import PocketSphinxAsr
from voicebot.events import SpeechEnded, SpeechResumed, SpeechStarted
from voicebot.text.normalise import normalise_words, same_words
from voicebot.turns.endpointer import Endpointer, EndpointerRules
from voicebot.turns.silero import SileroVad, bundled_model_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voicebot.audio.samples import Samples
    from voicebot.bench.callers import CallerTurn

_BLOCK_SAMPLES = INPUT_SAMPLE_RATE_HZ // 100
_PREROLL_S = 0.32
_LEAD_S = 0.5
_TAIL_S = 1.5
_ROOM_NOISE_RMS = 1e-4
_BURN = "while True: pass"


@dataclass(frozen=True, slots=True)
class _Feed:
    """Audio for the recogniser: samples ``start`` to ``end``, due when the last one was spoken."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Ask:
    """A soft end: the final transcript is wanted."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the session would do with a turn's audio."""

    turn: CallerTurn
    samples: Samples
    steps: tuple[_Feed | _Ask, ...]


@dataclass(slots=True)
class _Row:
    final_ms: list[float] = field(default_factory=list)
    speakers: list[str] = field(default_factory=list)
    word_lag_ms: list[float] = field(default_factory=list)
    finals: list[tuple[str, str]] = field(default_factory=list)
    partials: list[tuple[str, str]] = field(default_factory=list)
    agreements: list[bool] = field(default_factory=list)
    cpu_s: float = 0.0
    audio_s: float = 0.0


def _plan(turn: CallerTurn, vad: SileroVad) -> _Plan:
    samples = np.concatenate([_silence(_LEAD_S), read_audio(turn.path).samples, _silence(_TAIL_S)])
    samples += _ROOM_NOISE_RMS * np.random.default_rng(0).standard_normal(len(samples)).astype(
        np.float32
    )
    endpointer, framer = Endpointer(EndpointerRules()), Framer(vad.frame_samples)
    vad.reset()
    steps: list[_Feed | _Ask] = []
    held: list[_Feed] = []
    for start in range(0, len(samples) - _BLOCK_SAMPLES + 1, _BLOCK_SAMPLES):
        end = start + _BLOCK_SAMPLES
        if endpointer.is_speaking:
            steps.append(_Feed(start, end))
        elif steps:
            held.append(_Feed(start, end))
        block = AudioBlock(samples[start:end], start / INPUT_SAMPLE_RATE_HZ)
        for frame in framer.push(block):
            probability = vad.probability(frame.samples)
            for decision in endpointer.observe_frame(frame.start_s, frame.end_s, probability):
                match decision:
                    case SpeechStarted(speech_start_s=start_s, continues=None):
                        preroll = max(0, round((start_s - _PREROLL_S) * INPUT_SAMPLE_RATE_HZ))
                        steps.append(_Feed(preroll, end))
                        held = []
                    case SpeechStarted() | SpeechResumed():
                        steps.extend(held)
                        held = []
                    case SpeechEnded():
                        steps.append(_Ask())
    return _Plan(turn, samples, tuple(steps))


def _silence(length_s: float) -> Samples:
    return np.zeros(round(length_s * INPUT_SAMPLE_RATE_HZ), np.float32)


def _converse(asr: PocketSphinxAsr, plan: _Plan, row: _Row) -> None:
    decoder = psutil.Process(asr.process_id)
    cpu_before_s = sum(decoder.cpu_times()[:2])
    asr.start()
    began_s: float | None = None
    newest, at_soft_end, final = "", "", ""
    partials: list[tuple[float, list[str]]] = []
    for step in plan.steps:
        if isinstance(step, _Ask):
            asked_s = time.perf_counter()
            at_soft_end = newest
            final = newest = asr.finish().text
            if began_s is not None:
                partials.append((time.perf_counter() - began_s - _LEAD_S, final.split()))
            row.final_ms.append(1e3 * (time.perf_counter() - asked_s))
            row.speakers.append(plan.turn.speaker or plan.turn.name)
            continue
        end_s = step.end / INPUT_SAMPLE_RATE_HZ
        if began_s is None:
            began_s = time.perf_counter() - end_s
        time.sleep(max(0.0, began_s + end_s - time.perf_counter()))
        partial = asr.feed(plan.samples[step.start : step.end])
        row.audio_s += (step.end - step.start) / INPUT_SAMPLE_RATE_HZ
        if partial is not None:
            newest = partial.text
            partials.append((time.perf_counter() - began_s - _LEAD_S, newest.split()))
    row.cpu_s += sum(decoder.cpu_times()[:2]) - cpu_before_s
    text = plan.turn.text or ""
    row.finals.append((text, final))
    row.partials.append((text, at_soft_end))
    row.agreements.append(same_words(at_soft_end, final))
    if same_words(text, final):
        row.word_lag_ms.extend(
            1e3 * (at_s - word.end_s)
            for at_s, word in zip(_settled_at_s(partials), plan.turn.words, strict=False)
        )


def _settled_at_s(partials: list[tuple[float, list[str]]]) -> list[float]:
    """Of each word of the last transcript: since when it and those before it have stood."""
    final = partials[-1][1]
    settled_at_s = [partials[-1][0]] * len(final)
    for at_s, words in reversed(partials):
        pairs = zip(words, final, strict=False)
        agreed = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        settled_at_s[:agreed] = [at_s] * agreed
        final = final[:agreed]
    return settled_at_s


@contextmanager
def _busy(processes: int) -> Iterator[None]:
    burning = [
        subprocess.Popen([sys.executable, "-c", _BURN])  # noqa: S603 - our own line
        for _ in range(processes)
    ]
    try:
        yield
    finally:
        for process in burning:
            process.kill()
            process.wait()


def _priorities(asr: PocketSphinxAsr) -> dict[str, int]:
    """The decoder's niceness by the name of its row."""
    own = psutil.Process().nice()
    raised = psutil.Process(asr.process_id).nice()
    return {"own": own} if raised == own else {"own": own, "raised": raised}


def _print(rows: dict[str, _Row]) -> None:
    print(
        "| priority | finals | p50 ms (95 %) | p95 ms (95 %) | max ms | word lag p50, p95 ms "
        "| partial = final | WER final | WER partial | CPU ms/s |"
    )
    print("|---" * 10 + "|")
    for name, row in rows.items():
        final = describe(row.final_ms, row.speakers)
        lag = describe(row.word_lag_ms)
        lag_text = "-" if lag.p50 is None else f"{lag.p50:.0f}, {lag.p95:.0f}"
        print(
            f"| {name} | {final.count} | {final.p50:.1f} {_span(final.p50_ci95)} "
            f"| {final.p95:.1f} {_span(final.p95_ci95)} | {final.max:.1f} | {lag_text} "
            f"| {np.mean(row.agreements):.0%} | {_word_error_rate(row.finals)} "
            f"| {_word_error_rate(row.partials)} | {1e3 * row.cpu_s / row.audio_s:.0f} |"
        )


def _span(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"({interval[0]:.1f} to {interval[1]:.1f})"


def _word_error_rate(pairs: list[tuple[str, str]]) -> str:
    errors, words = word_errors(pairs, normalise_words)
    return f"{errors / words:.3f}" if words else "-"


def _main() -> None:
    parser = argparse.ArgumentParser(description="Measure the recogniser.")
    parser.add_argument("--callers", type=Path, default=recorded_callers_dir())
    parser.add_argument("--kind")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--busy", type=int, default=0, help="processes that burn a core each")
    arguments = parser.parse_args()
    vad = SileroVad(bundled_model_path())
    callers = load_callers(arguments.callers, kind=arguments.kind, limit=arguments.limit)
    plans = [_plan(turn, vad) for caller in callers for turn in caller.turns if turn.text]
    with PocketSphinxAsr() as asr, _busy(arguments.busy):
        priorities = _priorities(asr)
        rows = {name: _Row() for name in priorities}
        for number, plan in enumerate(filter(lambda plan: plan.steps, plans)):
            names = list(priorities)
            for name in names if number % 2 else reversed(names):
                psutil.Process(asr.process_id).nice(priorities[name])
                _converse(asr, plan, rows[name])
    print(f"\n{len(plans)} turns, {os.cpu_count()} cores, {arguments.busy} busy processes\n")
    _print(rows)


if __name__ == "__main__":
    _main()

"""Measure the language-model engine: loading, first token, each token, a growing conversation.

    python tools/measure_llm.py FOLDER [--precisions int8,bfloat16] [--threads 1,2] [--turns 20]

FOLDER is a model as ``LocalLlm.load`` takes it. Every figure is in milliseconds. Wall is
what a user waits; cpu is the calling thread's own time, which another program's load changes
less. Precisions and thread counts are measured in alternation, so that a change of the machine's
load falls on all of them alike; figures are medians over the rounds.

Table 1, a row a setting: ``load`` from the imports already done to a warm engine, ``first``
from the prompt to its first token with an empty cache, ``ready`` the same after ``prepare``
of the same words, ``clause`` to the first punctuation mark, ``token`` between tokens.
Table 2, a row a turn of one growing conversation: the time to the first token with the cache
kept and with the cache emptied before each turn.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from voicebot.engines.local_llm import LocalLlm
from voicebot.engines.protocols import Message, TextPiece

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicebot.engines.llama_network import Precision

_SYSTEM = Message("system", "You are a voice assistant. Answer in one short sentence.")
_QUESTIONS = [
    "what is the capital of france",
    "how many legs does a spider have",
    "what is the largest ocean",
    "why is the sky blue",
    "how old is the brooklyn bridge",
]
_CLAUSE_ENDS = ".,;:!?"
_MAX_TOKENS = 32


@dataclass(slots=True)
class _Figures:
    load: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    ready: list[float] = field(default_factory=list)
    clause: list[float] = field(default_factory=list)
    token: list[float] = field(default_factory=list)
    token_cpu: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Reply:
    text: str
    first_ms: float
    clause_ms: float
    token_ms: list[float]
    token_cpu_ms: list[float]


def _reply(llm: LocalLlm, messages: Sequence[Message]) -> _Reply:
    began = before = time.perf_counter()
    cpu_before = time.thread_time()
    text, clause_ms = "", None
    gaps: list[float] = []
    cpu_gaps: list[float] = []
    for step in llm.generate(messages, threading.Event()):
        now, cpu_now = time.perf_counter(), time.thread_time()
        if not isinstance(step, TextPiece):
            continue
        text += step.text
        gaps.append(1e3 * (now - before))
        cpu_gaps.append(1e3 * (cpu_now - cpu_before))
        before, cpu_before = now, cpu_now
        if clause_ms is None and text.strip()[-1:] in _CLAUSE_ENDS and text.strip():
            clause_ms = 1e3 * (now - began)
    whole_ms = 1e3 * (time.perf_counter() - began)
    first_ms = gaps[0] if gaps else whole_ms
    return _Reply(text, first_ms, clause_ms or whole_ms, gaps[1:], cpu_gaps[1:])


def _empty_cache(llm: LocalLlm) -> None:
    llm.prepare([Message("user", "\N{BLACK SQUARE} nothing in common")])


def _measure_round(
    figures: dict[tuple[Precision, int], _Figures], folder: Path, question: str
) -> None:
    messages = [_SYSTEM, Message("user", question)]
    for (precision, threads), row in figures.items():
        began = time.perf_counter()
        llm = LocalLlm.load(folder, threads=threads, max_tokens=_MAX_TOKENS, precision=precision)
        row.load.append(1e3 * (time.perf_counter() - began))
        _empty_cache(llm)
        reply = _reply(llm, messages)
        row.first.append(reply.first_ms)
        row.clause.append(reply.clause_ms)
        row.token.extend(reply.token_ms)
        row.token_cpu.extend(reply.token_cpu_ms)
        _empty_cache(llm)
        llm.prepare(messages)
        row.ready.append(_reply(llm, messages).first_ms)
        llm.close()


def _print_settings(figures: dict[tuple[Precision, int], _Figures]) -> None:
    print(f"{'weights':>9} threads    load   first   ready  clause   token  token cpu")
    for (precision, threads), row in figures.items():
        medians = [
            statistics.median(values or [float("nan")])
            for values in (row.load, row.first, row.ready, row.clause, row.token, row.token_cpu)
        ]
        print(f"{precision:>9} {threads:7}" + "".join(f" {value:7.1f}" for value in medians))


def _print_conversation(folder: Path, precision: Precision, threads: int, turns: int) -> None:
    llm = LocalLlm.load(folder, threads=threads, max_tokens=_MAX_TOKENS, precision=precision)
    print(f"\n{precision}, {threads} thread(s): first token in a growing conversation")
    print("turn  tokens    kept   empty")
    messages = [_SYSTEM]
    for turn in range(turns):
        question = Message("user", f"{_QUESTIONS[turn % len(_QUESTIONS)]} number {turn + 1}")
        messages.append(question)
        _empty_cache(llm)
        empty_ms = _reply(llm, messages).first_ms
        # As it is in a conversation: all but the question was read in the turn before.
        _empty_cache(llm)
        llm.prepare(messages[:-1])
        kept = _reply(llm, messages)
        tokens = llm.count_tokens(messages)
        print(f"{turn + 1:4} {tokens:7} {kept.first_ms:7.1f} {empty_ms:7.1f}", flush=True)
        messages.append(Message("assistant", kept.text))
    llm.close()


def _main() -> None:
    parser = argparse.ArgumentParser(description="Measure the language-model engine.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--precisions", default="int8,bfloat16", help="comma-separated")
    parser.add_argument("--threads", default="1,2", help="comma-separated")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turns", type=int, default=20)
    arguments = parser.parse_args()
    figures: dict[tuple[Precision, int], _Figures] = {
        (precision, int(threads)): _Figures()
        for precision in arguments.precisions.split(",")
        for threads in arguments.threads.split(",")
    }
    # The first load pays for the imports; it is not counted.
    LocalLlm.load(arguments.folder, threads=1, max_tokens=1).close()
    for number in range(arguments.rounds):
        _measure_round(figures, arguments.folder, _QUESTIONS[number % len(_QUESTIONS)])
    _print_settings(figures)
    if arguments.turns:
        precision, threads = next(iter(figures))
        _print_conversation(arguments.folder, precision, threads, arguments.turns)


if __name__ == "__main__":
    _main()

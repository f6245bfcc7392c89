"""Measure the language-model engine: loading, first token, each token, a growing conversation.

    python tools/measure_llm.py MODEL [--networks onnx,torch] [--precisions int8,bfloat16]
        [--threads 1,2] [--turns 20] [--forget] [--device auto]

MODEL is a folder of safetensors or a GGUF file, which is converted once. Every figure is in
milliseconds unless it says otherwise. Wall is what a user waits; cpu is the calling thread's own
time, which another program's load changes less. Settings are measured in alternation, so that a
change of the machine's load falls on all of them alike; figures are medians over the rounds. The
first line says whether the weights are real, tiny or shape-true: random weights write nonsense, so
of such a model only the times a token and the memory mean anything.

Table 1, a row a setting: ``load`` from the imports already done to a warm engine, ``first``
from the prompt to its first token with an empty cache, ``ready`` the same after ``prepare``
of the same words, ``clause`` from the prompt to the first clause that is spoken, ``token`` between
tokens, ``read`` a token of a prompt of a few hundred, and the largest memory of a process that does
nothing else, in MiB.
Table 2, a row a turn of one growing conversation: the time to the first token with the cache
kept and with the cache emptied before each turn.
Table 3 (``--forget``), a row a number of turns dropped: tokens read and time to the first token
when what stays is taken over and when it is read anew, and how much the predictions differ.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import resource
import statistics
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voicebot.config import Settings
from voicebot.conversation_rules import new_history
from voicebot.engines.local_llm import LocalLlm
from voicebot.engines.onnx_network import OnnxNetwork
from voicebot.engines.protocols import Message, Prefilled, TextPiece
from voicebot.models.llama_shape import LlamaShape
from voicebot.models.local_folder import add_graph, prepared_folder
from voicebot.models.model_json import read_json
from voicebot.text.clauses import ClauseSplitter

if TYPE_CHECKING:
    from collections.abc import Sequence

_SYSTEM = Message("system", "You are a voice assistant. Answer in one short sentence.")
_QUESTIONS = [
    "what is the capital of france",
    "how many legs does a spider have",
    "what is the largest ocean",
    "why is the sky blue",
    "how old is the brooklyn bridge",
    "who wrote romeo and juliet",
    "how do i make tea",
    "what language do they speak in brazil",
    "how far away is the moon",
    "what is the fastest animal",
]
_PROBES = [
    "what is the capital of italy",
    "how many legs does a dog have",
    "tell me a joke",
    "what did you say",
    "how tall is mount everest",
    "what can you do for me",
]
_MAX_TOKENS = 32


@dataclass(frozen=True, slots=True)
class _Setting:
    network: Any
    precision: Any
    threads: int
    device: Any

    def load(self, folder: Path, max_tokens: int = _MAX_TOKENS) -> LocalLlm:
        return LocalLlm.load(
            folder,
            threads=self.threads,
            max_tokens=max_tokens,
            precision=self.precision,
            network=self.network,
            device=self.device,
        )

    def __str__(self) -> str:
        return f"{self.network:>12} {self.precision:>9} {self.threads:7}"


@dataclass(slots=True)
class _Figures:
    load: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    ready: list[float] = field(default_factory=list)
    clause: list[float] = field(default_factory=list)
    token: list[float] = field(default_factory=list)
    token_cpu: list[float] = field(default_factory=list)
    read: list[float] = field(default_factory=list)
    memory_mib: float = 0.0


@dataclass(frozen=True, slots=True)
class _Reply:
    text: str
    read_tokens: int
    first_ms: float
    clause_ms: float
    token_ms: list[float]
    token_cpu_ms: list[float]


def _reply(llm: LocalLlm, messages: Sequence[Message]) -> _Reply:
    began = before = time.perf_counter()
    cpu_before = time.thread_time()
    text, clause_ms, read_tokens = "", None, 0
    splitter = ClauseSplitter()
    gaps: list[float] = []
    cpu_gaps: list[float] = []
    for step in llm.generate(messages, threading.Event()):
        now, cpu_now = time.perf_counter(), time.thread_time()
        if isinstance(step, Prefilled):
            read_tokens = step.read_tokens
        if not isinstance(step, TextPiece):
            continue
        text += step.text
        gaps.append(1e3 * (now - before))
        cpu_gaps.append(1e3 * (cpu_now - cpu_before))
        before, cpu_before = now, cpu_now
        if splitter.feed(step.text) and clause_ms is None:
            clause_ms = 1e3 * (now - began)
    whole_ms = 1e3 * (time.perf_counter() - began)
    first_ms = gaps[0] if gaps else whole_ms
    return _Reply(text, read_tokens, first_ms, clause_ms or whole_ms, gaps[1:], cpu_gaps[1:])


def _empty_cache(llm: LocalLlm) -> None:
    llm.prepare([Message("user", "\N{BLACK SQUARE} nothing in common")])


def _measure_round(figures: dict[_Setting, _Figures], folder: Path, question: str) -> None:
    messages = [_SYSTEM, Message("user", question)]
    long = [Message("user", " ".join(_QUESTIONS * 4))]
    for setting, row in figures.items():
        began = time.perf_counter()
        llm = setting.load(folder)
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
        _empty_cache(llm)
        began = time.perf_counter()
        read = llm.prepare(long)
        if read is not None and read.read_tokens:
            row.read.append(1e3 * (time.perf_counter() - began) / read.read_tokens)
        llm.close()


def _peak_memory_mib(setting: _Setting, folder: Path, results: Any) -> None:
    """The largest memory of this process, which loads, reads and writes once."""
    llm = setting.load(folder)
    _reply(llm, [_SYSTEM, Message("user", " ".join(_QUESTIONS))])
    status = Path("/proc/self/status")
    if status.exists():  # The other figure holds what the parent process had, on Linux.
        line = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
        results.put(int(line.split()[1]) / 1024)
    else:
        results.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2)


def _measure_memory(figures: dict[_Setting, _Figures], folder: Path) -> None:
    fresh = multiprocessing.get_context("spawn")
    for setting, row in figures.items():
        results = fresh.Queue()
        process = fresh.Process(target=_peak_memory_mib, args=(setting, folder, results))
        process.start()
        row.memory_mib = results.get()
        process.join()


def _print_settings(figures: dict[_Setting, _Figures]) -> None:
    print(
        f"{'network':>12} {'weights':>9} threads    load   first   ready  clause   token  "
        "tok cpu    read     MiB"
    )
    for setting, row in figures.items():
        columns = (row.load, row.first, row.ready, row.clause, row.token, row.token_cpu, row.read)
        medians = [statistics.median(values or [float("nan")]) for values in columns]
        cells = "".join(f" {value:7.1f}" for value in medians)
        print(f"{setting}{cells} {row.memory_mib:7.0f}")


def _print_conversation(setting: _Setting, folder: Path, turns: int) -> None:
    llm = setting.load(folder)
    print(f"\n{setting}: first token in a growing conversation")
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


def _print_forgetting(setting: _Setting, folder: Path) -> None:
    """What it saves, and what it changes, to take over what stays when the oldest turns go."""
    llm = setting.load(folder)
    opening = new_history(Settings()).messages()
    said: list[Message] = []
    for question in _QUESTIONS:
        said.append(Message("user", question))
        said.append(Message("assistant", _reply(llm, [*opening, *said]).text.strip() or "yes"))
    print(f"\n{setting}: when the oldest turns are dropped ({len(_PROBES)} questions each)")
    print("turns  read anew   first   anew    KL (nats)  same first token  same reply")
    for drop in (1, 2, 4, 8):
        taken, anew = [], []
        differences, same_token, same_reply = [], 0, 0
        for probe in _PROBES:
            messages = [*opening, *said[2 * drop :], Message("user", probe)]
            llm.prepare([*opening, *said])
            taken.append(_reply(llm, messages))
            llm.prepare([*opening, *said])
            llm.prepare(messages)
            close = _log_softmax(llm)
            _empty_cache(llm)
            anew.append(_reply(llm, messages))
            _empty_cache(llm)
            llm.prepare(messages)
            exact = _log_softmax(llm)
            differences.append(float((np.exp(exact) * (exact - close)).sum()))
            same_token += int(exact.argmax() == close.argmax())
            same_reply += taken[-1].text == anew[-1].text
        read = statistics.median(one.read_tokens for one in taken)
        whole = statistics.median(one.read_tokens for one in anew)
        print(
            f"{drop:5} {read:5.0f} {whole:5.0f} "
            f"{statistics.median(one.first_ms for one in taken):7.1f} "
            f"{statistics.median(one.first_ms for one in anew):6.1f} "
            f"{statistics.mean(differences):12.4f} {same_token:9}/{len(_PROBES)} "
            f"{same_reply:9}/{len(_PROBES)}",
            flush=True,
        )
    llm.close()


def _log_softmax(llm: LocalLlm) -> Any:
    logits = llm._next_logits  # noqa: SLF001 - what no user needs
    assert logits is not None  # noqa: S101 - the prompt was just read
    wide = logits.astype(np.float64)
    return wide - wide.max() - np.log(np.exp(wide - wide.max()).sum())


def _fitting_networks(folder: Path) -> list[str]:
    networks = ["onnx"] if OnnxNetwork.is_in(folder) else []
    if LlamaShape.from_config(read_json(folder / "config.json")) is not None:
        networks.append("torch")
    return [*networks, "transformers"]


def _settings(arguments: argparse.Namespace, folder: Path) -> list[_Setting]:
    networks = arguments.networks.split(",") if arguments.networks else _fitting_networks(folder)
    precisions = arguments.precisions.split(",")
    chosen: list[_Setting] = []
    for network, precision in itertools.product(networks, precisions):
        # The graph has its own weights; transformers takes int8 for bfloat16.
        if (network == "onnx" and precision != "int8") or (
            network == "transformers" and precision == "int8" and len(precisions) > 1
        ):
            continue
        chosen += [
            _Setting(network, precision, int(threads), arguments.device)
            for threads in arguments.threads.split(",")
        ]
    return chosen


def _main() -> None:
    parser = argparse.ArgumentParser(description="Measure the language-model engine.")
    parser.add_argument("model", type=Path, help="a folder of safetensors, or a GGUF file")
    parser.add_argument("--networks", default="", help="comma-separated; all that can run it")
    parser.add_argument("--precisions", default="int8,bfloat16", help="comma-separated")
    parser.add_argument("--threads", default="1,2", help="comma-separated")
    parser.add_argument("--device", default="cpu", choices=["auto", "cpu", "cuda", "mps"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--forget", action="store_true", help="measure dropping old turns")
    arguments = parser.parse_args()
    folder = prepared_folder(arguments.model)
    add_graph(folder)
    weights = read_json(folder / "config.json").get("voicebot_weights", "real (not marked)")
    print(f"{folder.name}: weights {weights}, device {arguments.device}\n")
    figures = {setting: _Figures() for setting in _settings(arguments, folder)}
    # The first load pays for the imports; it is not counted.
    for setting in figures:
        setting.load(folder, max_tokens=1).close()
    for number in range(arguments.rounds):
        _measure_round(figures, folder, _QUESTIONS[number % len(_QUESTIONS)])
    _measure_memory(figures, folder)
    _print_settings(figures)
    if arguments.turns:
        _print_conversation(next(iter(figures)), folder, arguments.turns)
    if arguments.forget:
        _print_forgetting(next(iter(figures)), folder)


if __name__ == "__main__":
    _main()

"""Compare what can run the language model: speed, and whether the replies stay the same.

    python tools/compare_llm_engines.py FOLDER [--threads 1,2] [--rounds 2] [--prompts 24]

FOLDER is the model's (``voicebot models path smollm2-135m-instruct``). Prints Markdown tables.

The engines take turns, prompt by prompt, in one process, so that a change of the machine's load
falls on all of them alike. *First clause* is the time from the final transcript until
``ClauseSplitter`` gives a clause, or to the reply's end: the baseline ``model.generate`` reads the
whole prompt, all others have read what comes before the user's words; *words read ahead* is
the same where those were read, too. *Token* is the time between two tokens of a reply. Prompts of
a given length are read with an empty cache. Intervals are bootstrapped over prompts.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
import transformers
from transformers import AutoModelForCausalLM

from voicebot.bench.statistics import bootstrap_intervals
from voicebot.config import Settings
from voicebot.conversation_rules import new_history
from voicebot.engines.chat_prompt import ChatPrompt
from voicebot.engines.local_llm import LocalLlm
from voicebot.engines.prefix_cache import repeats_itself
from voicebot.engines.protocols import TextPiece
from voicebot.models.quiet_transformers import quiet_transformers
from voicebot.text.clauses import ClauseSplitter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voicebot.engines.llama_network import Precision
    from voicebot.engines.local_llm import NetworkChoice
    from voicebot.engines.protocols import Message

_PROMPTS = (
    "what is the capital of france",
    "how many legs does a spider have",
    "what is the largest ocean",
    "why is the sky blue",
    "how old is the brooklyn bridge",
    "tell me a joke",
    "turn on the light in the kitchen",
    "what should i cook tonight",
    "name three fruits",
    "who wrote romeo and juliet",
    "how do i make tea",
    "what is a good name for a cat",
    "can you help me sleep",
    "where do penguins live",
    "how far away is the moon",
    "good morning",
    "give me some advice about exams",
    "what language do they speak in brazil",
    "how does a telephone work",
    "recommend a good book",
    "what is the fastest animal",
    "set a timer for ten minutes",
    "how many minutes are in a day",
    "thank you that was very helpful",
)
_LENGTHS = (10, 40, 150, 700)
_READ_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class _Reply:
    text: str
    tokens: int
    clause_ms: float
    token_ms: tuple[float, ...]


@dataclass(slots=True)
class _Figures:
    clause: list[float] = field(default_factory=list)
    clause_ahead: list[float] = field(default_factory=list)
    token: list[float] = field(default_factory=list)
    tokens: list[float] = field(default_factory=list)
    reading: dict[int, list[float]] = field(default_factory=dict)


class _Engine(Protocol):
    def read_ahead(self, messages: Sequence[Message]) -> bool:
        """Read ``messages`` and forget all else; False if the engine has no such thing."""
        ...

    def reply(self, messages: Sequence[Message]) -> _Reply: ...

    def read(self, token_ids: Sequence[int]) -> None:
        """Read a prompt with an empty cache, to the first token behind it."""
        ...


class _Clock:
    """Takes the text of a reply and notes when what was there."""

    def __init__(self, settings: Settings) -> None:
        self._splitter = ClauseSplitter(
            first_clause_min_words=settings.reply.first_clause_min_words
        )
        self._text = ""
        self._began = time.perf_counter()
        self._times: list[float] = []
        self._clause_ms: float | None = None

    def add(self, text: str) -> None:
        now = time.perf_counter()
        self._times.append(now)
        self._text += text
        if self._splitter.feed(text) and self._clause_ms is None:
            self._clause_ms = 1e3 * (now - self._began)

    def reply(self) -> _Reply:
        whole_ms = 1e3 * (time.perf_counter() - self._began)
        pairs = zip(self._times, self._times[1:], strict=False)
        gaps = tuple(1e3 * (later - earlier) for earlier, later in pairs)
        clause_ms = whole_ms if self._clause_ms is None else self._clause_ms
        return _Reply(self._text.strip(), len(self._times), clause_ms, gaps)


class _Local:
    """One of voicebot's own networks."""

    def __init__(
        self,
        folder: Path,
        threads: int,
        settings: Settings,
        *,
        network: NetworkChoice,
        precision: Precision = "int8",
    ) -> None:
        self._threads, self._settings = threads, settings
        self._llm = LocalLlm.load(
            folder,
            threads=threads,
            max_tokens=settings.llm.max_tokens,
            precision=precision,
            network=network,
        )

    def read_ahead(self, messages: Sequence[Message]) -> bool:
        torch.set_num_threads(self._threads)
        # An engine that has just answered these very words would repeat what it wrote.
        self._llm.prepare(messages[:-1])
        self._llm.prepare(messages)
        return True

    def reply(self, messages: Sequence[Message]) -> _Reply:
        torch.set_num_threads(self._threads)
        clock = _Clock(self._settings)
        for step in self._llm.generate(messages, threading.Event()):
            if isinstance(step, TextPiece):
                clock.add(step.text)
        return clock.reply()

    def read(self, token_ids: Sequence[int]) -> None:
        torch.set_num_threads(self._threads)
        network = self._llm._network  # noqa: SLF001 - one level below what the session uses
        network.keep(0)
        self._llm._forget()  # noqa: SLF001
        for begin in range(0, len(token_ids), _READ_AT_ONCE):
            part = token_ids[begin : begin + _READ_AT_ONCE]
            network.read(part, [len(part) - 1])
        network.keep(0)


class _Generate:
    """The baseline: ``model.generate`` of transformers."""

    def __init__(self, folder: Path, threads: int, settings: Settings) -> None:
        self._threads, self._settings = threads, settings
        self._prompt = ChatPrompt.load(folder)
        model: Any = AutoModelForCausalLM
        with quiet_transformers():
            self._model = model.from_pretrained(
                folder, dtype=torch.bfloat16, local_files_only=True, use_safetensors=True
            ).eval()

    def read_ahead(self, _messages: Sequence[Message]) -> bool:
        return False

    def reply(self, messages: Sequence[Message]) -> _Reply:
        torch.set_num_threads(self._threads)
        clock = _Clock(self._settings)
        ids = self._prompt.tokens(messages).ids
        self._generate(ids, self._settings.llm.max_tokens, _Streamer(self._prompt, clock))
        return clock.reply()

    def read(self, token_ids: Sequence[int]) -> None:
        torch.set_num_threads(self._threads)
        self._generate(token_ids, 1, None)

    def _generate(self, ids: Sequence[int], max_tokens: int, streamer: _Streamer | None) -> None:
        inputs = torch.tensor([list(ids)])
        with torch.inference_mode():
            self._model.generate(
                inputs,
                attention_mask=torch.ones_like(inputs),
                max_new_tokens=max_tokens,
                do_sample=False,
                eos_token_id=sorted(self._prompt.end_ids),
                pad_token_id=min(self._prompt.end_ids),
                streamer=streamer,
                stopping_criteria=[streamer.is_over] if streamer else None,
            )


class _Streamer:
    """What ``model.generate`` tells of each token; ends a loop as voicebot does."""

    def __init__(self, prompt: ChatPrompt, clock: _Clock) -> None:
        self._prompt, self._clock = prompt, clock
        self._ids: list[int] = []
        self._text = ""
        self._prompt_seen = False
        self._loop = False

    def put(self, value: torch.Tensor) -> None:
        if not self._prompt_seen:
            self._prompt_seen = True
            return
        self.add(int(value.reshape(-1)[0]))

    def end(self) -> None:
        """Nothing is held back."""

    def add(self, token_id: int) -> bool:
        """Whether the reply goes on."""
        if token_id in self._prompt.end_ids or self._loop:
            return False
        self._ids.append(token_id)
        if repeats_itself(self._ids):
            self._loop = True
            return False
        text = self._prompt.decode(self._ids)
        self._clock.add(text[len(self._text) :])
        self._text = text
        return True

    def is_over(self, ids: torch.Tensor, _scores: Any, **_others: Any) -> torch.Tensor:
        return torch.full((len(ids),), self._loop, dtype=torch.bool)


class _CTranslate2:
    """CTranslate2's generator on int8 weights; it keeps one fixed beginning of prompts."""

    def __init__(self, folder: Path, converted: Path, threads: int, settings: Settings) -> None:
        import ctranslate2  # noqa: PLC0415 - only for this comparison

        self._settings = settings
        self._prompt = ChatPrompt.load(folder)
        tokenizer: Any = transformers.AutoTokenizer
        self._tokenizer = tokenizer.from_pretrained(folder, local_files_only=True)
        self._generator = ctranslate2.Generator(
            str(converted), compute_type="int8", inter_threads=1, intra_threads=threads
        )
        self._kept: list[str] = []

    def read_ahead(self, messages: Sequence[Message]) -> bool:
        if messages[-1].role == "user":
            return False
        self._kept = self._tokens(self._prompt.tokens(messages).ids)
        return True

    def reply(self, messages: Sequence[Message]) -> _Reply:
        clock = _Clock(self._settings)
        tokens = self._tokens(self._prompt.tokens(messages).ids)
        streamer = _Streamer(self._prompt, clock)
        self._generate(tokens, self._settings.llm.max_tokens, streamer.add)
        return clock.reply()

    def read(self, token_ids: Sequence[int]) -> None:
        self._kept = []
        self._generate(self._tokens(token_ids), 1, lambda _token_id: True)

    def _tokens(self, ids: Sequence[int]) -> list[str]:
        tokens: list[str] = self._tokenizer.convert_ids_to_tokens(list(ids))
        return tokens

    def _generate(self, tokens: list[str], max_tokens: int, add: Callable[[int], bool]) -> None:
        kept = self._kept if tokens[: len(self._kept)] == self._kept else []
        ends = [t for t in self._tokens(sorted(self._prompt.end_ids)) if t]
        self._generator.generate_batch(
            [tokens[len(kept) :]],
            max_length=max_tokens,
            beam_size=1,
            sampling_topk=1,
            end_token=ends,
            include_prompt_in_result=False,
            static_prompt=kept or None,
            cache_static_prompt=True,
            callback=lambda step: not add(step.token_id),
        )


def _engines(
    folder: Path, converted: Path | None, threads: int, settings: Settings
) -> dict[str, _Engine]:
    def local(network: NetworkChoice, precision: Precision = "int8") -> _Engine:
        return _Local(folder, threads, settings, network=network, precision=precision)

    engines: dict[str, _Engine] = {
        "transformers generate, bfloat16": _Generate(folder, threads, settings),
        "transformers, kept cache, bfloat16": local("transformers", "bfloat16"),
        "torch, int8": local("torch"),
        "onnx": local("onnx"),
    }
    if converted is not None:
        engines["CTranslate2, int8"] = _CTranslate2(folder, converted, threads, settings)
    return engines


def _convert(folder: Path, target: Path) -> Path:
    from ctranslate2.converters import TransformersConverter  # noqa: PLC0415

    with quiet_transformers():
        TransformersConverter(str(folder)).convert(str(target), quantization="int8")
    return target


def _measure_prompt(engine: _Engine, figures: _Figures, words: str, settings: Settings) -> _Reply:
    history = new_history(settings)
    engine.read_ahead(history.messages())
    messages = history.messages(words)
    reply = engine.reply(messages)
    figures.clause.append(reply.clause_ms)
    figures.tokens.append(reply.tokens)
    if reply.token_ms:
        figures.token.append(statistics.median(reply.token_ms))
    if engine.read_ahead(messages):
        figures.clause_ahead.append(engine.reply(messages).clause_ms)
    return reply


def _measure_reading(engine: _Engine, figures: _Figures, ids: Sequence[int]) -> None:
    for length in _LENGTHS:
        began = time.perf_counter()
        engine.read(ids[:length])
        figures.reading.setdefault(length, []).append(1e3 * (time.perf_counter() - began))


def _cell(values: Sequence[float]) -> str:
    if not values:
        return "–"  # noqa: RUF001 - a dash for no figure
    interval = bootstrap_intervals(values).p50
    middle = f"{statistics.median(values):.1f}"
    return middle if interval is None else f"{middle} ({interval[0]:.1f} to {interval[1]:.1f})"


def _print_speeds(rows: dict[tuple[str, int], _Figures]) -> None:
    lengths = " | ".join(f"{length} tokens read" for length in _LENGTHS)
    print(f"| engine | threads | first clause | words read ahead | token | {lengths} | tokens |")
    print("|---" * (6 + len(_LENGTHS)) + "|")
    for (name, threads), row in rows.items():
        cells = [row.clause, row.clause_ahead, row.token]
        cells += [row.reading.get(length, []) for length in _LENGTHS]
        middle = " | ".join(map(_cell, cells))
        print(f"| {name} | {threads} | {middle} | {sum(row.tokens) / len(row.tokens):.1f} |")


def _print_ratios(rows: dict[tuple[str, int], _Figures]) -> None:
    """How many times sooner the first clause is there, prompt by prompt."""
    print("\n| against transformers generate, same threads | first clause, times shorter |")
    print("|---|---|")
    for (name, threads), row in rows.items():
        baseline = rows["transformers generate, bfloat16", threads]
        pairs = zip(baseline.clause, row.clause, strict=True)
        print(f"| {name}, {threads} thread(s) | {_cell([a / b for a, b in pairs])} |")


def _print_agreement(replies: dict[str, dict[str, str]]) -> None:
    reference_name, *others = replies
    reference = replies[reference_name]
    print(f"\nGreedy replies that are those of {reference_name}, word for word:\n")
    for name in others:
        same = sum(replies[name][words] == text for words, text in reference.items())
        print(f"- {name}: {same} of {len(reference)}")
    print("\n| prompt | engine | reply |\n|---|---|---|")
    for words, text in reference.items():
        differing = [name for name in others if replies[name][words] != text]
        for name in [reference_name, *differing] if differing else []:
            shown = replies[name][words].replace("\n", " ↵ ").replace("|", "\\|")
            print(f"| {words} | {name} | {shown} |")


def _main() -> None:
    parser = argparse.ArgumentParser(description="Compare engines for the language model.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", default="1,2", help="comma-separated")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--prompts", type=int, default=len(_PROMPTS))
    parser.add_argument("--ctranslate2", type=Path, help="a converted model, else one is made")
    arguments = parser.parse_args()
    settings = Settings()
    thread_counts = [int(count) for count in arguments.threads.split(",")]
    with tempfile.TemporaryDirectory() as scratch:
        converted = arguments.ctranslate2 or _convert(arguments.folder, Path(scratch) / "model")
        engines = {
            (name, threads): engine
            for threads in thread_counts
            for name, engine in _engines(arguments.folder, converted, threads, settings).items()
        }
    gc.collect()
    rows = {key: _Figures() for key in engines}
    replies: dict[str, dict[str, str]] = {}
    prompt = ChatPrompt.load(arguments.folder)
    long = prompt.tokens(new_history(settings).messages(" ".join(_PROMPTS * 8))).ids
    for number in range(arguments.rounds):
        for words in _PROMPTS[: arguments.prompts]:
            for (name, threads), engine in engines.items():
                reply = _measure_prompt(engine, rows[name, threads], words, settings)
                if number == 0 and threads == thread_counts[0]:
                    replies.setdefault(name, {})[words] = reply.text
        for _ in range(3):
            for key, engine in engines.items():
                _measure_reading(engine, rows[key], long)
    print(
        f"{arguments.prompts} prompts, {arguments.rounds} round(s); medians in milliseconds "
        "(95 % intervals); tokens: mean of a reply\n"
    )
    _print_speeds(rows)
    _print_ratios(rows)
    _print_agreement(replies)


if __name__ == "__main__":
    _main()

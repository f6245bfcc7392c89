"""Latency against the length of a conversation, through the same session as chat and bench.

    python tools/measure_conversation_length.py [--callers DIR] [--turns 40] [--repeats 1]
        [--gap-s 8] [--history-tokens 1500,6000] [--set KEY=VALUE]

Recorded callers' single turns are strung together into one conversation of ``--turns`` turns and
played in real time; with several values of ``llm.history_tokens`` the conversations alternate.
A turn takes its own length and the gap, in which the reply must find room: a reply that still
sounds when the next turn begins shows up as a cut-in.

Prints Markdown: latency by the number of the turn, and by the tokens of the prompt. ``prompt`` is
what the language model was shown, ``read`` how much of it was not in its cache, ``read ms`` how
long that took; all are of the draft that was begun last.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

from voicebot.bench.callers import Caller, load_callers, recorded_callers_dir
from voicebot.bench.conversation import Conversation, RunnerRules
from voicebot.builders import engine_factories
from voicebot.cascade import running_stages
from voicebot.choice import choose_profile
from voicebot.config_sources import load_settings
from voicebot.conversation_rules import new_history, session_rules
from voicebot.engines.protocols import Prefilled
from voicebot.models.store import ModelStore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

    from voicebot.bench.record import TurnRecord
    from voicebot.config import Settings
    from voicebot.engines.protocols import Message, TextPiece
    from voicebot.stages import LlmStage, Stages

_TURN_BINS = ((1, 1), (2, 5), (6, 10), (11, 20), (21, 30), (31, 40), (41, 10**6))
_TOKEN_BINS = ((0, 149), (150, 299), (300, 599), (600, 999), (1000, 1999), (2000, 10**6))


@dataclass(frozen=True, slots=True)
class _Reading:
    """One reading of a prompt by the language model."""

    at_s: float
    prompt_tokens: int
    read_tokens: int
    read_ms: float


class _WatchedLlm:
    """Passes everything on and notes how prompts are read."""

    def __init__(self, inner: LlmStage) -> None:
        self._inner = inner
        self.readings: list[_Reading] = []

    def prepare(self, messages: Sequence[Message], *, write_tokens: int = 0) -> None:
        """Read ahead."""
        self._inner.prepare(messages, write_tokens=write_tokens)

    async def generate(
        self, messages: Sequence[Message]
    ) -> AsyncGenerator[Prefilled | TextPiece, None]:
        loop = asyncio.get_running_loop()
        asked_s = loop.time()
        pieces = self._inner.generate(messages)
        try:
            async for piece in pieces:
                if isinstance(piece, Prefilled):
                    tokens = piece.read_tokens + piece.cached_tokens
                    read_ms = 1e3 * (loop.time() - asked_s)
                    self.readings.append(_Reading(asked_s, tokens, piece.read_tokens, read_ms))
                yield piece
        finally:
            await pieces.aclose()


@dataclass(frozen=True, slots=True)
class _Measured:
    number: int
    turn: TurnRecord
    reading: _Reading | None


async def _hold(settings: Settings, stages: Stages, caller: Caller) -> list[_Measured]:
    llm = _WatchedLlm(stages.llm)
    conversation = Conversation(
        caller,
        replace(stages, llm=llm),
        session_rules=session_rules(settings),
        history=new_history(settings),
        rules=RunnerRules(
            block_ms=settings.audio.block_ms, output_latency_ms=settings.audio.output_latency_ms
        ),
    )
    await conversation.hold()
    turns = conversation.records(cpu_s=0.0, is_warmup=False)
    starts_s = (*conversation.starts_s, float("inf"))
    measured = []
    for number, turn in enumerate(turns, start=1):
        own = [
            each for each in llm.readings if starts_s[number - 1] <= each.at_s < starts_s[number]
        ]
        measured.append(_Measured(number, turn, own[-1] if own else None))
    return measured


def _strung_together(callers: Iterable[Caller], turns: int, gap_s: float) -> Caller:
    singles = [caller.turns[0] for caller in callers if len(caller.turns) == 1]
    chosen = [replace(turn, gap_s=gap_s) for turn in islice(cycle(singles), turns)]
    return Caller("a long conversation", "long", tuple(chosen))


async def _measure(
    settings_of: dict[int, Settings], talk: Caller, repeats: int
) -> dict[int, list[_Measured]]:
    measured: dict[int, list[_Measured]] = {tokens: [] for tokens in settings_of}
    any_settings = next(iter(settings_of.values()))
    factories = engine_factories(
        choose_profile(any_settings), any_settings, ModelStore(any_settings.models.dir)
    )
    timeout_s = any_settings.reply.stage_timeout_s
    async with running_stages(factories, stage_timeout_s=timeout_s) as stages:
        warm_up = replace(talk, turns=talk.turns[:1])
        await _hold(any_settings, stages, warm_up)
        for _ in range(repeats):
            for tokens, settings in settings_of.items():
                measured[tokens] += await _hold(settings, stages, talk)
    return measured


def _table(
    title: str,
    measured: Sequence[_Measured],
    bins: Sequence[tuple[int, int]],
    place: Callable[[_Measured], int | None],
) -> None:
    print(f"\n| {title} | turns | p50 ms | mean ms | llm ms | prompt | read | read ms | cut-ins |")
    print("|---" * 9 + "|")
    for low, high in bins:
        own = [each for each in measured if (at := place(each)) is not None and low <= at <= high]
        if not own:
            continue
        name = str(low) if low == high else f"{low} to {high}" if high < 10**6 else f"from {low}"
        latencies = [
            each.turn.voice_to_voice_ms for each in own if each.turn.voice_to_voice_ms is not None
        ]
        readings = [each.reading for each in own if each.reading is not None]
        llm = [each.turn.breakdown_ms.llm for each in own if each.turn.breakdown_ms is not None]
        cells = [
            _shown(statistics.median, latencies),
            _shown(statistics.fmean, latencies),
            _shown(statistics.median, llm),
            _shown(statistics.median, [each.prompt_tokens for each in readings]),
            _shown(statistics.median, [each.read_tokens for each in readings]),
            _shown(statistics.median, [each.read_ms for each in readings]),
            str(sum(each.turn.cut_in for each in own)),
        ]
        print(f"| {name} | {len(own)} | " + " | ".join(cells) + " |")


def _shown(figure: Callable[[Sequence[float]], float], values: Sequence[float]) -> str:
    return f"{figure(values):.0f}" if values else "-"


def _main() -> None:
    parser = argparse.ArgumentParser(description="Latency against the length of a conversation.")
    parser.add_argument("--callers", type=Path, default=recorded_callers_dir())
    parser.add_argument("--kind", help="only callers of this kind")
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--gap-s", type=float, default=8.0)
    parser.add_argument("--history-tokens", default="1500", help="comma-separated")
    parser.add_argument("--set", dest="assignments", action="append", default=[])
    arguments = parser.parse_args()
    settings_of = {
        int(tokens): load_settings(
            assignments=[*arguments.assignments, f"llm.history_tokens={tokens}"]
        ).settings
        for tokens in arguments.history_tokens.split(",")
    }
    callers = load_callers(arguments.callers, arguments.kind)
    talk = _strung_together(callers, arguments.turns, arguments.gap_s)
    for tokens, measured in asyncio.run(_measure(settings_of, talk, arguments.repeats)).items():
        print(f"\nllm.history_tokens = {tokens}")
        _table("turn", measured, _TURN_BINS, lambda each: each.number)
        _table(
            "prompt tokens",
            measured,
            _TOKEN_BINS,
            lambda each: each.reading.prompt_tokens if each.reading is not None else None,
        )


if __name__ == "__main__":
    _main()

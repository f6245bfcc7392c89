"""Collects the evidence about turn ends from folders of callers, for ``fit_turn_evidence.py``.

    python tools/collect_turn_evidence.py OUT.jsonl [CALLERS_DIR …]

Each clip is cut at every silence that voice activity finds in it. A silence is the end of the turn
or a pause, by the clip's label. For each, what the endpointer would know is worked out with the
real models: how complete the turn sounds after 64, 96 and 128 ms of silence; what the recogniser
has understood, which finishes an utterance at each such silence as it does in a conversation; and
the language model's end probability behind those words. Without folders, the callers that ship are
taken. One JSON object a silence; a clip of 3 s takes about 2 s.
"""

from __future__ import annotations

import argparse
import json
import math
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voicebot.audio.files import read_audio
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.bench.callers import load_callers, recorded_callers_dir
from voicebot.builders import engine_factories
from voicebot.choice import choose_profile
from voicebot.config_sources import load_settings
from voicebot.conversation_rules import new_history, session_rules
from voicebot.engines.pocketsphinx import PocketSphinxAsr
from voicebot.events import CommitReason, SpeechEnded, SpeechResumed, SpeechStarted
from voicebot.models.store import ModelStore
from voicebot.turns.endpointer import Endpointer
from voicebot.turns.fusion import fused_model
from voicebot.turns.waits import SilenceWait, Wait

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voicebot.audio.samples import Samples
    from voicebot.bench.callers import CallerTurn
    from voicebot.config import Settings
    from voicebot.engines.protocols import Asr, Llm, Transcript, TurnDetector, Vad
    from voicebot.turns.endpointer import EndpointerRules
    from voicebot.turns.evidence import TurnEvidence

_NOISE_RMS = 1e-4  # a microphone's, as the virtual one has it
_TAIL_S = 1.0
_LOOKS_MS = (64, 96, 128)
_ASR_SILENCE_MS = 64
_END_TOLERANCE_S = 0.15


@dataclass(slots=True)
class _Silence:
    start_s: float  # of the turn
    end_s: float  # of the speech before it
    resumed_s: float | None = None

    @property
    def length_ms(self) -> float:
        return float("inf") if self.resumed_s is None else (self.resumed_s - self.end_s) * 1000.0


def _silences(vad: Vad, samples: Samples, rules: EndpointerRules) -> Iterator[_Silence]:
    """Every silence after speech in which the endpointer, if it never committed, would draft."""
    vad.reset()
    endpointer = Endpointer(replace(rules, waiting=_Never()))
    frame = vad.frame_samples
    start_s, silence = 0.0, None
    for at in range(0, len(samples) - frame + 1, frame):
        probability = vad.probability(samples[at : at + frame])
        first_s, last_s = at / INPUT_SAMPLE_RATE_HZ, (at + frame) / INPUT_SAMPLE_RATE_HZ
        for decision in endpointer.observe_frame(first_s, last_s, probability):
            match decision:
                case SpeechStarted():
                    start_s = decision.speech_start_s
                case SpeechEnded():
                    silence = _Silence(start_s, decision.speech_end_s)
                case SpeechResumed() if silence is not None:
                    silence.resumed_s = decision.at_s - rules.onset_ms / 1000.0
                    yield silence
                    silence = None
    if silence is not None:
        yield silence


def _label(turn: CallerTurn, silence: _Silence) -> str | None:
    """``end``, ``pause``, or None for a silence that is neither (behind the turn's end)."""
    if silence.resumed_s is not None and silence.end_s < turn.true_end_s - _END_TOLERANCE_S:
        return "pause"
    if abs(silence.end_s - turn.true_end_s) <= 2 * _END_TOLERANCE_S:
        return "end"
    return None


class _Never(SilenceWait):
    """No silence ends a turn."""

    def wait(self, evidence: TurnEvidence) -> Wait:  # noqa: ARG002  # whatever it is
        """For ever."""
        return Wait(math.inf, CommitReason.UNSURE)


def _heard(asr: Asr, samples: Samples) -> Transcript:
    """What is understood once ``samples`` come behind what was fed; as at a soft end."""
    block = INPUT_SAMPLE_RATE_HZ // 100
    for at in range(0, len(samples), block):
        asr.feed(samples[at : at + block])
    return asr.finish()


def _end_probability(llm: Llm, settings: Settings, text: str) -> float | None:
    prefilled = llm.prepare(new_history(settings).messages(text), threading.Event())
    return prefilled.turn_end_probability if prefilled is not None else None


def _collect(
    turn: CallerTurn, engines: tuple[Vad, TurnDetector, Asr, Llm], settings: Settings, seed: int
) -> Iterator[dict[str, Any]]:
    vad, detector, asr, llm = engines
    clip = read_audio(turn.path).samples
    noise = np.random.default_rng(seed).standard_normal(
        len(clip) + round(_TAIL_S * INPUT_SAMPLE_RATE_HZ)
    )
    samples = (noise * _NOISE_RMS).astype(np.float32)
    samples[: len(clip)] += clip

    def cut(start_s: float, end_s: float) -> Samples:
        first = round(max(0.0, start_s) * INPUT_SAMPLE_RATE_HZ)
        return samples[first : round(end_s * INPUT_SAMPLE_RATE_HZ)]

    def look(silence: _Silence, silence_ms: float) -> float:
        end_s = silence.end_s + silence_ms / 1000.0
        first_s = max(silence.start_s - preroll_s, end_s - fused_model().look_window_s)
        return round(detector.completion(cut(first_s, end_s)), 4)

    preroll_s = settings.turns.preroll_ms / 1000.0
    earlier_pauses = 0
    fed_to_s: float | None = None
    for silence in list(_silences(vad, samples, session_rules(settings).endpointer)):
        label = _label(turn, silence)
        if label is None:
            continue
        if fed_to_s is None:
            asr.start()
            fed_to_s = silence.start_s - preroll_s
        soft_end_s = silence.end_s + _ASR_SILENCE_MS / 1000.0
        heard = _heard(asr, cut(fed_to_s, soft_end_s))
        fed_to_s = soft_end_s
        yield {
            "clip": turn.name,
            "kind": turn.kind,
            "group": turn.speaker or turn.name,
            "label": label,
            "length_ms": None if label == "end" else round(silence.length_ms),
            "late_ms": round((silence.end_s - turn.true_end_s) * 1000),
            "looks": [[ms, look(silence, ms)] for ms in _LOOKS_MS if ms <= silence.length_ms],
            "text": heard.text,
            "end_probability": _end_probability(llm, settings, heard.text) if heard.text else None,
            "confidence": heard.confidence,
            "earlier_pauses": earlier_pauses,
        }
        earlier_pauses += label == "pause"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("out", type=Path, help="where the evidence goes, one JSON object a line")
    parser.add_argument("folders", type=Path, nargs="*", help="folders of callers")
    arguments = parser.parse_args()
    settings = load_settings().settings
    factories = engine_factories(
        choose_profile(settings), settings, ModelStore(settings.models.dir)
    )
    asr = PocketSphinxAsr()
    engines = (factories.vad(), factories.turn_detector(), asr, factories.llm())
    folders = arguments.folders or [recorded_callers_dir()]
    turns = [turn for folder in folders for caller in load_callers(folder) for turn in caller.turns]
    with arguments.out.open("w", encoding="utf-8") as out:
        for number, turn in enumerate(turns):
            for row in _collect(turn, engines, settings, number):
                out.write(json.dumps(row) + "\n")
            print(f"\r{number + 1}/{len(turns)}", end="", flush=True)
    print()
    asr.close()


if __name__ == "__main__":
    main()

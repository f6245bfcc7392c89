"""What ``auto`` takes: the largest models that are quick enough on this machine.

The times of each candidate are predicted from two measured figures, matrix products a second and
bytes read a second. A recogniser's encoder is bound by products, and a language model's writing by
the weights that every token reads. The predictions rank sizes; they promise nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from voicebot.models.registry import MODELS, HubSource, default_model, voice_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from voicebot.machine import MachineFacts

__all__ = [
    "FIRST_TOKENS",
    "RECOGNISE_BUDGET_MS",
    "RECOGNISE_WINDOW_S",
    "WRITE_BUDGET_MS",
    "AutoChoice",
    "Surroundings",
    "candidates",
    "decide",
    "recognise_ms",
    "token_ms",
]

RECOGNISE_BUDGET_MS = 400.0
"""The most that the final transcript of a short turn may take."""

RECOGNISE_WINDOW_S = 8.0
"""How much audio the encoder is reckoned with: a turn and its padding."""

WRITE_BUDGET_MS = 400.0
"""The most that the first clause of a reply may take to write."""

FIRST_TOKENS = 10
"""About what a first clause has."""

_FRAMES_A_SECOND = 50
_DECODED_TOKENS = 16
_MEMORY_SHARE = 0.5
_GPU_MEMORY_SHARE = 0.8
_GPU_MIN_BYTES = 6 * 1024**3
_SLOW_GFLOPS = 10.0
_GPU_BYTES_A_WEIGHT = 2.2
_GRAPH_MOST_WEIGHTS = 1.6e9  # a larger one's graph does not fit into one file
_GRAPH_BYTES_A_WEIGHT = 1.2
"""SmolLM2 runs as a graph of eight bits a weight and its scales (docs/language-model.md: 160 MB for
135 million weights)."""

_TRANSFORMERS_BYTES_A_WEIGHT = 2.0
_TRANSFORMERS_MS_A_TOKEN = 15.0
"""Others run in transformers, in bfloat16. Its Python adds about this to each token: what is left
of SmolLM2-135M's 28 ms (docs/language-model.md) once the reading of its weights is taken off."""

_ENCODERS = {
    "tiny": (4, 384),
    "base": (6, 512),
    "small": (12, 768),
    "medium": (24, 1024),
    "large": (32, 1280),
}
"""Layers and width of Whisper's encoders (the paper's table 1); distilled ones keep them."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a choice depends on, besides the settings.

    Attributes:
        ready: the models that are here.
        hub_answers: whether others can be fetched.
        machine: what was measured; None where nothing but the embedded profile can run.
        offline: whether the settings forbid to ask the hub, so that it was not asked.
    """

    ready: frozenset[str]
    hub_answers: bool
    machine: MachineFacts | None
    offline: bool = False


@dataclass(frozen=True, slots=True)
class AutoChoice:
    """What ``auto`` takes.

    Attributes:
        profile: the profile that this amounts to.
        asr: the recogniser's name.
        llm: the language model's.
        tts: the voice's.
        reason: why, in one line; true whatever a stage is replaced by.
        notes: by role, what is true only while that stage is not replaced.
    """

    profile: str
    asr: str
    llm: str
    tts: str
    reason: str
    notes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def reason_of(self, *roles: str) -> str:
        """The reason as far as it is one for the stages of ``roles``."""
        notes = [note for role, note in self.notes.items() if role in roles]
        return f"{self.reason}: {', '.join(notes)}" if notes else self.reason


def candidates(language: str, *, on_gpu: bool = False) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Recognisers and language models for ``language``, the best first.

    None is gated, and none has a licence that forbids a use.
    """
    is_english = language == "en"
    if on_gpu:
        return (
            ("faster-whisper-distil-large-v3",)
            if is_english
            else ("faster-whisper-large-v3-turbo",)
        ), ("qwen2.5-7b-instruct", "phi-4-mini-instruct", "qwen2.5-1.5b-instruct")
    if is_english:
        return (
            "faster-whisper-distil-medium.en",
            "faster-whisper-small.en",
            "faster-whisper-base.en",
            "faster-whisper-tiny.en",
        ), (
            "qwen2.5-1.5b-instruct",
            "smollm2-1.7b-instruct",
            "qwen2.5-0.5b-instruct",
            "smollm2-360m-instruct",
        )
    return (
        "faster-whisper-medium",
        "faster-whisper-small",
        "faster-whisper-base",
        "faster-whisper-tiny",
    ), ("qwen2.5-1.5b-instruct", "qwen2.5-0.5b-instruct")


def recognise_ms(model: str, machine: MachineFacts) -> float:
    """What the final transcript of a short turn should take, in ms."""
    size = model.removeprefix("faster-whisper-").removeprefix("distil-")
    layers, width = _ENCODERS[size.partition(".")[0].partition("-")[0]]
    frames = RECOGNISE_WINDOW_S * _FRAMES_A_SECOND
    # Each layer: 12 width² weights for every frame, and attention among all frames.
    operations = layers * (2 * 12 * width**2 * frames + 4 * frames**2 * width)
    weights = MODELS[model].parameters or 0
    decoded_s = _DECODED_TOKENS * weights / 2 / (machine.read_gb_s * 1e9)
    return (operations / (machine.gflops * 1e9) + decoded_s) * 1e3


def token_ms(model: str, machine: MachineFacts) -> float:
    """What a token should take to write on the processor, in ms."""
    weights = MODELS[model].parameters or 0
    if _runs_as_graph(model):
        return weights * _GRAPH_BYTES_A_WEIGHT / (machine.read_gb_s * 1e9) * 1e3
    read_ms = weights * _TRANSFORMERS_BYTES_A_WEIGHT / (machine.read_gb_s * 1e9) * 1e3
    return read_ms + _TRANSFORMERS_MS_A_TOKEN


def _runs_as_graph(model: str) -> bool:
    """Whether onnxruntime runs it with few bits a weight; else torch or transformers does."""
    is_of_family = model.startswith(("smollm2", "qwen2.5", "qwen3"))
    return is_of_family and (MODELS[model].parameters or 0) <= _GRAPH_MOST_WEIGHTS


def decide(surroundings: Surroundings, language: str) -> AutoChoice:
    """Choose; a pure function of what it is given.

    Of larger models that this machine could bear, and that are not here, the reason speaks; what is
    here is taken.
    """
    chosen = _decide(surroundings, language)
    if surroundings.machine is None or surroundings.hub_answers:
        return chosen
    best = _decide(replace(surroundings, hub_answers=True), language)
    larger = {
        role: name
        for role, name, taken in (("asr", best.asr, chosen.asr), ("llm", best.llm, chosen.llm))
        if (MODELS[name].parameters or 0) > (MODELS[taken].parameters or 0)
    }
    notes = dict(chosen.notes)
    for role, name in larger.items():
        hint = f"{name} would be quick enough, too, once it is pulled"
        notes[role] = f"{notes[role]} ({hint})" if role in notes else hint
    return replace(chosen, notes=MappingProxyType(notes))


def _decide(surroundings: Surroundings, language: str) -> AutoChoice:
    machine = surroundings.machine
    if machine is None:
        asked = "models.offline is set" if surroundings.offline else "no model hub answers"
        return _embedded(language, f"{asked} and none of a hub's models are here")
    on_gpu = machine.gpu_memory_bytes >= _GPU_MIN_BYTES
    chosen = _on_gpu(surroundings, machine, language) if on_gpu else None
    return chosen or _on_cpu(surroundings, machine, language)


def _embedded(language: str, why: str) -> AutoChoice:
    return AutoChoice(
        "embedded",
        default_model("embedded", "asr", language),
        default_model("embedded", "llm", language),
        default_model("embedded", "tts", language),
        why,
    )


def _on_gpu(surroundings: Surroundings, machine: MachineFacts, language: str) -> AutoChoice | None:
    recognisers, writers = candidates(language, on_gpu=True)
    room_bytes = machine.gpu_memory_bytes * _GPU_MEMORY_SHARE
    recogniser = next(iter(_to_be_had(recognisers, surroundings)), None)
    if recogniser is None:
        return None
    room_bytes -= (MODELS[recogniser].parameters or 0) * _GPU_BYTES_A_WEIGHT
    writer = next(
        (
            name
            for name in _to_be_had(writers, surroundings)
            if (MODELS[name].parameters or 0) * _GPU_BYTES_A_WEIGHT <= room_bytes
        ),
        None,
    )
    if writer is None:
        return None
    voice = _voice(surroundings, language, high=True)
    memory = machine.gpu_memory_bytes / 1024**3
    return AutoChoice(
        "gpu",
        recogniser,
        writer,
        voice,
        f"a graphics card of {memory:.0f} GiB",
        MappingProxyType({"llm": "the largest language model that fits"}),
    )


def _on_cpu(surroundings: Surroundings, machine: MachineFacts, language: str) -> AutoChoice:
    recognisers, writers = candidates(language)
    # What the user fetched though nobody proposed it counts behind what is proposed.
    recognisers = _with_ready(recognisers, "faster_whisper", language, surroundings)
    writers = _with_ready(writers, "local_llm", language, surroundings)
    room = machine.memory_bytes * _MEMORY_SHARE
    recogniser = _quick_enough(
        [name for name in _to_be_had(recognisers, surroundings) if _loaded(name) <= room],
        {name: recognise_ms(name, machine) for name in recognisers},
        RECOGNISE_BUDGET_MS,
    )
    writer = _quick_enough(
        [name for name in _to_be_had(writers, surroundings) if _loaded(name) <= room],
        {name: token_ms(name, machine) * FIRST_TOKENS for name in writers},
        WRITE_BUDGET_MS,
    )
    low = machine.gflops < _SLOW_GFLOPS
    voice = _voice(surroundings, language, low=low)
    if recogniser is None and language == "en":  # an English one always is here
        recogniser = default_model("embedded", "asr", language)
    if recogniser is None:
        return _embedded(language, f"no recogniser for the language {language} can be had")
    speed = f"{machine.cores} cores, {machine.gflops:.0f} GFLOP/s, {machine.read_gb_s:.0f} GB/s"
    notes = {}
    if recogniser in recognisers:
        notes["asr"] = f"a final transcript in about {recognise_ms(recogniser, machine):.0f} ms"
    if writer is not None:
        notes["llm"] = f"a token in about {token_ms(writer, machine):.0f} ms"
    writer = writer or default_model("embedded", "llm", language)
    if recogniser == "pocketsphinx-en-us" and not notes and voice == "espeak-ng":
        return _embedded(language, "no larger model can be had")
    return AutoChoice("cpu", recogniser, writer, voice, speed, MappingProxyType(notes))


def _to_be_had(names: Iterable[str], surroundings: Surroundings) -> list[str]:
    return [name for name in names if surroundings.hub_answers or name in surroundings.ready]


def _loaded(name: str) -> float:
    return (MODELS[name].parameters or 0) * _GPU_BYTES_A_WEIGHT


def _quick_enough(names: list[str], times_ms: dict[str, float], budget_ms: float) -> str | None:
    """The first within the budget; if none is, the quickest; None if there are none."""
    quick = next((name for name in names if times_ms[name] <= budget_ms), None)
    return quick or min(names, key=lambda name: times_ms[name], default=None)


def _voice(
    surroundings: Surroundings, language: str, *, high: bool = False, low: bool = False
) -> str:
    preferred = voice_for(language, high=high)
    plain = voice_for(language)
    wanted = [preferred, plain]
    if low:
        wanted.insert(0, plain.rpartition("-")[0] + "-low")
    known = [name for name in wanted if name in MODELS and MODELS[name].engine == "piper"]
    known += _ready_of("piper", language, surroundings)  # any that is here is better than none
    return next(iter(_to_be_had(known, surroundings)), "espeak-ng")


def _with_ready(
    names: tuple[str, ...], engine: str, language: str, surroundings: Surroundings
) -> tuple[str, ...]:
    ready = _ready_of(engine, language, surroundings)
    others = [name for name in ready if isinstance(MODELS[name].source, HubSource)]
    return (*names, *(name for name in others if name not in names))


def _ready_of(engine: str, language: str, surroundings: Surroundings) -> list[str]:
    """The models for ``engine`` that are here and know ``language``, in the table's order."""
    return [
        name
        for name, model in MODELS.items()
        if name in surroundings.ready and model.engine == engine and model.serves(language)
    ]

"""Instruct models with a chat template.

Licences and sizes were read on the files page of each repository, or of a copy of it that shows
the same files (``read_from``); what could not be read says so.
"""

from __future__ import annotations

from voicebot.models.registry.model import SEE_MODEL_CARD, HubSource, Model

__all__ = ["LANGUAGE_MODELS"]

_MB = 10**6
_HUB = "https://huggingface.co"
_PATTERNS = (
    "model*.safetensors",
    "model.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)


def _instruct(
    name: str,
    repository: str,
    parameters_m: int,
    licence: str,
    shown_mb: float | None = None,
    *,
    languages: tuple[str, ...] = ("mul",),
    gated: bool = False,
    read_from: str = "",
) -> Model:
    return Model(
        name=name,
        role="llm",
        languages=languages,
        size_bytes=None,
        licence=licence,
        engine="local_llm",
        source=HubSource(repository, _PATTERNS),
        shown_bytes=None if shown_mb is None else round(shown_mb * _MB),
        parameters=parameters_m * _MB,
        gated=gated,
        read_from=read_from or f"{_HUB}/{repository}/tree/main",
    )


def _gguf(
    name: str, repository: str, file: str, *, parameters_m: int, licence: str, shown_mb: float
) -> Model:
    return Model(
        name=name,
        role="llm",
        languages=("mul",),
        size_bytes=None,
        licence=licence,
        engine="local_llm",
        source=HubSource(repository, (file,)),
        entry=file,
        shown_bytes=round(shown_mb * _MB),
        parameters=parameters_m * _MB,
        read_from=f"{_HUB}/{repository}/tree/main",
    )


_LLAMA_3_LANGUAGES = ("en", "de", "fr", "it", "pt", "hi", "es", "th")

LANGUAGE_MODELS: tuple[Model, ...] = (
    _instruct(
        "smollm2-360m-instruct",
        "HuggingFaceTB/SmolLM2-360M-Instruct",
        362,
        "Apache-2.0",
        languages=("en",),
    ),
    _instruct(
        "smollm2-1.7b-instruct",
        "HuggingFaceTB/SmolLM2-1.7B-Instruct",
        1710,
        "Apache-2.0",
        languages=("en",),
    ),
    _instruct("qwen2.5-0.5b-instruct", "Qwen/Qwen2.5-0.5B-Instruct", 494, "Apache-2.0"),
    _instruct("qwen2.5-1.5b-instruct", "Qwen/Qwen2.5-1.5B-Instruct", 1540, "Apache-2.0", 3100),
    _instruct("qwen2.5-3b-instruct", "Qwen/Qwen2.5-3B-Instruct", 3090, "qwen-research", 6180),
    _instruct("qwen2.5-7b-instruct", "Qwen/Qwen2.5-7B-Instruct", 7610, "Apache-2.0", 15_200),
    _instruct("qwen3-0.6b", "Qwen/Qwen3-0.6B", 752, SEE_MODEL_CARD, 1520),
    _instruct("qwen3-1.7b", "Qwen/Qwen3-1.7B", 2030, SEE_MODEL_CARD),
    _instruct("qwen3-4b", "Qwen/Qwen3-4B", 4020, "Apache-2.0"),
    _instruct(
        "llama-3.2-1b-instruct",
        "meta-llama/Llama-3.2-1B-Instruct",
        1240,
        "llama3.2",
        2480,
        languages=_LLAMA_3_LANGUAGES,
        gated=True,
        read_from=f"{_HUB}/datasets/lhpku20010120/llama3.2-1B-Instruct/tree/main",
    ),
    _instruct(
        "llama-3.2-3b-instruct",
        "meta-llama/Llama-3.2-3B-Instruct",
        3210,
        "llama3.2",
        6440,
        languages=_LLAMA_3_LANGUAGES,
        gated=True,
        read_from=f"{_HUB}/datasets/lhpku20010120/Llama-3.2-3B-Instruct/tree/main",
    ),
    _instruct(
        "gemma-3-1b-it",
        "google/gemma-3-1b-it",
        1000,
        "gemma",
        2040,
        gated=True,
        read_from=f"{_HUB}/google/gemma-3-1b-it/discussions/15 (size: rapacious/gemma-3-1b-it)",
    ),
    _instruct("phi-4-mini-instruct", "microsoft/Phi-4-mini-instruct", 3840, "MIT", 7690),
    _gguf(
        "qwen2.5-0.5b-instruct-q4_k_m",
        "QuantFactory/Qwen2.5-0.5B-Instruct-GGUF",
        "Qwen2.5-0.5B-Instruct.Q4_K_M.gguf",
        parameters_m=494,
        licence="Apache-2.0",
        shown_mb=398,
    ),
)
"""Smallest first within a family."""

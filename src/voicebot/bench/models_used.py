"""Which models took part in a run: those of this machine, those of servers, and the stand-ins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.bench.record import ModelUsed
from voicebot.models.registry import SENSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voicebot.choice import ChosenProfile, StageChoice
    from voicebot.config import Settings
    from voicebot.models.store import ModelStore

__all__ = ["models_used"]


def models_used(
    profile: ChosenProfile,
    settings: Settings,
    store: ModelStore,
    runs_as: Mapping[str, str],
) -> tuple[ModelUsed, ...]:
    """The models in the order of the conversation, each stage's fallback behind its first.

    Args:
        profile: what was chosen.
        settings: where the servers are.
        store: the folder of models, all of them ready.
        runs_as: by role, what runs the stage's first model: ``onnx on cpu``.

    Raises:
        ModelError: a model's files are not those that were checked.
    """
    used = [_here(store, name, "", is_fallback=False) for name in SENSES]
    stages = (
        ("asr", profile.asr, profile.asr_fallback, settings.asr.url),
        ("llm", profile.llm, profile.llm_fallback, settings.llm.url),
        ("tts", profile.tts, profile.tts_fallback, settings.tts.url),
    )
    for role, first, second, url in stages:
        used.append(_of_stage(role, first, store, url, runs_as.get(role, ""), is_fallback=False))
        if second is not None:
            used.append(_of_stage(role, second, store, url, "", is_fallback=True))
    if profile.encoder:
        used.append(_here(store, profile.encoder, "", is_fallback=False))
    return tuple(used)


def _of_stage(
    role: str, stage: StageChoice, store: ModelStore, url: str, runs_as: str, *, is_fallback: bool
) -> ModelUsed:
    if not stage.is_server:
        return _here(store, stage.model, runs_as, is_fallback=is_fallback)
    # Nobody here knows more of it than its name and address.
    name = stage.model or runs_as or "the server's choice"
    return ModelUsed(role, name, url, None, "the server's", runs_as, is_fallback)


def _here(store: ModelStore, name: str, runs_as: str, *, is_fallback: bool) -> ModelUsed:
    facts = store.facts(name)
    return ModelUsed(
        facts.role, facts.name, facts.source, facts.sha256, facts.licence, runs_as, is_fallback
    )

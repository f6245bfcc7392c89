"""The voices that can speak: eSpeak NG's, and the Piper voices that are known or here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.engines.piper_config import PiperVoiceFacts, read_config, voice_facts
from voicebot.errors import ModelError
from voicebot.models.registry import MODELS

if TYPE_CHECKING:
    from pathlib import Path

    from voicebot.choice import StageChoice
    from voicebot.models.registry import Model
    from voicebot.models.store import ModelStore

__all__ = ["Voice", "known_voices", "language_of_own_voice", "language_warnings", "speaks"]

_QUALITIES = ("x-low", "low", "medium", "high")


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice that can be chosen.

    Attributes:
        engine: as in ``tts.engine``.
        name: for ``tts.model`` with piper, for ``tts.voice`` with espeak.
        title: what the voice is called, if that is more than its name.
        languages: tags such as ``de`` or ``en-us``.
        quality: ``x-low``, ``low``, ``medium`` or ``high``; empty if it has no such name.
        speakers: how many speak; None until the voice is here.
        speaker_names: their names by number; not every voice names its speakers.
        state: ``ready``, ``absent``, ``outdated`` or ``damaged``.
    """

    engine: str
    name: str
    title: str
    languages: tuple[str, ...]
    quality: str
    speakers: int | None
    speaker_names: tuple[str, ...]
    state: str


def known_voices(store: ModelStore, voice_file: Path | None = None) -> tuple[Voice, ...]:
    """Every voice: Piper's by language and quality, then eSpeak NG's by language.

    Args:
        store: tells which are here.
        voice_file: a Piper voice outside the store, listed first.

    Raises:
        ModelMissingError: eSpeak NG is not installed.
    """
    from voicebot.engines.espeak import EspeakTts  # noqa: PLC0415 - loads the library

    own = [_from_file(voice_file)] if voice_file else []
    fetched = [store.model(name) for name in store.locked() if name not in MODELS]
    piper = [
        _from_table(model, store)
        for model in (*MODELS.values(), *fetched)
        if model.engine == "piper"
    ]
    espeak = [
        Voice("espeak", voice.language, voice.name, (voice.language,), "", 1, (), "ready")
        for voice in EspeakTts.voices()
    ]
    return (*own, *sorted(piper, key=_by_language_and_quality), *espeak)


def language_of_own_voice(store: ModelStore, stage: StageChoice) -> str:
    """The language in the config of a Piper voice of which the table knows none; else empty.

    Raises:
        ModelError: the voice is not here, or its config cannot be read.
    """
    if stage.engine != "piper" or store.model(stage.model).languages:
        return ""
    return _facts(store.path(stage.model)).language


def language_warnings(store: ModelStore, stage: StageChoice, language: str) -> tuple[str, ...]:
    """A line if the voice of ``stage`` is known to speak another language than ``language``.

    Raises:
        ModelError: the voice is not here, or its config cannot be read.
    """
    spoken = language_of_own_voice(store, stage)
    if not spoken or _tag(spoken).partition("-")[0] == _tag(language).partition("-")[0]:
        return ()
    return (f"the voice {stage.label} speaks {spoken}, and the conversation is in {language}",)


def speaks(voice: Voice, language: str) -> bool:
    """Whether ``voice`` speaks ``language``: a tag, which stands for its regions, too."""
    wanted = _tag(language)
    return any(_tag(one) == wanted or _tag(one).startswith(wanted + "-") for one in voice.languages)


def _from_table(model: Model, store: ModelStore) -> Voice:
    state = str(store.state(model.name))
    facts: PiperVoiceFacts | None = None
    if state == "ready":
        try:
            facts = _facts(store.path(model.name))
        except ModelError:
            state = "damaged"
    name = model.name.replace("_", "-")
    quality = next((one for one in _QUALITIES if name.endswith(f"-{one}")), "")
    return Voice(
        "piper",
        model.name,
        "",
        model.languages or ((facts.language,) if facts else ()),
        (facts.quality.replace("_", "-") if facts else "") or quality,
        facts.speakers if facts else None,
        _names(facts) if facts else (),
        state,
    )


def _from_file(path: Path) -> Voice:
    try:
        facts = _facts(path)
    except ModelError:
        return Voice("piper", str(path), "", (), "", None, (), "damaged")
    quality = facts.quality.replace("_", "-")
    speakers = _names(facts)
    return Voice(
        "piper", str(path), "", (facts.language,), quality, facts.speakers, speakers, "ready"
    )


def _facts(path: Path) -> PiperVoiceFacts:
    return voice_facts(read_config(path), path)


def _names(facts: PiperVoiceFacts) -> tuple[str, ...]:
    return tuple(sorted(facts.speaker_ids, key=lambda name: facts.speaker_ids[name]))


def _by_language_and_quality(voice: Voice) -> tuple[str, int, str]:
    rank = _QUALITIES.index(voice.quality) if voice.quality in _QUALITIES else len(_QUALITIES)
    return (_tag(voice.languages[0]) if voice.languages else "", rank, voice.name)


def _tag(language: str) -> str:
    return language.lower().replace("_", "-")

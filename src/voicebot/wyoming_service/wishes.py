"""What a client asks for beside its audio or text: a model, a voice, a language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voicebot.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wyoming.info import AsrProgram, TtsProgram

__all__ = ["check_model", "check_voice"]


def check_model(data: Mapping[str, Any], offer: AsrProgram) -> None:
    """Let a ``transcribe`` event pass if what it asks for is on offer.

    Raises:
        ConfigError: another model or language is asked for.
    """
    _check_name("model", data.get("name"), [model.name for model in offer.models])
    known = {language for model in offer.models for language in model.languages}
    _check_language(data.get("language"), known)


def check_voice(data: Mapping[str, Any], offer: TtsProgram) -> None:
    """Let a ``synthesize`` or ``synthesize-start`` event pass if its voice is on offer.

    Raises:
        ConfigError: another voice, speaker or language is asked for.
    """
    voice = data.get("voice")
    if not isinstance(voice, dict):
        return
    _check_name("voice", voice.get("name"), [one.name for one in offer.voices])
    speakers = [one.name for voice in offer.voices for one in voice.speakers or ()]
    _check_name("speaker", voice.get("speaker"), speakers)
    if voice.get("name") is None:  # a voice has its language
        known = {language for one in offer.voices for language in one.languages}
        _check_language(voice.get("language"), known)


def _check_name(what: str, asked: object, known: list[str]) -> None:
    if asked is not None and asked not in known:
        raise ConfigError(
            f"there is no {what} {asked!r} here",
            f"there is {', '.join(known)}" if known else f"ask for no {what}",
        )


def _check_language(asked: object, known: Iterable[str]) -> None:
    """Regions do not matter: who asks for ``en`` is served by ``en-US``."""
    if asked is None:
        return
    if _primary(str(asked)) not in {_primary(one) for one in known}:
        raise ConfigError(
            f"the language {asked!r} is not spoken here", f"it is {', '.join(sorted(known))}"
        )


def _primary(language: str) -> str:
    return language.lower().replace("_", "-").partition("-")[0]

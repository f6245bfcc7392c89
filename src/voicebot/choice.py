"""Which engine and which model does the work of each stage, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from voicebot.auto_choice import Surroundings, decide
from voicebot.errors import ConfigError
from voicebot.machine import has_graphics_card, kept_facts
from voicebot.models.hub_reach import hub_answers
from voicebot.models.references import ENGINES, find_reference, split_engine
from voicebot.models.registry import MODELS, SENSES, HubSource, default_model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from voicebot.auto_choice import AutoChoice
    from voicebot.config import AsrSettings, LlmSettings, Settings, TtsSettings
    from voicebot.machine import MachineFacts
    from voicebot.models.registry import Model, SpokenRole
    from voicebot.models.store import ModelStore

__all__ = [
    "ChosenProfile",
    "StageChoice",
    "check_roles",
    "choose_profile",
    "chosen_encoder",
    "device_warnings",
    "guard_is_on",
    "is_path",
    "look_around",
]

_ENCODER = "all-minilm-l6-v2"
_ROLES: Mapping[str, str] = MappingProxyType(
    {"asr": "recogniser", "llm": "language model", "tts": "voice"}
)
_SERVERS = {"openai", "wyoming"}
_WITHOUT_HUB = {"pocketsphinx", "espeak"}
"""Engines whose one model needs no hub."""

_ENGINE_OF_ROW: Mapping[str, str] = MappingProxyType(
    {
        "pocketsphinx": "pocketsphinx",
        "faster_whisper": "faster-whisper",
        "local_llm": "auto",
        "espeak": "espeak",
        "piper": "piper",
    }
)
_ENGINE_OF_ROLE: Mapping[str, str] = MappingProxyType(
    {"asr": "faster-whisper", "llm": "auto", "tts": "piper"}
)
"""What runs a model of which nothing is known yet."""

_REMOTE_ENGINES: Mapping[str, str] = MappingProxyType(
    {"asr": "wyoming", "llm": "openai", "tts": "wyoming"}
)


@dataclass(frozen=True, slots=True)
class StageChoice:
    """What does the work of one stage.

    Attributes:
        engine: as in the settings (``pocketsphinx``); never ``auto`` but for the language model,
            where it means whatever runs the model fastest on this machine.
        model: as the model store takes it: a name of the table, ``owner/name`` of a repository or
            a path; for a server's engine the name that the server knows.
    """

    engine: str
    model: str

    @property
    def is_server(self) -> bool:
        """Whether a server does the work, with a model of its own."""
        return self.engine in _SERVERS

    @property
    def label(self) -> str:
        """In short for people: the model's name without its folder; a server's with its engine."""
        if self.is_server:
            return f"{self.engine}:{self.model}" if self.model else self.engine
        return Path(self.model).name if is_path(self.model) else self.model


@dataclass(frozen=True, slots=True)
class ChosenProfile:
    """A profile and why it was taken.

    Attributes:
        name: as in the settings, if all its stages were taken; ``mixed`` if some were replaced,
            ``own`` if all were.
        asr: the recogniser.
        llm: the language model.
        tts: the synthesiser.
        reason: one line for the user.
        warnings: what will go worse than the user may expect, one line each.
        asr_fallback: the recogniser that goes on when the first fails, if any.
        llm_fallback: likewise, the language model.
        tts_fallback: likewise, the synthesiser.
        encoder: the registry's name of the sentence encoder, if knowledge or the guard needs it.
    """

    name: str
    asr: StageChoice
    llm: StageChoice
    tts: StageChoice
    reason: str
    warnings: tuple[str, ...] = ()
    asr_fallback: StageChoice | None = None
    llm_fallback: StageChoice | None = None
    tts_fallback: StageChoice | None = None
    encoder: str = ""

    @property
    def line(self) -> str:
        """What was taken and why, in one line for the user."""
        return self.line_of("asr", "llm", "tts")

    def line_of(self, *roles: SpokenRole) -> str:
        """The same where only the stages of ``roles`` are used."""
        stages: Mapping[SpokenRole, StageChoice] = {
            "asr": self.asr,
            "llm": self.llm,
            "tts": self.tts,
        }
        return f"{self.name} ({self.reason}): {', '.join(stages[role].label for role in roles)}"

    @property
    def servers(self) -> tuple[str, ...]:
        """What servers do the work of, each with its engine: ``recogniser (wyoming)``."""
        stages = (("asr", self.asr), ("llm", self.llm), ("tts", self.tts))
        return tuple(f"{_ROLES[role]} ({one.engine})" for role, one in stages if one.is_server)

    @property
    def model_names(self) -> dict[str, str]:
        """The model's name for each stage, by its role."""
        return {"asr": self.asr.model, "llm": self.llm.model, "tts": self.tts.model}

    @property
    def models(self) -> tuple[str, ...]:
        """The models that must be here, in the order of the conversation."""
        encoder = (self.encoder,) if self.encoder else ()
        return (*SENSES, *self.models_of("asr", "llm", "tts"), *encoder)

    def models_of(self, *roles: SpokenRole) -> tuple[str, ...]:
        """The models that the stages of ``roles`` and their fallbacks need here."""
        stages: Mapping[SpokenRole, tuple[StageChoice | None, ...]] = {
            "asr": (self.asr, self.asr_fallback),
            "llm": (self.llm, self.llm_fallback),
            "tts": (self.tts, self.tts_fallback),
        }
        wanted = (stage for role in roles for stage in stages[role] if stage is not None)
        return tuple(dict.fromkeys(stage.model for stage in wanted if not stage.is_server))


def look_around(
    settings: Settings,
    store: ModelStore,
    *,
    ask_hub: Callable[[], bool] = hub_answers,
    measure: Callable[[], MachineFacts] = kept_facts,
) -> Surroundings | None:
    """What ``auto`` has to know; None where the settings leave it nothing to choose.

    The hub is asked only if models may be fetched and a stage has none from it yet, and the
    machine is measured only if there is a choice: a machine without a hub starts at once, and one
    that has its models asks nobody.

    Args:
        settings: what the user wants.
        store: the folder of models.
        ask_hub: whether the hub answers.
        measure: what this machine can do.
    """
    open_roles = {role for role in _SPOKEN if _is_open(getattr(settings, role))}
    if settings.profile != "auto" or not open_roles:
        return None
    ready = frozenset(name for name in MODELS if store.is_ready(name))
    here = {
        model.role
        for model in (MODELS[name] for name in ready)
        if isinstance(model.source, HubSource) and model.serves(settings.language)
    }
    # Whoever has a larger model for every stage is neither asked for more nor kept waiting.
    is_complete = here >= open_roles
    offline = settings.models.offline
    answers = not is_complete and not offline and ask_hub()
    machine = measure() if here or answers else None
    return Surroundings(ready, answers, machine, offline=offline)


def _is_open(section: AsrSettings | LlmSettings | TtsSettings) -> bool:
    """Whether ``auto`` has anything to choose for a stage."""
    return not section.model and section.engine not in _SERVERS | _WITHOUT_HUB


def choose_profile(settings: Settings, surroundings: Surroundings | None = None) -> ChosenProfile:
    """The profile that the settings ask for; ``auto`` takes the best that is available.

    Args:
        settings: what the user wants.
        surroundings: what ``look_around`` found; without it ``auto`` is the embedded profile.

    Raises:
        ConfigError: a setting names a model that is not there, one of another role, or one that
            does not know the language; or an engine that cannot run the model.
        ModelError: a model that is named by its path cannot be used.
    """
    language = settings.language
    profile: str = settings.profile
    auto: AutoChoice | None = None
    if profile == "auto":
        auto = decide(
            surroundings or Surroundings(frozenset(), hub_answers=False, machine=None), language
        )
        profile = auto.profile
        found = {"asr": auto.asr, "llm": auto.llm, "tts": auto.tts}
    else:
        found = {role: default_model(profile, role, language) for role in _SPOKEN}
    stages: dict[str, StageChoice] = {}
    kept: list[str] = []
    for role in _SPOKEN:
        section = getattr(settings, role)
        stages[role] = _chosen(role, profile, found[role], section.engine, section.model, language)
        if _is_of_profile(role, stages[role], profile, found[role], language):
            kept.append(role)
    chosen = ChosenProfile(
        profile if len(kept) == len(_SPOKEN) else "mixed" if kept else "own",
        stages["asr"],
        stages["llm"],
        stages["tts"],
        _reason(profile, auto if surroundings else None, kept, is_auto=auto is not None),
        asr_fallback=_fallback("asr", settings.asr, language),
        llm_fallback=_fallback("llm", settings.llm, language),
        tts_fallback=_fallback("tts", settings.tts, language),
        encoder=chosen_encoder(settings),
    )
    warnings = (*_check_language(chosen, language), *_unheard_settings(chosen, settings))
    return replace(chosen, warnings=warnings)


def device_warnings(
    settings: Settings, has_gpu: Callable[[], bool] = has_graphics_card
) -> tuple[str, ...]:
    """What the profile counts on and this machine has not, one line each.

    Args:
        settings: what the user wants.
        has_gpu: whether models can run on a graphics card here; asked only if that matters.
    """
    if settings.profile != "gpu" or has_gpu():
        return ()
    warning = (
        "the profile gpu is for a graphics card, and none that models can use is found: its models "
        "will run on the processor, slowly; take the profile cpu or auto"
    )
    return (warning,)


def _unheard_settings(chosen: ChosenProfile, settings: Settings) -> tuple[str, ...]:
    """Settings that what was chosen cannot follow, one line each."""
    if chosen.tts.engine == "wyoming" and settings.tts.speed != 1:
        return ("tts.speed is nothing that Wyoming can tell a server: set the speed there",)
    return ()


def _is_of_profile(
    role: SpokenRole, stage: StageChoice, profile: str, default: str, language: str
) -> bool:
    """Whether ``stage`` is what ``profile`` takes when the settings leave the stage open."""
    if profile == "remote":
        return stage.engine == _REMOTE_ENGINES[role]
    return bool(default) and stage == _chosen(role, profile, default, "auto", "", language)


def _reason(profile: str, auto: AutoChoice | None, kept: Sequence[str], *, is_auto: bool) -> str:
    """Why the stages are what they are: nothing but what holds for those that were ``kept``."""
    if not kept:
        return "every stage is set"
    if auto is not None:
        why = auto.reason_of(*kept)
    elif is_auto:
        why = "every stage is set" if len(kept) < len(_SPOKEN) else "it needs no model hub"
    else:
        why = "as configured"
    if len(kept) == len(_SPOKEN):
        return why
    others = " and ".join(_ROLES[role] for role in _SPOKEN if role not in kept)
    return f"{profile} with another {others}; {why}"


def chosen_encoder(settings: Settings) -> str:
    """The sentence encoder that the settings call for; empty if none is needed or none fits.

    The encoder knows English; for other languages texts are compared by their spelling.
    """
    needed = settings.knowledge.folder is not None or (
        guard_is_on(settings) and settings.guard.classifier
    )
    return _ENCODER if needed and settings.language in MODELS[_ENCODER].languages else ""


def guard_is_on(settings: Settings) -> bool:
    """Whether anything is to be checked: the guard is enabled, or has a list."""
    guard = settings.guard
    return guard.enabled or guard.words_file is not None or guard.topics_file is not None


def is_path(model: str) -> bool:
    """Whether a chosen model is the user's own, named by where it lies."""
    has_separator = "/" in model or "\\" in model
    return has_separator and Path(model).expanduser().exists()


def check_roles(chosen: ChosenProfile, store: ModelStore) -> None:
    """Look again at models whose kind shows only once they were fetched.

    Raises:
        ConfigError: one of them does not do the work that it was chosen for.
    """
    for role, stage in (("asr", chosen.asr), ("llm", chosen.llm), ("tts", chosen.tts)):
        if not stage.is_server:
            _check_row(role, stage.engine, store.model(stage.model))


def _check_language(chosen: ChosenProfile, language: str) -> tuple[str, ...]:
    """What of ``chosen`` will not do for ``language`` but can be borne, one line each.

    Raises:
        ConfigError: the recogniser or the voice does not know it.
    """
    warnings = []
    for role, stage in (("asr", chosen.asr), ("llm", chosen.llm), ("tts", chosen.tts)):
        row = None if stage.is_server else find_reference(stage.model)
        if row is None or row.serves(language):
            continue
        problem = f"{row.name} does not know the language {language}"
        if role == "llm":
            warnings.append(f"{problem}; choose another with --llm")
            continue
        raise ConfigError(
            f"{problem} ({_ROLES[role]} of the profile {chosen.name})",
            "take the profile cpu or gpu, which need a model hub once, or choose one with "
            f"--{role}",
        )
    return tuple(warnings)


_SPOKEN: tuple[SpokenRole, ...] = ("asr", "llm", "tts")


def _chosen(  # noqa: PLR0917 (what is chosen from: the profile's, the settings', the language)
    role: SpokenRole, profile: str, default: str, engine: str, reference: str, language: str
) -> StageChoice:
    named, rest = split_engine(reference)
    if "auto" not in {engine, named} and engine != named:
        raise ConfigError(
            f"{role}.model = {reference} names another engine than {role}.engine = {engine}",
            "leave one of them out",
        )
    engine = named if engine == "auto" else engine
    if engine == "auto" and profile == "remote":
        engine = _REMOTE_ENGINES[role]
    if engine in _SERVERS:
        return StageChoice(engine, rest)
    stage = _of_this_machine(role, engine, rest, default, language)
    if profile == "gpu" and stage.engine == "auto":
        return StageChoice("transformers", stage.model)
    return stage


def _fallback(
    role: SpokenRole, section: AsrSettings | LlmSettings | TtsSettings, language: str
) -> StageChoice | None:
    """What stands in for ``role``: ``ENGINE``, ``ENGINE:MODEL`` or a model; None if nothing.

    An engine alone takes the embedded profile's model, or one of its own.
    """
    text = section.fallback.strip()
    if not text:
        return None
    engine, rest = split_engine(text)
    if engine in _SERVERS:
        return StageChoice(engine, rest)
    try:
        default = default_model("embedded", role, language)
        return _of_this_machine(role, engine, rest, default, language, setting="fallback")
    except ConfigError:
        if ":" in text or text in ENGINES:
            raise
        raise ConfigError(
            f"{role}.fallback names the engine {text}, which is not known",
            "give ENGINE, ENGINE:MODEL or the name of a model",
        ) from None


def _of_this_machine(
    role: SpokenRole,
    engine: str,
    reference: str,
    default: str,
    language: str,
    *,
    setting: str = "model",
) -> StageChoice:
    reference = reference or _default_for(role, engine, default, language)
    try:
        row = find_reference(reference if engine == "auto" else f"{engine}:{reference}")
    except ConfigError:
        if engine != "espeak":
            raise
        raise ConfigError(
            f"eSpeak NG has one model, and {reference} is another",
            f"its voices are chosen with --set tts.voice={reference}",
        ) from None
    if engine == "auto":
        engine = _ENGINE_OF_ROW.get(row.engine, _ENGINE_OF_ROLE[role])
    _check_row(role, engine, row, setting=setting)
    return StageChoice(engine, row.name)


def _default_for(role: SpokenRole, engine: str, default: str, language: str) -> str:
    """The model to take with ``engine`` where none is named."""
    ours = (default, *(default_model(profile, role, language) for profile in ("cpu", "embedded")))
    for name in ours:
        if name and (engine == "auto" or _fits(engine, MODELS[name])):
            return name
    raise ConfigError(
        f"{role}.engine = {engine} has no model of its own for the language {language}",
        f"name one with {role}.model",
    )


def _check_row(role: str, engine: str, row: Model, *, setting: str = "model") -> None:
    if row.role not in {role, "unknown"}:
        raise ConfigError(
            f"{role}.{setting} names {row.name}, which is not a {_ROLES[role]}",
            "'voicebot models list' shows the role of each",
        )
    if not _fits(engine, row):
        raise ConfigError(
            f"{role}.engine = {engine} cannot run {row.name}",
            f"leave {role}.engine at auto, which takes {_ENGINE_OF_ROW[row.engine]}",
        )


def _fits(engine: str, row: Model) -> bool:
    return row.role == "unknown" or ENGINES.get(engine) == row.engine

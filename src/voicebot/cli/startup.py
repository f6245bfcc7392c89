"""What ``chat`` and ``bench`` do before they listen: choose a profile, fetch, load, say so."""

from __future__ import annotations

import gc
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from voicebot.builders import engine_factories
from voicebot.cascade import running_stages
from voicebot.choice import check_roles, choose_profile, device_warnings, look_around
from voicebot.cli.progress import announce_fetches, pull_with_progress
from voicebot.models.memory_room import check_memory_room, memory_room
from voicebot.models.store import ModelStore
from voicebot.voices import language_warnings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from voicebot.choice import ChosenProfile
    from voicebot.cli.context import CliContext
    from voicebot.stages import Stages

__all__ = ["Listening", "PreparedModels", "fetch_models", "listening", "prepare_models"]


@dataclass(frozen=True, slots=True)
class PreparedModels:
    """What was chosen, and where its models lie, all of them ready."""

    profile: ChosenProfile
    store: ModelStore


@dataclass(frozen=True, slots=True)
class Listening:
    """The loaded stages, and how long it took from the start of the process."""

    stages: Stages
    startup_s: float


def prepare_models(context: CliContext) -> PreparedModels:
    """Choose the profile, say so, and bring its models onto this machine.

    What is to be downloaded, and how large it is, is said before it is.

    Raises:
        ConfigError: a setting names a model that cannot do what is asked of it.
        ModelMissingError: a model is not here and ``models.offline`` is set.
        ModelFetchError: a model cannot be fetched.
        ModelDamagedError: a model is not what it must be.
    """
    settings = context.settings
    store = ModelStore(settings.models.dir)
    profile = choose_profile(settings, look_around(settings, store))
    context.error_console.print(f"Profile: {profile.line}", markup=False, soft_wrap=True)
    for warning in (*profile.warnings, *device_warnings(settings)):
        context.error_console.print(f"! {warning}", style="yellow", markup=False, soft_wrap=True)
    fetch_models(context, profile.models, store)
    check_roles(profile, store)
    for warning in language_warnings(store, profile.tts, settings.language):
        context.error_console.print(f"! {warning}", style="yellow", markup=False, soft_wrap=True)
    return PreparedModels(profile, store)


def fetch_models(
    context: CliContext, names: Sequence[str], store: ModelStore | None = None
) -> ModelStore:
    """Bring the models called ``names`` onto this machine, and say first what that costs.

    Args:
        context: settings, and where to say it.
        names: names of models, in any way.
        store: the folder of models; None opens the one of the settings.

    Raises:
        ModelMissingError: a model is not here and ``models.offline`` is set.
        ModelFetchError: a model cannot be fetched.
        ModelDamagedError: a model is not what it must be.
    """
    settings = context.settings
    store = store or ModelStore(settings.models.dir)
    missing = [name for name in names if not store.is_ready(name)]
    if missing and settings.models.offline:
        store.path(missing[0])  # raises what is the matter with it
    for name in missing:
        if (state := store.state(name)) != "absent":
            context.error_console.print(f"The model {name} is {state}: it is fetched again.")
    announce_fetches(store, missing, context.error_console)
    # A graph is made of what is here, without the network.
    unfinished = [name for name in names if store.lacks_graph(name)]
    if wanted := [*missing, *(name for name in unfinished if name not in missing)]:
        pull_with_progress(store, wanted, context.error_console)
    return store


@asynccontextmanager
async def listening(context: CliContext, prepared: PreparedModels) -> AsyncIterator[Listening]:
    """Load the models; leaving closes them.

    Raises:
        EngineError: there is not enough memory.
        VoicebotError: an engine could not be loaded.
    """
    settings = context.settings
    store = prepared.store
    names = prepared.profile.models_of("asr", "llm", "tts")
    check_memory_room((store.model(name) for name in names), memory_room())
    context.error_console.print("Loading the models …")
    factories = engine_factories(prepared.profile, settings, prepared.store)
    async with running_stages(factories, stage_timeout_s=settings.reply.stage_timeout_s) as stages:
        # What is loaded stays: the collector need not look at it in the middle of a turn.
        gc.collect()
        gc.freeze()
        startup_s = time.time() - psutil.Process().create_time()
        context.error_console.print(f"Listening after {startup_s:.1f} s.")
        yield Listening(stages, startup_s)

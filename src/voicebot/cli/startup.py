"""What ``chat`` and ``bench`` do before they start: choose a profile, fetch what is missing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil

from voicebot.cli.progress import pull_with_progress
from voicebot.models.store import ModelStore
from voicebot.profiles import choose_profile

if TYPE_CHECKING:
    from voicebot.cli.context import CliContext
    from voicebot.profiles import ChosenProfile

__all__ = ["prepare_models", "seconds_since_start"]


def prepare_models(context: CliContext) -> tuple[ChosenProfile, ModelStore]:
    """Choose the profile, say so, and bring its models onto this machine.

    Raises:
        ModelMissingError: a model is not here and ``models.offline`` is set.
        ModelFetchError: a model cannot be fetched.
        ModelDamagedError: a model is not what it must be.
    """
    settings = context.settings
    profile = choose_profile(settings)
    context.error_console.print(f"Profile: {profile.name} ({profile.reason})")
    store = ModelStore(settings.models.dir)
    missing = [name for name in profile.models if not store.is_ready(name)]
    if missing and settings.models.offline:
        store.path(missing[0])  # raises what is the matter with it
    if missing:
        pull_with_progress(store, missing, context.error_console)
    return profile, store


def seconds_since_start() -> float:
    """How long this process has lived, imports included."""
    return time.time() - psutil.Process().create_time()

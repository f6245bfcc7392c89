"""What every subcommand is given: the settings and where to print."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import Console

    from voicebot.config import Settings

__all__ = ["CliContext", "stage_options", "takes_settings"]

_R = TypeVar("_R")


@dataclass(frozen=True)
class CliContext:
    """The object that ``click.pass_obj`` hands to a subcommand.

    Attributes:
        settings: the effective settings.
        origins: for every dotted key of a setting (``turns.soft_end_ms``), where its value came
            from: ``default``, ``file PATH``, ``environment NAME`` or ``flag NAME``.
        console: standard output, for results.
        error_console: standard error, for progress, hints and errors.
    """

    settings: Settings
    origins: Mapping[str, str]
    console: Console
    error_console: Console

    def with_flag(self, key: str, flag: str, value: object) -> CliContext:
        """The same context with one setting taken from a subcommand's own flag.

        Args:
            key: the dotted key, such as ``bench.seed``.
            flag: the flag as the user knows it, such as ``--seed``.
            value: what the flag was given; None leaves the setting as it is.

        Raises:
            ConfigError: the value is of the wrong type or out of range.
        """
        if value is None:
            return self
        from voicebot.config_sources import (  # noqa: PLC0415 (keeps --help free of pydantic)
            LoadedSettings,
            override_setting,
        )

        loaded = override_setting(
            LoadedSettings(self.settings, self.origins), key, value, origin=f"flag {flag}"
        )
        return dataclasses.replace(self, settings=loaded.settings, origins=loaded.origins)

    def with_stage_models(
        self, *, asr: str | None = None, llm: str | None = None, tts: str | None = None
    ) -> CliContext:
        """The same context with what ``--asr``, ``--llm`` and ``--tts`` say.

        Raises:
            ConfigError: a stage has no such engine.
        """
        from voicebot.models.references import split_engine  # noqa: PLC0415 (keeps --help quick)

        changed = self
        for role, reference in (("asr", asr), ("llm", llm), ("tts", tts)):
            if reference is not None:
                engine, model = split_engine(reference)
                flag = f"--{role}"
                changed = changed.with_flag(f"{role}.engine", flag, engine)
                changed = changed.with_flag(f"{role}.model", flag, model)
        return changed

    def with_assignments(self, assignments: Sequence[str]) -> CliContext:
        """The same context with what ``--set`` behind a subcommand says.

        Raises:
            ConfigError: a key is unknown, or a value of the wrong type or out of range.
        """
        if not assignments:
            return self
        from voicebot.config_sources import (  # noqa: PLC0415 (keeps --help free of pydantic)
            LoadedSettings,
            override_assignments,
        )

        loaded = override_assignments(LoadedSettings(self.settings, self.origins), assignments)
        return dataclasses.replace(self, settings=loaded.settings, origins=loaded.origins)


def takes_settings(command: Callable[..., _R]) -> Callable[..., _R | None]:
    """Let a subcommand take ``--profile``, ``--asr`` and the like behind its name, too.

    The command is given the context with all of them applied as its first argument.
    """

    def with_settings(
        context: CliContext | None,
        /,
        *,
        profile: str | None,
        asr: str | None,
        llm: str | None,
        tts: str | None,
        assignments: tuple[str, ...],
        **options: Any,
    ) -> _R | None:
        if context is None:
            return None  # a group on its way to a subcommand's help page, which needs no settings
        changed = context.with_assignments(assignments).with_flag("profile", "--profile", profile)
        return command(changed.with_stage_models(asr=asr, llm=llm, tts=tts), **options)

    functools.update_wrapper(with_settings, command)
    taking_set = click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change one setting, such as turns.soft_end_ms=120; may be repeated.",
    )(click.pass_obj(with_settings))
    return click.option("--profile", metavar="NAME", help="Which engines and models take part.")(
        stage_options(taking_set)
    )


def stage_options(command: Callable[..., _R]) -> Callable[..., _R]:
    """Let a command take ``--asr``, ``--llm`` and ``--tts``, as parameters of these names."""
    for role, what, example in (
        ("tts", "voice", "piper:en_GB-alan-medium"),
        ("llm", "language model", "qwen2.5-0.5b-instruct"),
        ("asr", "recogniser", "faster-whisper:base.en"),
    ):
        command = click.option(
            f"--{role}",
            metavar="[ENGINE:]MODEL",
            help=f"The {what}, such as {example}, owner/name of the hub, or a path.",
        )(command)
    return command

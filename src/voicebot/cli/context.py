"""What every subcommand is given: the settings and where to print."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from voicebot.config import Settings

__all__ = ["CliContext"]


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

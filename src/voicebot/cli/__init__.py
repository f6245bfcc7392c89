"""The command line: the only part of voicebot that prints and exits."""

from voicebot.cli.main import main

__all__ = ["main"]

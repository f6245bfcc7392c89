"""voicebot: talk to a computer and it answers out loud, measured turn by turn."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("voicebot")

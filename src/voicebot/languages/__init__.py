"""What voicebot knows of each language of a conversation: one module a language.

A language is a table of what is said, heard and read in it; ``language.py`` says what belongs in
one. The rest of the code asks ``find_language`` and holds no words of its own.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from voicebot.errors import ConfigError
from voicebot.languages.english import ENGLISH
from voicebot.languages.french import FRENCH
from voicebot.languages.german import GERMAN
from voicebot.languages.language import Language
from voicebot.languages.spanish import SPANISH

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LANGUAGES", "Language", "find_language", "primary_subtag"]

LANGUAGES: Mapping[str, Language] = MappingProxyType(
    {language.code: language for language in (ENGLISH, GERMAN, SPANISH, FRENCH)}
)
"""Every language that a conversation can be held in, by its ISO 639 code."""


def primary_subtag(tag: str) -> str:
    """The language in a language tag: "de" in "de-AT" and "de_DE"."""
    return tag.lower().replace("_", "-").split("-")[0]


def find_language(tag: str) -> Language:
    """The language that ``tag`` names; a region behind it makes no difference.

    Raises:
        ConfigError: it is not one of ``LANGUAGES``.
    """
    language = LANGUAGES.get(primary_subtag(tag))
    if language is None:
        known = [f"{one.code} ({one.name})" for one in LANGUAGES.values()]
        raise ConfigError(
            f"the language {tag!r} is not known",
            f"set language to {', '.join(known[:-1])} or {known[-1]}",
        )
    return language

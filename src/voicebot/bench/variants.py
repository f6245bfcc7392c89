"""What a bench plays side by side, and in which order. Pure.

A variant is the configuration with some settings changed. All variants play every caller, taking
turns, so that whatever slows the machine down for a while falls on all of them alike.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.choice import guard_is_on
from voicebot.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicebot.config import Settings

__all__ = ["PLAIN", "Play", "Variant", "engine_settings", "parse_variants", "play_schedule"]

_KEY = r"[a-z_]+(?:\.[a-z_0-9]+)*"
_BETWEEN_ASSIGNMENTS = re.compile(rf",(?={_KEY}=)")
_NAMED = re.compile(rf"(?P<name>[^:=]+):(?P<rest>{_KEY}=.*)", re.DOTALL)
_UNSAFE = re.compile(r"[^A-Za-z0-9._=+-]+")
_LONGEST_NAME = 80
_NOT_VARIED = ("bench.", "models.")


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to play.

    Attributes:
        name: for tables; also the name of its folder.
        assignments: ``key=value`` each, on top of the configuration.
    """

    name: str
    assignments: tuple[str, ...] = ()


PLAIN = Variant("plain")
"""The configuration as it is."""


@dataclass(frozen=True, slots=True)
class Play:
    """One caller played to one variant, both by their index."""

    caller: int
    variant: int


def parse_variants(texts: Sequence[str]) -> list[Variant]:
    """The plain configuration and a variant for each text, ``[NAME:]KEY=VALUE[,KEY=VALUE…]``.

    A comma parts two settings only if it is followed by a key and ``=``; others belong to a value.

    Raises:
        ConfigError: a text is of another form, changes what cannot differ within a run, or has
            the name of an earlier one.
    """
    variants = [PLAIN]
    for text in texts:
        variant = _parsed(text)
        if any(variant.name == other.name for other in variants):
            raise ConfigError(
                f"two variants are called {variant.name}", "name one, as in --vary NAME:KEY=VALUE"
            )
        variants.append(variant)
    return variants


def engine_settings(settings: Settings) -> str:
    """What decides on the engines of a variant, as text: with the same, variants share them."""
    sections = {"profile", "language", "asr", "llm", "tts", "models", "knowledge", "guard"}
    if guard_is_on(settings):
        sections.add("reply")  # The guard stands around the language model, and cuts as replies do.
    engines = settings.model_dump_json(include=sections)
    return f"{engines} {settings.reply.stage_timeout_s}"


def play_schedule(callers: int, variants: int, seed: int) -> list[Play]:
    """Every caller once for every variant, in rounds in which each variant plays one caller.

    Variants that share a language model would find the caller's words in its cache if another one
    had just played them. So in each round every variant has a caller of its own, a few callers
    apart, and no caller comes twice in a row (as far as there are enough of them). The order of
    the variants within a round changes so that each is as often first as last; the seed decides.
    """
    chance = random.Random(seed)  # noqa: S311 - an order, not a secret
    apart = 2 if callers > 2 * variants else 1
    schedule: list[Play] = []
    orders: list[list[int]] = []
    for round_ in range(callers):
        if not orders:
            order = list(range(variants))
            chance.shuffle(order)
            orders = [order[cut:] + order[:cut] for cut in range(variants)]
            chance.shuffle(orders)
        plays = [Play((round_ + apart * index) % callers, index) for index in orders.pop()]
        if schedule and plays[0].caller == schedule[-1].caller:
            plays.append(plays.pop(0))
        schedule += plays
    return schedule


def _parsed(text: str) -> Variant:
    named = _NAMED.fullmatch(text.strip())
    assignments = tuple(_BETWEEN_ASSIGNMENTS.split(named["rest"] if named else text.strip()))
    for assignment in assignments:
        key, equals, _ = assignment.partition("=")
        if not equals:
            raise ConfigError(
                f"--vary {text} changes no setting", "write --vary KEY=VALUE[,KEY=VALUE]"
            )
        if key.startswith(_NOT_VARIED):
            raise ConfigError(
                f"{key} cannot differ between the variants of a run", "set it for all with --set"
            )
    name = _UNSAFE.sub("-", named["name"].strip() if named else "+".join(assignments))
    name = name.strip(".-")[:_LONGEST_NAME]
    if not name:
        raise ConfigError(f"--vary {text} has no usable name", "name it in letters and digits")
    return Variant(name, assignments)

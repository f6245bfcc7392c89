"""Runs that were made at different times, held side by side.

Two runs can be compared if they played the same callers on the same machine. Anything else may be
put side by side, but a difference then has more than one cause, and whoever asks for it must say
that they know.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.bench.record import Run, read_run
from voicebot.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["StoredRun", "changed_settings", "obstacles", "read_runs"]

_RUN_NAME = "run.json"
_LEAST_RUNS = 2
_SHOWN_CALLERS = 3
# Where a run is written and what it is called changes nothing of what it measures.
_OF_NO_EFFECT = frozenset({"bench.out_dir", "models.dir"})


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run that was read from a file, and its short name."""

    name: str
    run: Run


def read_runs(paths: Sequence[Path]) -> list[StoredRun]:
    """Read runs, each from its ``run.json`` or from the folder that holds one.

    Each is named after its folder; a name that comes twice gets a number.

    Raises:
        ConfigError: fewer than two.
        VoicebotError: one is missing, unreadable, not JSON, or not a run.
    """
    if len(paths) < _LEAST_RUNS:
        raise ConfigError("one run cannot be compared", "give two or more")
    seen: Counter[str] = Counter()
    runs = []
    for path in paths:
        file = path / _RUN_NAME if path.is_dir() else path
        name = file.resolve().parent.name if file.name == _RUN_NAME else file.stem
        seen[name] += 1
        label = name if seen[name] == 1 else f"{name} ({seen[name]})"
        runs.append(StoredRun(label, read_run(file)))
    return runs


def obstacles(runs: Sequence[StoredRun]) -> tuple[str, ...]:
    """Why the others cannot fairly be held against the first, a sentence each."""
    first, *others = runs
    found = [f"{each.name} was ended early" for each in runs if each.run.partial]
    for other in others:
        found += _differences_of_host(first, other)
        found += _differences_of_scenario(first, other)
        found += _differences_of_callers(first, other)
    return tuple(found)


def changed_settings(first: Run, other: Run) -> tuple[str, ...]:
    """The settings in which ``other`` differs, as ``key=value`` with its own values."""
    before, after = _flat(first.meta.config), _flat(other.meta.config)
    changed = [
        f"{key}={_shown(after.get(key))}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key) and key not in _OF_NO_EFFECT
    ]
    if first.meta.commit != other.meta.commit:
        changed.append(f"commit={(other.meta.commit or 'unknown')[:10]}")
    if first.meta.profile != other.meta.profile and not any(
        each.startswith("profile=") for each in changed
    ):
        changed.append(f"profile={other.meta.profile}")
    packages, others = first.meta.packages, other.meta.packages
    changed += [
        f"{name}={others.get(name, 'not installed')}"
        for name in sorted(packages.keys() | others.keys())
        if packages.get(name) != others.get(name)
    ]
    return tuple(changed)


def _differences_of_host(first: StoredRun, other: StoredRun) -> list[str]:
    one, two = first.run.meta.host, other.run.meta.host
    facts = (
        ("processor", one.cpu, two.cpu),
        ("cores", one.cores, two.cores),
        ("memory in GiB", one.memory_gib, two.memory_gib),
        ("system", one.os, two.os),
        ("Python", one.python, two.python),
    )
    return [
        f"{first.name} and {other.name} ran on different machines: {what} {before} and {after}"
        for what, before, after in facts
        if before != after
    ]


def _differences_of_scenario(first: StoredRun, other: StoredRun) -> list[str]:
    before, after = _scenario(first.run), _scenario(other.run)
    if before == after:
        return []
    return [f"{first.name} played {before}, {other.name} {after}"]


def _scenario(run: Run) -> str:
    scenario = run.meta.scenario
    if scenario is None:
        return "a folder of callers"
    arrivals = scenario.arrivals_per_minute
    return f"the scenario {scenario.name}, {scenario.at_once} at once" + (
        f", {arrivals:g} arrivals a minute" if arrivals is not None else ""
    )


def _differences_of_callers(first: StoredRun, other: StoredRun) -> list[str]:
    one, two = _played(first.run), _played(other.run)
    names, other_names = _names(one), _names(two)
    only = [f"{name} only in {first.name}" for name in sorted((names - other_names).keys())]
    only += [f"{name} only in {other.name}" for name in sorted((other_names - names).keys())]
    found = []
    if only:
        found.append(f"{first.name} and {other.name} played different callers: {_some(only)}")
    # Those of a name that both have, whose kind or speech is labelled otherwise.
    relabelled = sorted({clip.name for clip in (one - two) if clip.name in _names(two - one)})
    if relabelled:
        found.append(f"{first.name} and {other.name} label differently: {_some(relabelled)}")
    return found


@dataclass(frozen=True, slots=True)
class _PlayedClip:
    """A clip as it was played: its kind says what it was made into, its speech where it ends."""

    name: str
    kind: str
    speech_ms: tuple[tuple[int, int], ...]


def _played(run: Run) -> Counter[_PlayedClip]:
    return Counter(
        _PlayedClip(
            f"{turn.conversation}/{turn.caller}" if turn.conversation else turn.caller,
            turn.kind,
            tuple((round(1000 * start), round(1000 * end)) for start, end in turn.speech),
        )
        for turn in run.turns
    )


def _names(played: Counter[_PlayedClip]) -> Counter[str]:
    names: Counter[str] = Counter()
    for clip, count in played.items():
        names[clip.name] += count
    return names


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _SHOWN_CALLERS} more" if len(texts) > _SHOWN_CALLERS else ""
    return ", ".join(texts[:_SHOWN_CALLERS]) + more


def _flat(config: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _shown(value: object) -> str:
    return "none" if value is None else str(value)

"""Where settings come from: defaults < TOML file < environment < flags.

Merged by hand rather than by pydantic-settings: that package gives no origin of a value, ignores
environment variables it does not know, and would be one more dependency for what are a few loops
over flat dictionaries here. Each source becomes a mapping from dotted key to a value and its
origin; later sources replace earlier ones; the result is validated once.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
from pydantic import TypeAdapter, ValidationError

from voicebot.config import ORDER_ERROR, Settings, setting_specs, settings_by_key
from voicebot.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from voicebot.config import SettingSpec

__all__ = [
    "CONFIG_FILE_NAME",
    "CONFIG_VARIABLE",
    "MODELS_VARIABLE",
    "LoadedSettings",
    "load_settings",
    "override_assignments",
    "override_setting",
]

CONFIG_FILE_NAME = "voicebot.toml"
"""The file that is looked for in the working directory."""

CONFIG_VARIABLE = "VOICEBOT_CONFIG"
"""The environment variable that names the configuration file."""

MODELS_VARIABLE = "VOICEBOT_MODELS"
"""The environment variable that names the folder of models; a short form of ``models.dir``."""

_VARIABLE_PREFIX = "VOICEBOT_"
_LONGEST_SHOWN_VALUE = 60


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The effective settings and where each came from.

    Attributes:
        settings: validated.
        origins: every dotted key, mapped to ``default``, ``file PATH``, ``environment NAME`` or
            ``flag NAME``.
    """

    settings: Settings
    origins: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Given:
    """A value and the source that gave it."""

    value: object
    origin: str


def load_settings(
    *,
    config_file: Path | None = None,
    profile: str | None = None,
    assignments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    working_dir: Path | None = None,
    user_config_dir: Path | None = None,
) -> LoadedSettings:
    """Merge every source and validate the result.

    Of the files only the first that is found is read: ``config_file``, the one that
    VOICEBOT_CONFIG names, ``voicebot.toml`` in the working directory, ``config.toml`` in the
    user's configuration folder.

    Args:
        config_file: what ``--config`` gave.
        profile: what ``--profile`` gave; outranks an assignment.
        assignments: what each ``--set`` gave, as ``key=value``; a later one outranks an earlier.
        environment: instead of the process's own.
        working_dir: instead of the process's own.
        user_config_dir: instead of the platform's own for voicebot.

    Raises:
        ConfigError: a file cannot be read or is not TOML; a key is unknown; a value is of the
            wrong type, out of range or contradicts another.
    """
    environment = os.environ if environment is None else environment
    working_dir = Path() if working_dir is None else working_dir
    if user_config_dir is None:
        user_config_dir = platformdirs.user_config_path("voicebot", appauthor=False)
    specs = setting_specs()
    given: dict[str, _Given] = {}
    given |= _from_first_file(specs, config_file, environment, working_dir, user_config_dir)
    given |= _from_environment(specs, environment)
    given |= _from_assignments(specs, assignments)
    if profile is not None:
        given["profile"] = _Given(profile, "flag --profile")
    return _validated(specs, given)


def override_setting(
    loaded: LoadedSettings, key: str, value: object, *, origin: str
) -> LoadedSettings:
    """Replace one value, as a subcommand's own flag does.

    Args:
        loaded: what holds otherwise.
        key: a dotted key of the schema.
        value: of the setting's own type; a path may be text.
        origin: what to name as its source, such as ``flag --seed``.

    Raises:
        ConfigError: the value is of the wrong type, out of range or contradicts another.
    """
    given = {
        other_key: _Given(other_value, loaded.origins[other_key])
        for other_key, other_value in settings_by_key(loaded.settings).items()
    }
    given[key] = _Given(value, origin)
    return _validated(setting_specs(), given)


def override_assignments(loaded: LoadedSettings, assignments: Sequence[str]) -> LoadedSettings:
    """Apply ``key=value`` texts, as ``--set`` behind a subcommand does.

    Raises:
        ConfigError: a key is unknown, or a value of the wrong type or out of range.
    """
    specs = setting_specs()
    given = {
        key: _Given(value, loaded.origins[key])
        for key, value in settings_by_key(loaded.settings).items()
    }
    given |= _from_assignments(specs, assignments)
    return _validated(specs, given)


# --- the file -----------------------------------------------------------------------------------


def _from_first_file(
    specs: Mapping[str, SettingSpec],
    config_file: Path | None,
    environment: Mapping[str, str],
    working_dir: Path,
    user_config_dir: Path,
) -> dict[str, _Given]:
    if config_file is not None:
        return _from_named_file(specs, config_file, "--config")
    if environment.get(CONFIG_VARIABLE):
        return _from_named_file(specs, Path(environment[CONFIG_VARIABLE]), CONFIG_VARIABLE)
    for path in (working_dir / CONFIG_FILE_NAME, user_config_dir / "config.toml"):
        try:
            return _from_file(specs, path)
        except (FileNotFoundError, NotADirectoryError):
            continue
    return {}


def _from_named_file(
    specs: Mapping[str, SettingSpec], path: Path, named_by: str
) -> dict[str, _Given]:
    try:
        return _from_file(specs, path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError(
            f"the configuration file {path} that {named_by} names does not exist",
            "check the path, or leave it out to use the defaults",
        ) from error


def _from_file(specs: Mapping[str, SettingSpec], path: Path) -> dict[str, _Given]:
    """Read one file.

    Raises:
        FileNotFoundError: there is none.
        NotADirectoryError: a file stands where one of its folders should be.
        ConfigError: it cannot be used.
    """
    # Not left to the reading: Windows reports a folder as a lack of permission.
    try:
        if path.is_dir():
            raise ConfigError(
                f"the configuration {path} is a folder", "name the TOML file inside it"
            )
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ConfigError(
            f"the configuration file {path} cannot be read ({reason})",
            "make it readable or name another one with --config",
        ) from error
    try:
        # Editors on Windows begin UTF-8 files with a byte order mark, which TOML does not know.
        table = tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"the configuration file {path} is not UTF-8 text (at line {line})",
            "save it as UTF-8",
        ) from error
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ConfigError(
            f"the configuration file {path} is not valid TOML: {reason}",
            "correct that line; text needs quotes, sections look like [turns]",
        ) from error
    return _from_table(specs, table, f"file {path}")


def _from_table(
    specs: Mapping[str, SettingSpec], table: Mapping[str, Any], origin: str
) -> dict[str, _Given]:
    sections = {spec.section for spec in specs.values()} - {""}
    given: dict[str, _Given] = {}
    for name, value in table.items():
        if name in specs:
            given[name] = _Given(value, origin)
        elif name not in sections:
            candidates = sections if isinstance(value, dict) else [*specs, *sections]
            raise _unknown(
                name, origin, candidates, what="section" if isinstance(value, dict) else "setting"
            )
        elif not isinstance(value, dict):
            raise ConfigError(
                f"{name} = {_shown(value)} ({origin}) is a section, not a setting",
                f"write [{name}] and the settings below it",
            )
        else:
            for inner_name, inner_value in value.items():
                key = f"{name}.{inner_name}"
                if key not in specs:
                    raise _unknown(key, origin, specs)
                given[key] = _Given(inner_value, origin)
    return given


# --- the environment and flags ------------------------------------------------------------------


def _from_environment(
    specs: Mapping[str, SettingSpec], environment: Mapping[str, str]
) -> dict[str, _Given]:
    by_name = {spec.environment_name: spec for spec in specs.values()}
    given: dict[str, _Given] = {}
    if environment.get(MODELS_VARIABLE):
        given["models.dir"] = _Given(environment[MODELS_VARIABLE], f"environment {MODELS_VARIABLE}")
    for name, text in environment.items():
        if not name.startswith(_VARIABLE_PREFIX) or name in (CONFIG_VARIABLE, MODELS_VARIABLE):
            continue
        origin = f"environment {name}"
        if name not in by_name:
            raise _unknown(
                name, "environment", [*by_name, CONFIG_VARIABLE, MODELS_VARIABLE], what="variable"
            )
        given[by_name[name].key] = _Given(_parsed(by_name[name], text, origin), origin)
    return given


def _from_assignments(
    specs: Mapping[str, SettingSpec], assignments: Iterable[str]
) -> dict[str, _Given]:
    origin = "flag --set"
    given: dict[str, _Given] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        key = key.strip()
        if not equals:
            raise ConfigError(
                f"--set {_shown(assignment)} has no value",
                "write --set key=value, such as --set turns.soft_end_ms=120",
            )
        if key not in specs:
            raise _unknown(key, origin, specs)
        given[key] = _Given(_parsed(specs[key], text, origin), origin)
    return given


def _parsed(spec: SettingSpec, text: str, origin: str) -> object:
    """The value that ``text`` stands for; its range is checked later, with everything else."""
    if spec.optional and text.strip().lower() in ("", "none"):
        return None
    if spec.value_type not in (bool, int, float):
        return text
    try:
        return TypeAdapter(spec.value_type).validate_python(text.strip(), strict=False)
    except ValidationError as error:
        raise ConfigError(
            f"{spec.key} = {_shown(text)} ({origin}) is not {_kind(spec)}",
            f"give {spec.expected}",
        ) from error


# --- validation ---------------------------------------------------------------------------------


def _validated(specs: Mapping[str, SettingSpec], given: Mapping[str, _Given]) -> LoadedSettings:
    nested: dict[str, Any] = {}
    for key, one in given.items():
        section, _, name = key.rpartition(".")
        (nested.setdefault(section, {}) if section else nested)[name] = one.value
    try:
        settings = Settings.model_validate(nested)
    except ValidationError as error:
        raise _refusal(specs, given, error) from error
    origins = {key: given[key].origin if key in given else "default" for key in specs}
    return LoadedSettings(settings, origins)


def _refusal(
    specs: Mapping[str, SettingSpec], given: Mapping[str, _Given], error: ValidationError
) -> ConfigError:
    """The first thing pydantic found, with the source it came from."""
    first = error.errors(include_url=False)[0]
    if first["type"] == ORDER_ERROR:
        section = str(first["loc"][0])
        lower, higher = (
            f"{section}.{first['ctx']['lower']}",
            f"{section}.{first['ctx']['higher']}",
        )
        return ConfigError(
            f"{_described(specs, given, lower)} must not exceed {_described(specs, given, higher)}",
            f"lower {lower} or raise {higher}",
        )
    key = next(
        dotted
        for length in (2, 1)
        if (dotted := ".".join(str(part) for part in first["loc"][:length])) in specs
    )
    spec = specs[key]
    described = _described(specs, given, key)
    if first["type"] in ("greater_than_equal", "less_than_equal", "finite_number"):
        return ConfigError(f"{described} is out of range", f"give {spec.expected}")
    value = given[key].value
    if str(first["type"]).startswith("string_") and "ctx" in first:
        return _text_refusal(described, spec, first["type"], first["ctx"])
    if spec.choices and isinstance(value, str):
        return ConfigError(
            f"{described} is not known", _suggestion(value, spec.choices) or f"give {spec.expected}"
        )
    return ConfigError(f"{described} is not {_kind(spec)}", f"give {spec.expected}")


def _text_refusal(
    described: str, spec: SettingSpec, kind: str, limits: Mapping[str, Any]
) -> ConfigError:
    if kind == "string_too_short":
        return ConfigError(f"{described} must not be empty", f"give {spec.expected}")
    if kind == "string_too_long":
        return ConfigError(
            f"{described} is too long", f"give at most {limits['max_length']} characters"
        )
    return ConfigError(
        f"{described} has characters that are not allowed", f"it must match {limits['pattern']}"
    )


def _described(specs: Mapping[str, SettingSpec], given: Mapping[str, _Given], key: str) -> str:
    one = given.get(key, _Given(specs[key].default, "default"))
    return f"{key} = {_shown(one.value)} ({one.origin})"


def _kind(spec: SettingSpec) -> str:
    """What its values are, without their range."""
    words = {bool: "true or false", int: "a whole number", float: "a number", Path: "a path"}
    return words.get(spec.value_type, "text")


def _shown(value: object) -> str:
    """A value as a user would write it, on one line and not too long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    if len(text) > _LONGEST_SHOWN_VALUE:
        text = text[: _LONGEST_SHOWN_VALUE - 1] + "…"
    return text


def _unknown(
    name: str, origin: str, candidates: Iterable[str], *, what: str = "setting"
) -> ConfigError:
    shown = name if name.replace(".", "_").isidentifier() else _shown(name)
    return ConfigError(
        f"unknown {what} {shown} ({origin})",
        _suggestion(name, candidates) or "`voicebot config` lists every setting",
    )


def _suggestion(name: str, candidates: Iterable[str]) -> str:
    """The known name that looks most like it; empty if none does."""
    names = sorted(set(candidates))
    closest = difflib.get_close_matches(name.lower(), [n.lower() for n in names], n=1, cutoff=0.6)
    if not closest:
        # soft_end_ms without its section, or in another one
        last = name.rpartition(".")[2].lower()
        same = [n for n in names if n.lower().rpartition(".")[2] == last]
        return f"did you mean {same[0]}?" if same else ""
    return f"did you mean {next(n for n in names if n.lower() == closest[0])}?"

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from voicebot.cli.config import settings_as_json, settings_as_toml
from voicebot.config import Settings, TurnsSettings, setting_specs, settings_by_key
from voicebot.config_sources import LoadedSettings, load_settings, override_setting
from voicebot.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SPECS = setting_specs()


@dataclasses.dataclass
class Places:
    """Two empty folders in which files are looked for."""

    working_dir: Path
    user_config_dir: Path

    def load(
        self,
        file_text: str | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        assignments: Sequence[str] = (),
        config_file: Path | None = None,
        profile: str | None = None,
    ) -> LoadedSettings:
        if file_text is not None:
            (self.working_dir / "voicebot.toml").write_text(file_text, encoding="utf-8")
        return load_settings(
            config_file=config_file,
            profile=profile,
            environment=environment or {},
            assignments=assignments,
            working_dir=self.working_dir,
            user_config_dir=self.user_config_dir,
        )


@pytest.fixture
def places(tmp_path: Path) -> Places:
    working_dir, user_config_dir = tmp_path / "work", tmp_path / "user"
    working_dir.mkdir()
    user_config_dir.mkdir()
    return Places(working_dir, user_config_dir)


def test_no_source_gives_the_defaults(places: Places) -> None:
    loaded = places.load()
    assert loaded.settings == Settings()
    assert set(loaded.origins) == set(SPECS)
    assert set(loaded.origins.values()) == {"default"}


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().turns.onset_ms = 1  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Settings().profile = "auto"  # type: ignore[misc]


@pytest.mark.parametrize("key", SPECS)
def test_every_setting_is_described_and_every_number_has_a_range(key: str) -> None:
    spec = SPECS[key]
    assert spec.description.endswith(".")
    if spec.value_type in (int, float):
        assert spec.minimum is not None
        assert spec.maximum is not None
        if spec.default is None:
            assert spec.optional
            return
        assert isinstance(spec.default, (int, float))
        assert spec.minimum <= spec.default <= spec.maximum


# --- which file ---------------------------------------------------------------------------------


def test_only_the_first_file_that_is_found_is_read(places: Places, tmp_path: Path) -> None:
    files = {
        "named by --config": tmp_path / "flag.toml",
        "named by the environment": tmp_path / "variable.toml",
        "in the working directory": places.working_dir / "voicebot.toml",
        "in the user's folder": places.user_config_dir / "config.toml",
    }
    for seed, path in enumerate(files.values()):
        path.write_text(f"[bench]\nseed = {seed}\n", encoding="utf-8")
    flag, variable, here, user = files.values()
    found = places.load(config_file=flag, environment={"VOICEBOT_CONFIG": str(variable)})
    assert (found.settings.bench.seed, found.origins["bench.seed"]) == (0, f"file {flag}")
    found = places.load(environment={"VOICEBOT_CONFIG": str(variable)})
    assert (found.settings.bench.seed, found.origins["bench.seed"]) == (1, f"file {variable}")
    found = places.load()
    assert (found.settings.bench.seed, found.origins["bench.seed"]) == (2, f"file {here}")
    here.unlink()
    found = places.load(environment={"VOICEBOT_CONFIG": ""})
    assert (found.settings.bench.seed, found.origins["bench.seed"]) == (3, f"file {user}")


def test_a_missing_user_folder_is_no_error(places: Places) -> None:
    places.user_config_dir.rmdir()
    places.user_config_dir.write_text("a file where the folder should be", encoding="utf-8")
    assert places.load().settings == Settings()


def test_a_byte_order_mark_and_windows_line_ends_are_read(places: Places) -> None:
    (places.working_dir / "voicebot.toml").write_bytes(b'\xef\xbb\xbfprofile = "embedded"\r\n')
    assert places.load().settings.profile == "embedded"


# --- which source wins --------------------------------------------------------------------------


@settings(deadline=None)
@given(sources=st.sets(st.sampled_from(["file", "environment", "flag"])))
def test_the_highest_source_wins_and_is_named(
    sources: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("sources")
    path = folder / "voicebot.toml"
    if "file" in sources:
        path.write_text("[turns]\nsoft_end_ms = 101\n", encoding="utf-8")
    variable = "VOICEBOT_TURNS__SOFT_END_MS"
    loaded = load_settings(
        environment={variable: "102"} if "environment" in sources else {},
        assignments=["turns.soft_end_ms=103"] if "flag" in sources else [],
        working_dir=folder,
        user_config_dir=folder / "none",
    )
    expected = (64, "default")
    if "file" in sources:
        expected = (101, f"file {path}")
    if "environment" in sources:
        expected = (102, f"environment {variable}")
    if "flag" in sources:
        expected = (103, "flag --set")
    assert (loaded.settings.turns.soft_end_ms, loaded.origins["turns.soft_end_ms"]) == expected
    assert loaded.origins["turns.sure_wait_ms"] == "default"


def test_profile_outranks_an_assignment_and_the_last_assignment_wins(places: Places) -> None:
    loaded = places.load(
        profile="embedded", assignments=["profile=auto", "bench.seed=1", "bench.seed=2"]
    )
    assert loaded.settings.profile == "embedded"
    assert loaded.origins["profile"] == "flag --profile"
    assert loaded.settings.bench.seed == 2


def test_the_short_variable_for_models_gives_way_to_the_long_one(places: Places) -> None:
    short = {"VOICEBOT_MODELS": "/a"}
    loaded = places.load(environment=short)
    assert loaded.settings.models.dir == Path("/a")
    assert loaded.origins["models.dir"] == "environment VOICEBOT_MODELS"
    loaded = places.load(environment={"VOICEBOT_MODELS__DIR": "/b", **short})
    assert loaded.settings.models.dir == Path("/b")
    assert loaded.origins["models.dir"] == "environment VOICEBOT_MODELS__DIR"


# --- text from the environment and flags --------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("models.offline", "true", True),
        ("models.offline", "No", False),
        ("models.offline", "1", True),
        ("models.offline", " off ", False),
        ("bench.seed", "12", 12),
        ("bench.turn_gap_s", "2", 2.0),
        ("bench.turn_gap_s", "0.25", 0.25),
        ("bench.out_dir", "a b/c", Path("a b/c")),
        ("bench.out_dir", "~/runs", Path.home() / "runs"),
        ("bench.callers_dir", "callers", Path("callers")),
        ("bench.callers_dir", "none", None),
        ("bench.callers_dir", "", None),
        ("audio.input", "7", "7"),
        ("audio.input", "none", "none"),
        ("audio.input", "", ""),
        ("llm.system_prompt", "a = b", "a = b"),
        ("profile", "embedded", "embedded"),
    ],
)
def test_text_is_parsed_by_the_type_of_the_setting(
    places: Places, key: str, text: str, value: object
) -> None:
    by_variable = places.load(environment={SPECS[key].environment_name: text})
    by_flag = places.load(assignments=[f"{key}={text}"])
    for loaded in (by_variable, by_flag):
        found = settings_by_key(loaded.settings)[key]
        assert found == value
        assert type(found) is type(value)


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file_text", "parts"),
    [
        ("[turns]\nsoft_end = 1", ["turns.soft_end", "did you mean turns.soft_end_ms?"]),
        ("[turn]\nx = 1", ["unknown section turn ", "did you mean turns?"]),
        ("soft_end_ms = 1", ["soft_end_ms", "did you mean turns.soft_end_ms?"]),
        ("qqqq = 1", ["unknown setting qqqq", "voicebot config"]),
        ('"a\\u001b[31m\\nb" = 1', ['"a\\u001b[31m\\nb"']),
        ("turns = 3", ["turns = 3", "[turns]"]),
        ("[[turns]]", ["section", "[turns]"]),
        ("[profile]", ["profile = {}", "auto or embedded"]),
        ('profile = "embeded"', ['"embeded"', "did you mean embedded?"]),
        ('[turns]\nsoft_end_ms = "120"', ['"120"', "not a whole number", "from 32 to 2000"]),
        ("[turns]\nsoft_end_ms = 120.0", ["120.0", "not a whole number"]),
        ("[turns]\nsoft_end_ms = true", ["true", "not a whole number"]),
        ("[turns]\nsoft_end_ms = 1", ["= 1 ", "out of range", "from 32 to 2000"]),
        ("[turns]\nsoft_end_ms = 99999999999999999999999", ["give a whole number from 32"]),
        ("[turns]\nspeech_threshold = nan", ["NaN", "a number from 0 to 1"]),
        ("[turns]\nspeech_threshold = 1.01", ["1.01", "out of range", "from 0 to 1"]),
        ("[turns]\nsoft_end_ms = 2026-01-01", ["2026-01-01", "not a whole number"]),
        ("[models]\noffline = 1", ["not true or false", "give true or false"]),
        ("[models]\ndir = 1", ["not a path"]),
        ('[models]\ndir = ""', ["not a path"]),
        ('[models]\ndir = "~nobody-is-called-this/x"', ["~nobody", "not a path"]),
        ('[models]\ndir = "a\\u0000b"', ["not a path"]),
        ("[audio]\ninput = 3", ["audio.input = 3", "not text"]),
        ('language = "xx"', ["language", '"xx"', "not known", "give en or de or es or fr"]),
        ("language = 3", ["language = 3", "not text"]),
        ('[llm]\nsystem_prompt = "' + "x" * 20_001 + '"', ["too long", "20000"]),
        (
            '[turns]\nrule = "plain"\nsoft_end_ms = 300',
            ["soft_end_ms = 300", "sure_wait_ms = 200 (default)"],
        ),
        (
            "[turns]\nsoft_end_ms = 1400",
            ["soft_end_ms = 1400", "longest_wait_ms = 1300 (default)"],
        ),
        ("[turns]\nsoft_end_ms = = 3", ["not valid TOML", "line 2"]),
        ("[turns]\nonset_ms = 64\nonset_ms = 65\n", ["not valid TOML", "line 3"]),
        ("x = " + "[" * 9_000, ["not valid TOML"]),
        ("x = " + "9" * 5_000, ["not valid TOML"]),
    ],
)
def test_a_bad_file_is_one_clear_line_that_names_it(
    places: Places, file_text: str, parts: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        places.load(file_text)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 400 + len(str(places.working_dir))
    assert str(places.working_dir / "voicebot.toml") in line
    for part in parts:
        assert part in line
    assert caught.value.way_out
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("environment", "parts"),
    [
        ({"VOICEBOT_TURNS__SOFT_END": "1"}, ["did you mean VOICEBOT_TURNS__SOFT_END_MS?"]),
        ({"VOICEBOT_PROFIL": "auto"}, ["did you mean VOICEBOT_PROFILE?"]),
        ({"VOICEBOT_CONFG": "x"}, ["did you mean VOICEBOT_CONFIG?"]),
        ({"VOICEBOT_": ""}, ["unknown variable VOICEBOT_ "]),
        ({"VOICEBOT_BENCH__SEED": "one"}, ['"one"', "VOICEBOT_BENCH__SEED", "a whole number"]),
        ({"VOICEBOT_BENCH__SEED": ""}, ['""', "VOICEBOT_BENCH__SEED"]),
        ({"VOICEBOT_BENCH__SEED": "-1"}, ["out of range", "VOICEBOT_BENCH__SEED", "from 0 to"]),
        ({"VOICEBOT_BENCH__TURN_GAP_S": "inf"}, ["VOICEBOT_BENCH__TURN_GAP_S", "from 0 to 60"]),
        ({"VOICEBOT_MODELS__OFFLINE": "maybe"}, ['"maybe"', "give true or false"]),
        ({"VOICEBOT_PROFILE": "gpu9"}, ['"gpu9"', "did you mean gpu?"]),
    ],
)
def test_a_bad_variable_is_one_clear_line_that_names_it(
    places: Places, environment: dict[str, str], parts: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        places.load(environment=environment)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("assignment", "parts"),
    [
        ("turns.soft_end_ms", ["has no value", "key=value"]),
        ("turns.soft_end=1", ["(flag --set)", "did you mean turns.soft_end_ms?"]),
        ("=1", ["unknown setting"]),
        ("turns.soft_end_ms=x", ["(flag --set)", '"x"', "a whole number from 32 to 2000"]),
        ("turns.sure_probability=0.2", ["likely_probability = 0.5 (default)", "0.2 (flag --set)"]),
    ],
)
def test_a_bad_assignment_is_one_clear_line(
    places: Places, assignment: str, parts: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        places.load(assignments=[assignment])
    for part in parts:
        assert part in str(caught.value)


def test_a_named_file_must_be_there(places: Places, tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    with pytest.raises(ConfigError, match=r"missing\.toml that --config names does not exist"):
        places.load(config_file=missing)
    with pytest.raises(ConfigError, match="that VOICEBOT_CONFIG names does not exist"):
        places.load(environment={"VOICEBOT_CONFIG": str(missing)})


def test_a_folder_is_no_file(places: Places, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        places.load(config_file=tmp_path)


def test_a_file_that_cannot_be_read_is_refused(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not by chmod: a test that runs as root may read everything.
    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ConfigError, match=r"cannot be read \(Permission denied\)"):
        places.load("")


def test_a_file_that_is_not_utf_8_is_refused_with_its_line(places: Places) -> None:
    (places.working_dir / "voicebot.toml").write_bytes(b'\n[audio]\ninput = "\xe4"\n')
    with pytest.raises(ConfigError, match=r"not UTF-8 text \(at line 3\)"):
        places.load()


@pytest.mark.parametrize(
    "changes",
    [
        {"silence_threshold": 0.6},
        {"soft_end_ms": 1301},
        {"rule": "plain", "soft_end_ms": 201},
        {"sure_wait_ms": 501},
        {"likely_wait_ms": 1201},
        {"likely_probability": 0.95},
    ],
)
def test_settings_of_turns_must_not_contradict_each_other(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="must not exceed"):
        TurnsSettings.model_validate(changes)


# --- overriding and writing ---------------------------------------------------------------------


def test_override_replaces_one_value_and_its_origin(places: Places) -> None:
    loaded = places.load(environment={"VOICEBOT_BENCH__TURN_GAP_S": "1"})
    changed = override_setting(loaded, "bench.out_dir", "elsewhere", origin="flag --out")
    assert changed.settings.bench.out_dir == Path("elsewhere")
    assert changed.origins["bench.out_dir"] == "flag --out"
    assert changed.origins["bench.turn_gap_s"] == "environment VOICEBOT_BENCH__TURN_GAP_S"
    assert changed.settings.turns == loaded.settings.turns
    with pytest.raises(ConfigError, match=r"bench\.seed = -1 \(flag --seed\) is out of range"):
        override_setting(loaded, "bench.seed", -1, origin="flag --seed")


_text = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(
    device=_text,
    prompt=_text,
    folder=_text.filter(lambda text: "\0" not in text and not text.startswith("~")),
    threshold=st.floats(0.35, 1.0),
    offline=st.booleans(),
)
@example(device="\x7f\r\n\t\\", prompt='"""', folder="\x7f", threshold=1.0, offline=True)
def test_the_toml_that_is_written_gives_the_same_settings(
    *,
    device: str,
    prompt: str,
    folder: str,
    threshold: float,
    offline: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    values = {
        "audio": {"input": device},
        "llm": {"system_prompt": prompt},
        "models": {"dir": folder, "offline": offline},
        "turns": {"speech_threshold": threshold},
    }
    written = Settings.model_validate(values)
    origins = dict.fromkeys(SPECS, "file /with\na line break")
    path = tmp_path_factory.mktemp("toml") / "voicebot.toml"
    path.write_text(settings_as_toml(written, origins), encoding="utf-8", newline="\n")
    read = load_settings(config_file=path, environment={}).settings
    assert read == written
    assert math.isclose(read.turns.speech_threshold, threshold, rel_tol=0)


def test_the_json_that_is_written_names_every_setting_and_its_origin(places: Places) -> None:
    loaded = places.load(assignments=["bench.seed=4"])
    entries = json.loads(settings_as_json(loaded.settings, loaded.origins))
    assert set(entries) == set(SPECS)
    assert entries["bench.seed"] == {"value": 4, "origin": "flag --set"}
    assert entries["bench.callers_dir"] == {"value": None, "origin": "default"}

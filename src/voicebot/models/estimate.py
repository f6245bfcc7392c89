"""What a model will cost, before it is fetched: download, disk and memory.

A download's size is exact where the table or the hub tells it, else it is reckoned from what the
model's page showed or from its number of weights, and marked. Memory is always reckoned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.errors import ModelFetchError
from voicebot.models.registry import HubSource, LocalSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from voicebot.models.registry import Model
    from voicebot.models.store import ModelStore

__all__ = [
    "Estimate",
    "bytes_in_memory",
    "check_disk",
    "estimate_fetches",
    "readable_bytes",
    "table_estimate",
]

_STORED_BYTES_A_WEIGHT = 2.0
"""Checkpoints on the hub hold sixteen bits a weight."""

_LOADED_BYTES_A_WEIGHT = {
    "faster_whisper": 1.3,  # one byte, and the activations of a window
    "local_llm": 2.2,  # two bytes where no graph of few bits runs it, and the cache
}
_LOADED_SHARE_OF_FILE = {"piper": 2.0}
_WITHOUT_WEIGHTS_BYTES = 60 * 1000**2
"""An engine's own code and buffers, roughly."""

_SPARE_BYTES = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class Estimate:
    """What fetching and loading one model costs.

    Attributes:
        model: its name.
        source: where it comes from, in one word.
        licence: as in the table.
        download_bytes: what is still to be downloaded; None if nothing is known of it.
        is_exact: whether that was told by the table or the hub, not reckoned.
        disk_bytes: the most that it takes on the disk while it is fetched; None if not known.
        memory_bytes: what it takes when it is loaded, roughly; None if not known.
        gated: whether its owner asks for consent first.
    """

    model: str
    source: str
    licence: str
    download_bytes: int | None
    is_exact: bool
    disk_bytes: int | None
    memory_bytes: int | None
    gated: bool = False

    @property
    def size(self) -> str:
        """The download for people to read: ``148 MB``, ``~148 MB``, ``of unknown size``."""
        if self.download_bytes is None:
            return "of unknown size"
        return ("" if self.is_exact else "~") + readable_bytes(self.download_bytes)


def readable_bytes(size_bytes: float) -> str:
    """A size with its unit: ``410 kB``, ``148 MB``, ``3.09 GB``."""
    if size_bytes >= 1e9:  # noqa: PLR2004
        return f"{size_bytes / 1e9:.2f} GB"
    if size_bytes >= 1e6:  # noqa: PLR2004
        return f"{size_bytes / 1e6:.0f} MB"
    return f"{size_bytes / 1e3:.0f} kB"


def table_estimate(model: Model) -> tuple[int | None, bool]:
    """The size of the whole download as the table has it, and whether that is exact."""
    if model.size_bytes is not None:
        return model.size_bytes, True
    if model.shown_bytes is not None:
        return model.shown_bytes, False
    if model.parameters is not None:
        return round(model.parameters * _STORED_BYTES_A_WEIGHT), False
    return None, False


def bytes_in_memory(model: Model, stored_bytes: int | None) -> int | None:
    """What ``model`` takes when it is loaded, roughly; None if nothing is known.

    Args:
        model: the model.
        stored_bytes: the size of its files, if known.
    """
    if (share := _LOADED_SHARE_OF_FILE.get(model.engine)) is not None:
        return None if stored_bytes is None else round(stored_bytes * share)
    each = _LOADED_BYTES_A_WEIGHT.get(model.engine)
    if each is None:
        return None
    weights = model.parameters
    if weights is None and stored_bytes is not None:
        weights = round(stored_bytes / _STORED_BYTES_A_WEIGHT)
    return None if weights is None else _WITHOUT_WEIGHTS_BYTES + round(weights * each)


def estimate_fetches(
    store: ModelStore, names: Iterable[str], *, ask_hub: bool = True
) -> tuple[Estimate, ...]:
    """What fetching ``names`` would cost; those that are here already are left out.

    Args:
        store: the folder of models.
        names: names of models, in any way.
        ask_hub: ask the hub for exact sizes; where it does not answer, the table stands in.

    Raises:
        ConfigError: nothing is called so.
        ModelError: a model named by a path cannot be used, or the hub has something unusable.
    """
    estimates = []
    for name in names:
        if store.is_ready(name):
            continue
        model = store.model(name)
        listed: int | None = None
        if ask_hub and isinstance(model.source, HubSource):
            try:
                listed = _listed_bytes(store, name)
            except ModelFetchError:  # said again, and for good, when it is fetched
                ask_hub = False  # waiting for an answer once is enough
        estimates.append(_estimate(store, model, listed))
    return tuple(estimates)


def check_disk(estimates: Sequence[Estimate], free_bytes: int, folder: str) -> None:
    """Refuse what cannot fit.

    Raises:
        ModelFetchError: the disk is too small for all of ``estimates`` together.
    """
    needed = sum(one.disk_bytes or 0 for one in estimates)
    if estimates and needed + _SPARE_BYTES > free_bytes:
        raise ModelFetchError(
            f"the download needs {readable_bytes(needed)} and {folder} has "
            f"{readable_bytes(free_bytes)} free",
            "free some space, or set another folder with VOICEBOT_MODELS",
        )


def _listed_bytes(store: ModelStore, name: str) -> int | None:
    """What the hub says that ``name`` takes; None if it does not say it of every file."""
    sizes = [file.size_bytes for file in store.listing(name)]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _estimate(store: ModelStore, model: Model, listed_bytes: int | None) -> Estimate:
    whole_bytes, is_exact = table_estimate(model)
    if listed_bytes is not None:
        whole_bytes, is_exact = listed_bytes, True
    memory_bytes = bytes_in_memory(model, whole_bytes)
    if whole_bytes is None or isinstance(model.source, LocalSource):
        rest_bytes, disk_bytes = whole_bytes, None
    else:
        rest_bytes = max(0, whole_bytes - store.fetched_bytes(model.name))
        # A language model's graph of few bits is made beside its weights.
        graph_bytes = whole_bytes // 2 if model.engine == "local_llm" else 0
        disk_bytes = rest_bytes + graph_bytes + model.prepared_size_bytes
    return Estimate(
        model.name,
        model.source.label,
        model.licence,
        rest_bytes,
        is_exact,
        disk_bytes,
        memory_bytes,
        model.gated,
    )

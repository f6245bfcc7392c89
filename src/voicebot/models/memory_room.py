"""Whether what was chosen can be loaded at all, told before anything is loaded.

A library that gets no memory often ends the whole process, without a line to say why. What is
reckoned here is the least that the models take, so that nothing is refused that could work.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.errors import EngineError
from voicebot.models.estimate import readable_bytes, table_estimate
from voicebot.models.registry import LocalSource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voicebot.models.registry import Model

__all__ = ["MemoryRoom", "check_memory_room", "least_bytes", "memory_room"]

_LEAST_BYTES_A_WEIGHT = {"faster_whisper": 1.0, "local_llm": 1.0}  # both run with eight bits
_ENGINES_ADDRESS_BYTES = 600 * 1000**2
"""Address space that the engines' libraries and threads take besides weights, measured as the
growth of a process's virtual size while the embedded profile loads; CTranslate2's comes on top."""

_WHISPER_ADDRESS_BYTES = 350 * 1000**2


@dataclass(frozen=True, slots=True)
class MemoryRoom:
    """What this process can still get.

    Attributes:
        memory_bytes: memory and swap that are free.
        address_bytes: what a limit on the address space (``ulimit -v``) leaves; None without one.
    """

    memory_bytes: int
    address_bytes: int | None


def memory_room() -> MemoryRoom:
    """What this process can get now."""
    import psutil  # noqa: PLC0415 (start-up time)

    with warnings.catch_warnings():  # in a container swap's traffic cannot be told; nobody asks
        warnings.simplefilter("ignore", RuntimeWarning)
        free_bytes = psutil.virtual_memory().available + psutil.swap_memory().free
    try:
        import resource  # noqa: PLC0415 (not on Windows)
    except ImportError:
        return MemoryRoom(free_bytes, None)
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return MemoryRoom(free_bytes, None)
    return MemoryRoom(free_bytes, max(0, limit - psutil.Process().memory_info().vms))


def least_bytes(model: Model) -> int:
    """What the weights of ``model`` take at least when they are loaded; 0 if nothing is known."""
    each = _LEAST_BYTES_A_WEIGHT.get(model.engine)
    if each is not None and model.parameters is not None:
        return round(model.parameters * each)
    if isinstance(model.source, LocalSource):
        stored_bytes = _own_bytes(model, model.source)
    else:
        stored_bytes = table_estimate(model)[0] or 0
    # Checkpoints hold two bytes a weight, and one of them may be dropped; GGUF's hold fewer.
    is_whole = each is not None and not model.entry.endswith(".gguf") and not model.preparation
    return stored_bytes // 2 if is_whole else stored_bytes


def _own_bytes(model: Model, source: LocalSource) -> int:
    """The size of the one file that is loaded, or of the largest in a folder of many."""
    files = (source.path / model.entry,) if model.entry else source.path.iterdir()
    try:
        return max((file.stat().st_size for file in files if file.is_file()), default=0)
    except OSError:  # told when it is loaded
        return 0


def check_memory_room(models: Iterable[Model], room: MemoryRoom) -> None:
    """Refuse what cannot be loaded.

    Args:
        models: all that are loaded together.
        room: what can be had.

    Raises:
        EngineError: there is less than the least that they take.
    """
    wanted = tuple(models)
    weights_bytes = sum(least_bytes(model) for model in wanted)
    names = ", ".join(model.name for model in wanted if least_bytes(model))
    if weights_bytes > room.memory_bytes:
        raise EngineError(
            f"there is not enough memory for {names}: they take at least "
            f"{readable_bytes(weights_bytes)}, and {readable_bytes(room.memory_bytes)} are free",
            "choose smaller models, or close other programs",
        )
    if room.address_bytes is None:
        return
    needed_bytes = weights_bytes + _ENGINES_ADDRESS_BYTES
    if any(model.engine == "faster_whisper" for model in wanted):
        needed_bytes += _WHISPER_ADDRESS_BYTES
    if needed_bytes > room.address_bytes:
        raise EngineError(
            f"this process may not take the memory that {names} and their engines need: about "
            f"{readable_bytes(needed_bytes)}, and its limit leaves "
            f"{readable_bytes(room.address_bytes)}",
            "raise the limit (ulimit -v unlimited), or choose smaller models",
        )

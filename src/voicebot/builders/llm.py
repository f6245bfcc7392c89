"""Building the language model that was chosen."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, cast

from voicebot.choice import is_path
from voicebot.conversation_rules import new_history
from voicebot.errors import ConfigError
from voicebot.tuning import chosen_threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.choice import StageChoice
    from voicebot.config import Settings
    from voicebot.engines.local_llm import NetworkChoice
    from voicebot.engines.protocols import Llm
    from voicebot.models.store import ModelStore

__all__ = ["llm_factory"]


def llm_factory(choice: StageChoice, settings: Settings, store: ModelStore) -> Callable[[], Llm]:
    """How to build the language model; nothing is loaded yet.

    Raises:
        ConfigError: there is no such engine.
        ModelMissingError: its model is not in the store.
    """
    if choice.engine in {"auto", "onnx", "torch", "transformers"}:
        return _local(choice, settings, store)
    raise ConfigError(f"llm.engine = {choice.engine} is not here yet", "choose auto")


def _local(choice: StageChoice, settings: Settings, store: ModelStore) -> Callable[[], Llm]:
    path = store.path(choice.model)
    opening = new_history(settings).messages()

    def build() -> Llm:
        from voicebot.engines.local_llm import LocalLlm  # noqa: PLC0415
        from voicebot.engines.sampling import Sampling  # noqa: PLC0415
        from voicebot.models.local_folder import add_graph, prepared_folder  # noqa: PLC0415

        folder = prepared_folder(path)
        is_own = is_path(choice.model) or folder != path  # not made ready by the store
        if is_own and choice.engine in {"auto", "onnx"} and settings.llm.precision == "int8":
            add_graph(folder)
        engine = LocalLlm.load(
            folder,
            threads=settings.llm.threads or chosen_threads("llm", choice.model) or 1,
            max_tokens=settings.llm.max_tokens,
            precision=settings.llm.precision,
            device=settings.llm.device,
            network=cast("NetworkChoice", choice.engine),
            compiles=settings.llm.compile,
            max_thought_tokens=settings.llm.max_thought_tokens,
            sampling=Sampling(
                temperature=settings.llm.temperature,
                top_p=settings.llm.top_p,
                top_k=settings.llm.top_k,
                min_p=settings.llm.min_p,
                repetition_penalty=settings.llm.repetition_penalty,
                seed=settings.llm.seed if settings.llm.seed >= 0 else secrets.randbits(31),
            ),
            opening_messages=len(opening),
            keep_cache=settings.llm.keep_cache,
        )
        engine.prepare(opening)
        return engine

    return build

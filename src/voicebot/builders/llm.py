"""Building the language model that was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

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

    def build() -> Llm:
        from voicebot.engines.local_llm import LocalLlm  # noqa: PLC0415

        engine = LocalLlm.load(
            path,
            threads=settings.llm.threads or chosen_threads("llm", choice.model) or 1,
            max_tokens=settings.llm.max_tokens,
            precision=settings.llm.precision,
            network=cast("NetworkChoice", choice.engine),
            keep_cache=settings.llm.keep_cache,
        )
        engine.prepare(new_history(settings).messages())
        return engine

    return build

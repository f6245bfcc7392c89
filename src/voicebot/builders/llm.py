"""Building the language model that was chosen."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, cast

from voicebot.builders.fallbacks import fallback_plan
from voicebot.builders.servers import answer_timeout_s, chat_access
from voicebot.choice import is_path
from voicebot.conversation_rules import new_history
from voicebot.errors import ConfigError
from voicebot.fallbacks import FallbackReports
from voicebot.tuning import chosen_threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.choice import StageChoice
    from voicebot.config import Settings
    from voicebot.engines.local_llm import NetworkChoice
    from voicebot.engines.protocols import Llm
    from voicebot.engines.sampling import Sampling
    from voicebot.models.store import ModelStore

__all__ = ["llm_factory"]

_RETRY_BEFORE_FALLBACK_S = 0.5


def llm_factory(
    choice: StageChoice,
    settings: Settings,
    store: ModelStore,
    *,
    fallback: StageChoice | None = None,
    reports: FallbackReports | None = None,
) -> Callable[[], Llm]:
    """How to build the language model and its fallback; nothing is loaded yet.

    Args:
        choice: what does the work.
        settings: how.
        store: the folder of models.
        fallback: what goes on when that fails; None for nothing.
        reports: takes word of it when the fallback takes over.

    Raises:
        ConfigError: there is no such engine, or its server's address is none.
        ModelMissingError: its model is not in the store.
    """
    first = _engine(choice, settings, store, has_fallback=fallback is not None)
    if fallback is None:
        return first
    second = _engine(fallback, settings, store, has_fallback=True)
    plan = fallback_plan("language model", choice, fallback, settings, reports or FallbackReports())

    def build() -> Llm:
        from voicebot.engines.fallback import FallbackLlm  # noqa: PLC0415

        return FallbackLlm(first, second, plan)

    return build


def _engine(
    choice: StageChoice, settings: Settings, store: ModelStore, *, has_fallback: bool
) -> Callable[[], Llm]:
    if choice.engine in {"auto", "onnx", "torch", "transformers"}:
        return _local(choice, settings, store)
    if choice.engine == "openai":
        return _openai(choice, settings, has_fallback=has_fallback)
    raise ConfigError(f"llm.engine = {choice.engine} is not known", "choose auto")


def _local(choice: StageChoice, settings: Settings, store: ModelStore) -> Callable[[], Llm]:
    path = store.path(choice.model)
    opening = new_history(settings).messages()

    def build() -> Llm:
        from voicebot.engines.local_llm import LocalLlm  # noqa: PLC0415
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
            sampling=_sampling(settings),
            opening_messages=len(opening),
            keep_cache=settings.llm.keep_cache,
        )
        engine.prepare(opening)
        return engine

    return build


def _openai(choice: StageChoice, settings: Settings, *, has_fallback: bool) -> Callable[[], Llm]:
    url, variable, api_key = chat_access(settings)

    def build() -> Llm:
        from voicebot.engines.openai_llm import ChatServer, OpenAiLlm  # noqa: PLC0415

        engine = OpenAiLlm(
            ChatServer(
                url,
                variable,
                settings.servers.connect_timeout_s,
                answer_timeout_s(settings, has_fallback=has_fallback),
                _RETRY_BEFORE_FALLBACK_S if has_fallback else float("inf"),
            ),
            model=choice.model,
            api_key=api_key,
            max_tokens=settings.llm.max_tokens,
            reads_ahead=settings.llm.server_reads_ahead,
            sampling=_sampling(settings),
        )
        engine.prepare(new_history(settings).messages(), threading.Event())
        return engine

    return build


def _sampling(settings: Settings) -> Sampling:
    from voicebot.engines.sampling import Sampling  # noqa: PLC0415

    llm = settings.llm
    return Sampling(
        temperature=llm.temperature,
        top_p=llm.top_p,
        top_k=llm.top_k,
        min_p=llm.min_p,
        repetition_penalty=llm.repetition_penalty,
        seed=llm.seed if llm.seed >= 0 else secrets.randbits(31),
    )

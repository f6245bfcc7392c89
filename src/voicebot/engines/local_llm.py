"""The language model: greedy replies, with the conversation so far kept in the model's cache.

Keys and values of all tokens read stay between calls. A new prompt takes over the longest
common prefix and reads only the rest, so that the time to the first token does not grow with
the conversation; ``prepare`` reads ahead while the user still speaks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from voicebot.engines.causal_network import TransformersNetwork
from voicebot.engines.chat_prompt import ChatPrompt, PromptTokens
from voicebot.engines.onnx_network import OnnxNetwork
from voicebot.engines.piece_decoder import PieceDecoder
from voicebot.engines.prefix_cache import repeats_itself, reusable_length
from voicebot.engines.protocols import Message, Prefilled, TextPiece
from voicebot.errors import EngineError, ModelDamagedError, ModelMissingError, ModelUnsafeError
from voicebot.models.llama_shape import LlamaShape
from voicebot.models.model_json import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from voicebot.engines.causal_network import CausalNetwork
    from voicebot.engines.llama_network import Precision
    from voicebot.engines.protocols import StopFlag

__all__ = ["LocalLlm", "NetworkChoice"]

NetworkChoice: TypeAlias = Literal["auto", "onnx", "torch", "transformers"]
"""``auto`` takes the fastest implementation that the model's files and architecture allow."""

_READ_AT_ONCE = 64
"""Tokens read between two looks at the stop flag."""

_UNFINISHED_PROBABILITY = 0.015
"""Up to this end probability the user's words are unfinished, and no reply is begun."""

_UNSAFE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")


@dataclass(frozen=True, slots=True)
class _TurnEnd:
    """What the model thought of the end of a user's words: after which tokens, how likely."""

    token_ids: tuple[int, ...]
    probability: float


@dataclass(slots=True)
class _Written:
    """What has been written of the reply to a prompt."""

    prompt_ids: tuple[int, ...]
    token_ids: list[int] = field(default_factory=list)
    is_over: bool = False


class LocalLlm:
    """A causal language model on this machine (the ``Llm`` protocol).

    Decoding is greedy. A reply ends at any token that ends a message, after ``max_tokens``,
    once ``stop`` is set, or when the model repeats itself word for word
    (:func:`voicebot.engines.prefix_cache.repeats_itself`): a small model never leaves a loop.

    Args:
        network: reads tokens and predicts the next one.
        prompt: the model's tokenizer and chat template.
        context_tokens: how many tokens the network can attend to.
        max_tokens: the most tokens of a reply.
        keep_cache: whether what was read for one prompt serves the next; only measurements do
            without.
    """

    def __init__(
        self,
        network: CausalNetwork,
        prompt: ChatPrompt,
        *,
        context_tokens: int,
        max_tokens: int,
        keep_cache: bool = True,
    ) -> None:
        self._network = network
        self._prompt = prompt
        self._context_tokens = context_tokens
        self._max_tokens = max_tokens
        self._keep_cache = keep_cache
        self._sentence_end_ids = prompt.sentence_end_ids()
        self._read_ids: list[int] = []
        # Logits behind the last of ``_read_ids``; None if they were not computed.
        self._next_logits: NDArray[np.float32] | None = None
        self._turn_end: _TurnEnd | None = None
        self._written: _Written | None = None

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        threads: int,
        max_tokens: int,
        precision: Precision = "int8",
        device: str = "cpu",
        network: NetworkChoice = "auto",
        keep_cache: bool = True,
    ) -> LocalLlm:
        """Load a model folder: config.json, safetensors, tokenizer.json, chat template.

        With ``auto``, a model with an ONNX graph beside its weights runs in onnxruntime
        (:class:`OnnxNetwork`) and torch is not imported; other Llama networks on the processor
        run in plain torch (:class:`LlamaNetwork`), all others in transformers.

        Args:
            path: the folder.
            threads: threads for the arithmetic, with torch in the whole process; 1 is the
                steadiest choice on a small or busy machine, where a second thread waits for its
                core.
            max_tokens: the most tokens of a reply.
            precision: how torch and transformers hold weights; the ONNX graph has its own, so
                ``auto`` takes it with ``int8`` only. transformers takes int8 for bfloat16.
            device: a torch device, ``cpu`` or ``cuda``.
            network: what does the arithmetic.
            keep_cache: see the class.

        Raises:
            ModelMissingError: the folder or one of its files is not there.
            ModelUnsafeError: weights in a format that may carry code, or a model that asks to
                run code of its own.
            ModelDamagedError: a file cannot be read.
            EngineError: ``network`` is ``torch`` and the model's architecture is not Llama's.
        """
        config = _checked_config(path)
        prompt = ChatPrompt.load(path)
        if network == "auto":
            network = _fastest(path, config, precision, device)
        loaded: CausalNetwork
        if network == "onnx":
            loaded = OnnxNetwork.load(path, threads=threads)
        else:
            loaded = _torch_network(
                path, config, network, threads=threads, precision=precision, device=device
            )
        context_tokens = config.get("max_position_embeddings")
        if not isinstance(context_tokens, int):
            context_tokens = 2048  # Not every configuration names it; all models have this much.
        llm = cls(
            loaded,
            prompt,
            context_tokens=context_tokens,
            max_tokens=max_tokens,
            keep_cache=keep_cache,
        )
        llm.prepare([Message("user", "hello")])  # The first pass is the slowest.
        return llm

    def generate(
        self, messages: Sequence[Message], stop: StopFlag
    ) -> Iterator[Prefilled | TextPiece]:
        """See :class:`voicebot.engines.protocols.Llm`.

        If ``stop`` is set before the prompt is read, nothing is yielded; what was read stays.

        Raises:
            EngineError: the conversation is too long for the model, or its computation failed.
        """
        prompt = self._fitting_prompt(messages)
        prefilled = self._begin(prompt, stop)
        written = self._written
        if prefilled is None or written is None:
            return
        yield prefilled
        decoder = PieceDecoder(self._prompt.decode)
        count = 0
        while count < self._max_tokens and not stop.is_set():
            if count == len(written.token_ids) and not self._write_one(written):
                return
            count += 1
            yield TextPiece(decoder.add(written.token_ids[count - 1]), 1)

    def prepare(
        self,
        messages: Sequence[Message],
        stop: StopFlag | None = None,
        write_tokens: int = 0,
    ) -> Prefilled | None:
        """Read a prompt, so that ``generate`` finds it read; and begin its reply, if asked to.

        For a partial transcript, as the last user message, while the user still speaks; and,
        with messages that do not end with the user's, for what can be read before a turn. What is
        written is kept, and is the beginning of what ``generate`` gives for the same messages.

        Args:
            messages: the conversation.
            stop: ends it soon after it is set.
            write_tokens: how much of the reply to write, if the user's words may be finished.

        Returns:
            What ``generate`` would yield first; None if ``stop`` was set meanwhile.

        Raises:
            EngineError: the conversation is too long for the model, or its computation failed.
        """
        prompt = self._fitting_prompt(messages)
        prefilled = self._begin(prompt, stop)
        if prefilled is None or prefilled.turn_end_probability is None:
            return prefilled
        if prefilled.turn_end_probability > _UNFINISHED_PROBABILITY:
            self._write_ahead(min(write_tokens, self._max_tokens), stop)
        return prefilled

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt for ``messages``, template included."""
        return len(self._prompt.tokens(messages).ids)

    @property
    def prompt_budget_tokens(self) -> int:
        """The most tokens a prompt may have, so that a whole reply still fits behind it."""
        return self._context_tokens - self._max_tokens

    def close(self) -> None:
        """Free the weights and the cache."""
        del self._network
        self._forget()

    def _fitting_prompt(self, messages: Sequence[Message]) -> PromptTokens:
        prompt = self._prompt.tokens(messages)
        if not prompt.ids or len(prompt.ids) > self.prompt_budget_tokens:
            raise EngineError(
                f"the conversation has {len(prompt.ids)} tokens, the model takes 1 to "
                f"{self.prompt_budget_tokens} besides a reply of {self._max_tokens}",
                "keep less history or allow shorter replies",
            )
        return prompt

    def _begin(self, prompt: PromptTokens, stop: StopFlag | None) -> Prefilled | None:
        """Make ready to write the reply to ``prompt``, or to go on with it; None if stopped."""
        written = self._written
        if self._keep_cache and written is not None and written.prompt_ids == prompt.ids:
            whole = [*prompt.ids, *written.token_ids]
            # The last token that was written may not have been read yet.
            if self._read_ids in (whole, whole[:-1]) and len(self._read_ids) >= len(prompt.ids):
                return Prefilled(self._told(prompt), 0, len(prompt.ids))
        self._written = None
        prefilled = self._prefill(prompt, stop)
        if prefilled is not None:
            self._written = _Written(prompt.ids)
        return prefilled

    def _write_ahead(self, tokens: int, stop: StopFlag | None) -> None:
        written = self._written
        while written is not None and len(written.token_ids) < tokens:
            if (stop is not None and stop.is_set()) or not self._write_one(written):
                return

    def _write_one(self, written: _Written) -> bool:
        """Write the next token of a reply; False if it is over."""
        if written.is_over:
            return False
        position = len(written.prompt_ids) + len(written.token_ids)
        if written.token_ids and len(self._read_ids) == position - 1:
            self._read([written.token_ids[-1]], [0])
        self._check_undisturbed(position)
        token_id = self._likeliest()
        is_loop = repeats_itself([*written.token_ids, token_id])
        written.is_over = token_id in self._prompt.end_ids or is_loop
        if not written.is_over:
            written.token_ids.append(token_id)
        return not written.is_over

    def _told(self, prompt: PromptTokens) -> float | None:
        """The end probability of the prompt's words, if it is known."""
        end = prompt.last_word_index
        told = self._turn_end
        if end is None or told is None or told.token_ids != prompt.ids[: end + 1]:
            return None
        return told.probability

    def _prefill(self, prompt: PromptTokens, stop: StopFlag | None) -> Prefilled | None:
        """Read what is not yet read of ``prompt``; None if stopped before all was."""
        ids = prompt.ids
        if not self._keep_cache:
            self._keep(0)
            self._turn_end = None
        last = len(ids) - 1
        words_end = prompt.last_word_index
        heard = None if words_end is None else ids[: words_end + 1]
        known = self._turn_end is not None and self._turn_end.token_ids == heard
        # Read again from the first token whose logits are wanted and were not kept.
        if heard is not None and not known:
            first_needed: int | None = words_end
        elif self._next_logits is not None and tuple(self._read_ids) == ids:
            first_needed = None
        else:
            first_needed = last
        if stop is not None and stop.is_set():
            return None
        self._keep(reusable_length(self._read_ids, ids, first_needed))
        cached = len(self._read_ids)
        while (begin := len(self._read_ids)) < len(ids):
            if stop is not None and stop.is_set():
                return None
            end = min(begin + _READ_AT_ONCE, len(ids))
            wants_turn_end = heard is not None and not known and begin <= len(heard) - 1 < end
            places = [len(heard) - 1 - begin] if heard is not None and wants_turn_end else []
            logits = self._read(ids[begin:end], [*places, end - 1 - begin])
            if heard is not None and wants_turn_end:
                mass = _softmax(logits[0])[self._sentence_end_ids].sum()
                self._turn_end = _TurnEnd(heard, min(1.0, float(mass)))
        return Prefilled(self._told(prompt), read_tokens=len(ids) - cached, cached_tokens=cached)

    def _keep(self, count: int) -> None:
        if count == len(self._read_ids):
            return
        kept = self._network.keep(count)
        del self._read_ids[kept:]
        self._next_logits = None

    def _read(self, token_ids: Sequence[int], logits_at: Sequence[int]) -> NDArray[np.float32]:
        """Read tokens, the last of which is in ``logits_at``'s last place."""
        try:
            logits = self._network.read(token_ids, logits_at)
        except (RuntimeError, MemoryError) as error:
            # The cache may hold half of these tokens.
            self._network.keep(0)
            self._forget()
            raise EngineError(
                f"the language model failed: {error}", "choose a smaller model if memory is short"
            ) from error
        self._read_ids.extend(token_ids)
        self._next_logits = logits[-1]
        return logits

    def _likeliest(self) -> int:
        if self._next_logits is None:
            raise EngineError("the language model has read nothing", "this is a bug: report it")
        return int(self._next_logits.argmax())

    def _check_undisturbed(self, position: int) -> None:
        if len(self._read_ids) != position:
            raise EngineError(
                "the language model was used for something else in the midst of a reply",
                "finish or drop a reply before the next prompt",
            )

    def _forget(self) -> None:
        self._read_ids = []
        self._next_logits = None
        self._turn_end = None


def _fastest(
    path: Path, config: dict[str, object], precision: Precision, device: str
) -> NetworkChoice:
    if device != "cpu":
        return "transformers"
    if precision == "int8" and OnnxNetwork.is_in(path):
        return "onnx"
    return "transformers" if LlamaShape.from_config(config) is None else "torch"


def _torch_network(
    path: Path,
    config: dict[str, object],
    network: NetworkChoice,
    *,
    threads: int,
    precision: Precision,
    device: str,
) -> CausalNetwork:
    import torch  # noqa: PLC0415 - heavy, so loaded when needed

    from voicebot.engines.llama_network import LlamaNetwork, int8_available  # noqa: PLC0415

    # A setting of the whole process. It is made here because all arithmetic in torch is
    # this engine's, and because torch would else take every core, the synthesiser's too.
    torch.set_num_threads(threads)
    if precision == "int8" and not (device == "cpu" and int8_available()):
        precision = "bfloat16"
    if network == "torch":
        shape = LlamaShape.from_config(config)
        if shape is None:
            raise EngineError(
                f"the language model in {path} is no Llama, which is all that llm.engine = torch "
                "knows",
                "set llm.engine = auto",
            )
        return LlamaNetwork.load(path, shape, precision=precision)
    dtype = torch.float32 if precision == "float32" else torch.bfloat16
    return TransformersNetwork.load(path, dtype=dtype, device=device)


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shape (vocabulary,)."""
    powers: NDArray[np.float32] = np.exp(logits - logits.max())
    shares: NDArray[np.float32] = powers / powers.sum()
    return shares


def _checked_config(path: Path) -> dict[str, object]:
    """The parsed config.json of a folder that may be loaded; nothing heavy is imported yet."""
    if path.suffix == ".gguf" and path.is_file():
        raise ModelMissingError(
            f"{path} is GGUF, not yet converted", "convert it with voicebot.models.convert"
        )
    if not path.is_dir():
        raise ModelMissingError(f"there is no language model in {path}", "fetch the model")
    if not any(path.glob("*.safetensors")):
        unsafe = sorted(file.name for file in path.iterdir() if file.suffix in _UNSAFE_SUFFIXES)
        if unsafe:
            raise ModelUnsafeError(
                f"{path / unsafe[0]} is in a format that may carry code",
                "choose a model published as safetensors",
            )
        raise ModelMissingError(f"there are no safetensors in {path}", "fetch the model again")
    config = read_json(path / "config.json")
    if "auto_map" in config and not config.get("model_type"):
        raise ModelUnsafeError(
            f"the model in {path} asks to run code of its own",
            "choose a model whose architecture transformers knows",
        )
    if not config.get("model_type"):
        raise ModelDamagedError(
            f"{path / 'config.json'} names no model type", "fetch the model again"
        )
    return config

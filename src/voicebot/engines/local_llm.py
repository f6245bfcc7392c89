"""The language model on this machine, with the conversation so far kept in the model's cache.

Keys and values of all tokens read stay between calls. A new prompt takes over the longest
common prefix and reads only the rest, so that the time to the first token does not grow with
the conversation; ``prepare`` reads ahead while the user still speaks. When the oldest turns have
been dropped, what is said behind them is taken over as well.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from voicebot.engines.causal_network import TransformersNetwork
from voicebot.engines.chat_prompt import ChatPrompt, PromptTokens
from voicebot.engines.checkpoint import checked_config
from voicebot.engines.compiled_network import COMPILED_CONTEXT_TOKENS, compiled_if_possible
from voicebot.engines.context_window import ContextWindow
from voicebot.engines.onnx_network import OnnxNetwork
from voicebot.engines.prefix_cache import dropped_gap, reusable_length
from voicebot.engines.protocols import Message, Prefilled, TextPiece
from voicebot.engines.sampling import GREEDY, Sampling, chosen_token, drawn_share
from voicebot.engines.torch_device import DeviceChoice, half_precision, torch_device
from voicebot.engines.written_reply import WrittenReply
from voicebot.errors import EngineError
from voicebot.models.llama_shape import GRAPH_NAME, MOST_CONTEXT_TOKENS, LlamaShape
from voicebot.models.out_of_memory import is_out_of_memory, out_of_memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from voicebot.engines.causal_network import CausalNetwork
    from voicebot.engines.llama_network import Precision
    from voicebot.engines.protocols import StopFlag

__all__ = ["LocalLlm", "NetworkChoice"]

NetworkChoice: TypeAlias = Literal["auto", "onnx", "torch", "transformers"]
"""``auto`` takes the fastest implementation that the model's files and architecture allow."""

_log = logging.getLogger("voicebot.engines")

_READ_AT_ONCE = 64
"""Tokens read between two looks at the stop flag."""

_UNFINISHED_PROBABILITY = 0.015
"""Up to this end probability the user's words are unfinished, and no reply is begun."""

_SMALL_GRAPH_BYTES = 300_000_000
"""A graph up to this size writes a token on the processor about as fast as an accelerator starts
the work for one, so ``auto`` leaves it there."""


@dataclass(frozen=True, slots=True)
class _TurnEnd:
    """What the model thought of the end of a user's words: after which tokens, how likely."""

    token_ids: tuple[int, ...]
    probability: float


class LocalLlm:
    """A causal language model on this machine (the ``Llm`` protocol).

    A reply ends at any token that ends a message, after ``max_tokens``, once ``stop`` is set, or
    when the model repeats itself word for word
    (:func:`voicebot.engines.prefix_cache.repeats_itself`): a small model never leaves a loop.
    Thoughts are not spoken (:mod:`voicebot.engines.thoughts`). A conversation that has outgrown the
    model's context loses its oldest turns (:mod:`voicebot.engines.context_window`).

    Args:
        network: reads tokens and predicts the next one.
        prompt: the model's tokenizer and chat template.
        context_tokens: how many tokens the network can attend to.
        max_tokens: the most tokens of a reply, thoughts not counted.
        max_thought_tokens: the most tokens of its thoughts; then they are ended for the model,
            which goes on with its answer (Muennighoff et al., "s1", 2025).
        sampling: how tokens are chosen.
        opening_messages: so many messages at the start of every conversation are never dropped.
        keep_cache: whether what was read for one prompt serves the next; only measurements do
            without.

    Attributes:
        runs_as: what computes, where and with which numbers, as ``torch on cpu, int8``; empty if it
            was not loaded from files.
    """

    def __init__(
        self,
        network: CausalNetwork,
        prompt: ChatPrompt,
        *,
        context_tokens: int,
        max_tokens: int,
        max_thought_tokens: int = 256,
        sampling: Sampling = GREEDY,
        opening_messages: int = 0,
        keep_cache: bool = True,
    ) -> None:
        self._network = network
        self.runs_as = ""
        self._prompt = prompt
        self._context_tokens = context_tokens
        self._max_tokens = max_tokens
        self._max_thought_tokens = max_thought_tokens
        self._sampling = sampling
        self._window = ContextWindow(opening_messages)
        self._keep_cache = keep_cache
        self._marker_texts = prompt.marker_texts
        self._sentence_end_ids = prompt.sentence_end_ids()
        self._read_ids: list[int] = []
        # Logits behind the last of ``_read_ids``; None if they were not computed.
        self._next_logits: NDArray[np.float32] | None = None
        self._turn_end: _TurnEnd | None = None
        self._written: WrittenReply | None = None

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        threads: int,
        max_tokens: int,
        precision: Precision = "int8",
        device: DeviceChoice = "cpu",
        network: NetworkChoice = "auto",
        compiles: bool = False,
        max_thought_tokens: int = 256,
        sampling: Sampling = GREEDY,
        opening_messages: int = 0,
        keep_cache: bool = True,
    ) -> LocalLlm:
        """Load a model folder: config.json, safetensors, tokenizer.json, chat template.

        With ``auto``, a model with an ONNX graph beside its weights runs in onnxruntime
        (:class:`OnnxNetwork`) and torch is not imported; other networks of Llama's family on the
        processor run in plain torch (:class:`LlamaNetwork`), all others in transformers.

        Args:
            path: the folder.
            threads: threads for the arithmetic, with torch in the whole process; 1 is the
                steadiest choice on a small or busy machine, where a second thread waits for its
                core.
            max_tokens: the most tokens of a reply.
            precision: how torch and transformers hold weights; the ONNX graph has its own, so
                ``auto`` takes it with ``int8`` only. transformers takes int8 for bfloat16.
            device: where torch and transformers compute; the ONNX graph and the plain network run
                on the processor. ``auto`` leaves a small model's graph there.
            network: what does the arithmetic.
            compiles: compile transformers' step of one token, on CUDA; starting takes longer.
            max_thought_tokens: see the class.
            sampling: see the class.
            opening_messages: see the class.
            keep_cache: see the class.

        Raises:
            ConfigError: ``device`` is not here.
            ModelMissingError: the folder or one of its files is not there.
            ModelUnsafeError: weights in a format that may carry code, or a model that asks to
                run code of its own.
            ModelDamagedError: a file cannot be read.
            ModelError: the folder holds a model of another kind.
            EngineError: ``network`` is ``torch`` and the model's architecture is not Llama's, or
                the model's chat template takes no conversation, or memory is short.
        """
        config = checked_config(path)
        prompt = ChatPrompt.load(path)
        place = _place(path, network, precision, device)
        if network == "auto":
            network = _fastest(path, config, precision, place)
        loaded: CausalNetwork
        if network == "onnx":
            loaded = OnnxNetwork.load(path, threads=threads)
        else:
            loaded = _torch_network(
                path,
                config,
                network,
                threads=threads,
                precision=precision,
                device=place,
                compiles=compiles,
            )
        llm = cls(
            loaded,
            prompt,
            context_tokens=min(
                _context_tokens(config),
                COMPILED_CONTEXT_TOKENS if compiles and place == "cuda" else MOST_CONTEXT_TOKENS,
            ),
            max_tokens=max_tokens,
            max_thought_tokens=max_thought_tokens,
            sampling=sampling,
            opening_messages=opening_messages,
            keep_cache=keep_cache,
        )
        llm.runs_as = f"{network} on {place}{_numbers(network, precision, place)}"
        llm.prepare([Message("user", "hello")])  # The first pass is the slowest.
        return llm

    def generate(
        self, messages: Sequence[Message], stop: StopFlag
    ) -> Iterator[Prefilled | TextPiece]:
        """See :class:`voicebot.engines.protocols.Llm`.

        If ``stop`` is set before the prompt is read, nothing is yielded; what was read stays.

        Raises:
            EngineError: the system prompt is too long for the model, or its computation failed.
        """
        prompt = self._fitting_prompt(messages)
        prefilled = self._begin(prompt, stop)
        written = self._written
        if prefilled is None or written is None:
            return
        yield prefilled
        index = spoken = hidden = 0
        while spoken < self._max_tokens and not stop.is_set():
            if index == len(written.pieces) and not self._write_on(written, hidden):
                break
            piece = written.pieces[index]
            index += 1
            spoken += piece.is_spoken
            hidden += piece.is_hidden
            yield TextPiece(piece.text, 1)
        if index == len(written.pieces) and not stop.is_set() and (held := written.held_text()):
            yield TextPiece(held, 0)

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
            EngineError: the system prompt is too long for the model, or its computation failed.
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
        """The most tokens a prompt may have: a reply still fits behind it, or half the context."""
        return self._context_tokens - min(self._max_tokens, self._context_tokens // 2)

    def close(self) -> None:
        """Free the weights and the cache."""
        del self._network
        self._forget()

    def _fitting_prompt(self, messages: Sequence[Message]) -> PromptTokens:
        budget = self.prompt_budget_tokens
        if not self._window.has_dropped:
            prompt = self._prompt.tokens(messages)
            if len(prompt.ids) <= budget:
                return prompt
        return self._prompt.tokens(self._window.fit(messages, self.count_tokens, budget))

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
            self._written = WrittenReply(prompt.ids, self._prompt.decode, self._marker_texts)
        return prefilled

    def _write_ahead(self, tokens: int, stop: StopFlag | None) -> None:
        written = self._written
        while written is not None and len(written.token_ids) < tokens:
            if (stop is not None and stop.is_set()) or not self._write_one(written):
                return

    def _write_on(self, written: WrittenReply, thought_tokens: int) -> bool:
        """Write what comes next, ending a thought that is too long; False if the reply is over."""
        is_too_long = thought_tokens >= self._max_thought_tokens
        ending = written.thought_ending() if is_too_long else ""
        if not ending:
            return self._write_one(written)
        ids = self._prompt.encode(ending)
        position = len(written.prompt_ids) + len(written.token_ids)
        if written.is_thought_ended or position + len(ids) >= self._context_tokens:
            written.is_over = True  # It has been told to answer once, and thinks on.
            return False
        if len(self._read_ids) != position - 1:  # Its last token may not have been read yet.
            self._check_undisturbed(position)
        unread = [*written.prompt_ids, *written.token_ids, *ids][len(self._read_ids) :]
        self._read(unread, [len(unread) - 1])
        for token_id in ids:
            written.add(token_id)
        written.is_thought_ended = True
        return True

    def _write_one(self, written: WrittenReply) -> bool:
        """Write the next token of a reply; False if it is over."""
        position = len(written.prompt_ids) + len(written.token_ids)
        if written.is_over or position >= self._context_tokens:
            return False
        if written.token_ids and len(self._read_ids) == position - 1:
            self._read([written.token_ids[-1]], [0])
        self._check_undisturbed(position)
        token_id = self._next_token(written)
        written.is_over = token_id in self._prompt.end_ids or written.would_loop(token_id)
        if not written.is_over:
            written.add(token_id)
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
        reusable = reusable_length(self._read_ids, ids, first_needed)
        is_common = reusable != first_needed
        if is_common and len(ids) - reusable > _READ_AT_ONCE:
            self._close_gap(ids, reusable)
            reusable = reusable_length(self._read_ids, ids, first_needed)
        self._keep(reusable)
        cached = len(self._read_ids)
        piece = _READ_AT_ONCE if self._network.reads_in_pieces else len(ids)
        while (begin := len(self._read_ids)) < len(ids):
            if stop is not None and stop.is_set():
                return None
            end = min(begin + piece, len(ids))
            wants_turn_end = heard is not None and not known and begin <= len(heard) - 1 < end
            places = [len(heard) - 1 - begin] if heard is not None and wants_turn_end else []
            logits = self._read(ids[begin:end], [*places, end - 1 - begin])
            if heard is not None and wants_turn_end:
                mass = _softmax(logits[0])[self._sentence_end_ids].sum()
                self._turn_end = _TurnEnd(heard, min(1.0, float(mass)))
        return Prefilled(self._told(prompt), read_tokens=len(ids) - cached, cached_tokens=cached)

    def _close_gap(self, ids: tuple[int, ...], prefix_length: int) -> None:
        """Forget what ``ids`` no longer has in its middle, if that saves much reading."""
        gap = dropped_gap(self._read_ids, ids, prefix_length)
        if gap is None or gap.length < _READ_AT_ONCE:
            return
        try:
            if not self._network.forget(gap.begin, gap.end):
                return
        except (RuntimeError, MemoryError) as error:
            # Half of it may be done. What is needed is read again.
            _log.warning("the language model's cache is read anew: %s", error)
            self._network.keep(0)
            self._forget()
            return
        del self._read_ids[gap.begin : gap.end]
        self._next_logits = None

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
            if is_out_of_memory(error):
                raise out_of_memory() from error
            raise EngineError(
                f"the language model failed: {error}", "choose a smaller model if memory is short"
            ) from error
        self._read_ids.extend(token_ids)
        self._next_logits = logits[-1]
        return logits

    def _next_token(self, written: WrittenReply) -> int:
        if self._next_logits is None:
            raise EngineError("the language model has read nothing", "this is a bug: report it")
        if self._sampling.takes_likeliest:
            return int(self._next_logits.argmax())
        ids, index = written.token_ids, len(written.token_ids)
        share = drawn_share(self._sampling.seed, written.prompt_ids, index)
        return chosen_token(self._next_logits, self._sampling, ids, share)

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


def _place(path: Path, network: NetworkChoice, precision: Precision, device: DeviceChoice) -> str:
    """The device on which ``network`` is to compute."""
    graph = path / GRAPH_NAME
    stays = network in {"onnx", "torch"} or (
        device == "auto"
        and network == "auto"
        and precision == "int8"
        and graph.is_file()
        and graph.stat().st_size <= _SMALL_GRAPH_BYTES
    )
    return "cpu" if stays else torch_device(device)


def _fastest(
    path: Path, config: Mapping[str, object], precision: Precision, device: str
) -> NetworkChoice:
    if device != "cpu":
        return "transformers"
    if precision == "int8" and OnnxNetwork.is_in(path):
        return "onnx"
    return "transformers" if LlamaShape.from_config(config) is None else "torch"


def _context_tokens(config: Mapping[str, object]) -> int:
    text_config = config.get("text_config")  # where models of text and images have theirs
    named = config.get("max_position_embeddings") or (
        text_config.get("max_position_embeddings") if isinstance(text_config, dict) else None
    )
    if not isinstance(named, int):
        return 2048  # Not every configuration names it; all models have this much.
    return min(named, MOST_CONTEXT_TOKENS)


def _torch_network(
    path: Path,
    config: Mapping[str, object],
    network: NetworkChoice,
    *,
    threads: int,
    precision: Precision,
    device: str,
    compiles: bool,
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
                f"the language model in {path} is not of Llama's family, which is all that "
                "llm.engine = torch knows",
                "set llm.engine = auto",
            )
        return LlamaNetwork.load(path, shape, precision=precision)
    dtype = torch.float32 if precision == "float32" else half_precision(device)
    make = compiled_if_possible if compiles and device == "cuda" else None
    return TransformersNetwork.load(path, dtype=dtype, device=device, make=make)


def _numbers(network: NetworkChoice, precision: Precision, device: str) -> str:
    """How ``_torch_network`` holds weights, for a record; the graph has its own numbers."""
    if network == "onnx":
        return ""
    if precision == "float32":
        return ", float32"
    from voicebot.engines.llama_network import int8_available  # noqa: PLC0415

    if network == "torch" and precision == "int8" and int8_available():
        return ", int8"
    return f", {half_precision(device)}".replace("torch.", "")


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shape (vocabulary,)."""
    powers: NDArray[np.float32] = np.exp(logits - logits.max())
    shares: NDArray[np.float32] = powers / powers.sum()
    return shares

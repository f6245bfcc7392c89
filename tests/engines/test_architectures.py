"""Tiny random models of many architectures, loaded and run by the real libraries."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tiny_llm import tiny
from voicebot.engines.causal_network import TransformersNetwork
from voicebot.engines.llama_network import LlamaNetwork
from voicebot.engines.local_llm import LocalLlm
from voicebot.engines.onnx_network import OnnxNetwork
from voicebot.engines.protocols import Message, Prefilled, TextPiece
from voicebot.models.llama_onnx import write_llama_onnx
from voicebot.models.llama_shape import GRAPH_NAME, LlamaShape
from voicebot.models.model_json import read_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    MakeFolder = Callable[..., Path]

KINDS = (
    *("llama", "llama3", "qwen2", "qwen3", "mistral", "phi3", "gemma2", "gemma3_text"),
    *("gpt_neox", "mamba", "falcon_h1", "bamba", "lfm2", "qwen3_5_text"),
)
LLAMAS = ("llama", "llama3", "qwen2", "qwen3")
TURNABLE = (*LLAMAS, "mistral", "phi3", "gemma2", "gpt_neox")
RECURRENT = ("mamba", "falcon_h1", "bamba", "lfm2", "qwen3_5_text")
TOKENS = [(37 * i + 5) % 380 for i in range(80)]
SYSTEM = Message("system", "Answer in one short sentence.")
NEVER = threading.Event()


@pytest.fixture(scope="module")
def make_folder(tmp_path_factory: pytest.TempPathFactory) -> MakeFolder:
    made: dict[tuple[Any, ...], Path] = {}

    def make(kind: str, **options: Any) -> Path:
        key = (kind, *sorted(options.items()))
        if key not in made:
            made[key] = tmp_path_factory.mktemp(kind)
            tiny().write_tiny_of_kind(made[key], kind, seed=1, **options)
        return made[key]

    return make


def network_of(kind: str, folder: Path) -> Any:
    if kind == "transformers":
        return TransformersNetwork.load(folder, dtype=torch.float32)
    if kind == "onnx":
        if not OnnxNetwork.is_in(folder):
            assert write_llama_onnx(folder, folder / GRAPH_NAME)
        return OnnxNetwork.load(folder, threads=1)
    shape = LlamaShape.from_config(read_json(folder / "config.json"))
    assert shape is not None
    return LlamaNetwork.load(folder, shape, precision="float32")


def without_cache(network: TransformersNetwork, token_ids: list[int]) -> np.ndarray:
    with torch.inference_mode():
        logits = network._model(torch.tensor([token_ids]), use_cache=False).logits[0]
        return np.asarray(logits.float().numpy())


@pytest.mark.parametrize("kind", KINDS)
def test_reading_in_parts_and_going_back_predicts_what_one_reading_does(
    make_folder: MakeFolder, kind: str
) -> None:
    network = network_of("transformers", make_folder(kind))
    expected = without_cache(network, TOKENS)
    for begin in range(0, 80, 20):
        rows = network.read(TOKENS[begin : begin + 20], range(20))
        np.testing.assert_allclose(rows, expected[begin : begin + 20], atol=2e-4)
    kept = network.keep(30)
    assert kept == (0 if kind in RECURRENT else 30)
    rows = network.read(TOKENS[kept:], [79 - kept])
    np.testing.assert_allclose(rows[0], expected[79], atol=2e-4)


@pytest.mark.parametrize("kind", LLAMAS)
@pytest.mark.parametrize("shards", [False, True])
def test_the_own_networks_predict_what_transformers_does(
    make_folder: MakeFolder, kind: str, shards: bool
) -> None:
    folder = make_folder(kind, shards=shards)
    assert (len(list(folder.glob("*.safetensors"))) > 1) is shards
    expected = without_cache(network_of("transformers", folder), TOKENS)
    rows = network_of("torch", folder).read(TOKENS, range(80))
    np.testing.assert_allclose(rows, expected, atol=2e-4)
    rounded = network_of("onnx", folder).read(TOKENS, range(80))
    assert np.sqrt(np.mean((rounded - expected) ** 2)) < 0.1 * expected.std()


@pytest.mark.parametrize("kind", LLAMAS)
def test_one_byte_weights_are_close(make_folder: MakeFolder, kind: str) -> None:
    folder = make_folder(kind)
    shape = LlamaShape.from_config(read_json(folder / "config.json"))
    assert shape is not None
    close = LlamaNetwork.load(folder, shape, precision="int8").read(TOKENS[:1], [0])
    exact = network_of("torch", folder).read(TOKENS[:1], [0])
    assert np.sqrt(np.mean((close - exact) ** 2)) < 0.1 * exact.std()


NETWORKS = (
    *(("transformers", kind) for kind in TURNABLE),
    *(("torch", kind) for kind in LLAMAS),
    *(("onnx", kind) for kind in LLAMAS),
)


@pytest.mark.parametrize(("engine", "kind"), NETWORKS)
def test_forgetting_in_one_layer_is_as_if_it_was_never_read(
    make_folder: MakeFolder, engine: str, kind: str
) -> None:
    folder = make_folder(kind, layers=1)
    forgetting, fresh = network_of(engine, folder), network_of(engine, folder)
    # Within the window of those that have one: what left it is not forgotten in the same way.
    forgetting.read(TOKENS[:40], [0])
    assert forgetting.forget(10, 25)
    fresh.read([*TOKENS[:10], *TOKENS[25:40]], [0])
    for token in (7, 300):
        found, expected = forgetting.read([token], [0]), fresh.read([token], [0])
        np.testing.assert_allclose(found, expected, atol=1e-3 if engine != "onnx" else 0.05)
    assert forgetting.keep(100) == 27


@pytest.mark.parametrize(("engine", "kind"), NETWORKS)
def test_forgetting_in_deeper_layers_is_close(
    make_folder: MakeFolder, engine: str, kind: str
) -> None:
    folder = make_folder(kind)
    forgetting, fresh, other = (network_of(engine, folder) for _ in range(3))
    forgetting.read(TOKENS[:40], [0])
    assert forgetting.forget(10, 25)
    fresh.read([*TOKENS[:10], *TOKENS[25:40]], [0])
    other.read(TOKENS[:10], [0])
    found, expected, without = (one.read([7], [0]) for one in (forgetting, fresh, other))
    error = np.sqrt(np.mean((found - expected) ** 2))
    assert error < np.sqrt(np.mean((without - expected) ** 2))


@pytest.mark.parametrize("kind", [*RECURRENT, "gemma3_text"])
def test_what_cannot_forget_says_so_and_is_unchanged(make_folder: MakeFolder, kind: str) -> None:
    network = network_of("transformers", make_folder(kind))
    expected = without_cache(network, TOKENS[:21])[20]
    network.read(TOKENS[:20], [0])
    assert not network.forget(2, 5)
    np.testing.assert_allclose(network.read(TOKENS[20:21], [0])[0], expected, atol=2e-4)


def reply(llm: LocalLlm, *messages: Message) -> tuple[Prefilled, str]:
    first, *pieces = llm.generate(messages, NEVER)
    assert isinstance(first, Prefilled)
    return first, "".join(p.text for p in pieces if isinstance(p, TextPiece))


def load(folder: Path, **options: Any) -> LocalLlm:
    return LocalLlm.load(
        folder, **({"threads": 1, "max_tokens": 8, "precision": "float32"} | options)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_conversation_is_held_with_drafts_and_reading_ahead(
    make_folder: MakeFolder, kind: str
) -> None:
    llm, fresh = load(make_folder(kind)), load(make_folder(kind))
    messages = [SYSTEM]
    for words in ("what is the bridge", "and the light", "tell me a joke"):
        llm.prepare(messages)
        llm.prepare([*messages, Message("user", words[:7])])  # a partial transcript
        llm.prepare([*messages, Message("user", words)], write_tokens=3)
        messages.append(Message("user", words))
        first, text = reply(llm, *messages)
        assert first.read_tokens == 0
        assert first.turn_end_probability is not None
        fresh._network.keep(0)
        fresh._forget()
        assert text == reply(fresh, *messages)[1]
        messages.append(Message("assistant", text.strip() or "yes"))


def exchanges(turns: int) -> list[Message]:
    said = []
    for turn in range(turns):
        said.append(Message("user", f"what is the number {turn} of the bridge in the kitchen"))
        said.append(Message("assistant", f"It is half past {turn} in the morning, and a hundred."))
    return said


@pytest.mark.parametrize(
    ("engine", "kind"), [*NETWORKS, ("transformers", "mamba"), ("transformers", "gemma3_text")]
)
def test_when_the_oldest_turns_go_the_others_are_not_read_again(
    make_folder: MakeFolder, engine: str, kind: str
) -> None:
    folder = make_folder(kind)
    network_of(engine, folder)  # writes the graph
    llm = load(folder, network=engine)
    said = exchanges(10)
    llm.prepare([SYSTEM, *said])
    shorter = [SYSTEM, *said[8:]]
    first = llm.prepare(shorter)
    assert first is not None
    can_forget = engine != "transformers" or kind in TURNABLE
    if can_forget:
        # The last token of a prompt is always read, for what follows it.
        assert first.read_tokens == 1
        assert first.cached_tokens == llm.count_tokens(shorter) - 1
    else:
        assert first.read_tokens > 100
    later, _ = reply(llm, *shorter, Message("user", "and now"))
    assert later.read_tokens < 20


def test_if_forgetting_fails_the_prompt_is_read_anew(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm, said = load(make_folder("llama"), network="torch"), exchanges(10)
    expected = reply(llm, SYSTEM, *said[8:], Message("user", "and now"))[1]
    llm.prepare([SYSTEM, *said])

    def fail(begin: int, end: int) -> bool:
        raise RuntimeError(f"out of memory between {begin} and {end}")

    monkeypatch.setattr(llm._network, "forget", fail)
    first, text = reply(llm, SYSTEM, *said[8:], Message("user", "and now"))
    assert text == expected
    assert first.cached_tokens == 0


def test_a_conversation_may_outgrow_the_context(make_folder: MakeFolder) -> None:
    llm = load(make_folder("llama"), opening_messages=1)
    assert llm.prompt_budget_tokens == 1024 - 8
    messages, read = [SYSTEM], []
    for message in exchanges(60):
        if message.role == "user":
            messages.append(message)
            read.append(reply(llm, *messages)[0].read_tokens)
        else:
            messages.append(message)
    assert llm.count_tokens(messages) > 2000
    assert max(read[1:]) < 100
    assert len(llm._read_ids) <= 1024


def test_more_tokens_allowed_than_the_context_has(make_folder: MakeFolder) -> None:
    llm = load(make_folder("llama"), max_tokens=4096)
    assert llm.prompt_budget_tokens == 512
    reply(llm, *exchanges(40)[:-1])
    assert len(llm._read_ids) <= 1024

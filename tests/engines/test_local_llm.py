from __future__ import annotations

import importlib.util
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from transformers import AutoTokenizer

from voicebot.engines import local_llm
from voicebot.engines.causal_network import TransformersNetwork
from voicebot.engines.chat_prompt import ChatPrompt
from voicebot.engines.llama_network import LlamaNetwork
from voicebot.engines.local_llm import LocalLlm
from voicebot.engines.protocols import Message, Prefilled, TextPiece
from voicebot.errors import EngineError, ModelDamagedError, ModelMissingError, ModelUnsafeError
from voicebot.models.llama_shape import LlamaShape
from voicebot.models.model_json import read_json
from voicebot.models.store import ModelStore, default_models_dir

SYSTEM = Message("system", "Answer in one short sentence.")
QUESTION = Message("user", "What is the capital of France?")
NEVER = threading.Event()


def load_tool(name: str) -> Any:
    path = Path(__file__).parents[2] / "tools" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    load_tool("make_tiny_llm").write_tiny_llm(path, seed=3)
    return path


def load(path: Path, **options: Any) -> LocalLlm:
    return LocalLlm.load(
        path, **({"threads": 1, "max_tokens": 12, "precision": "float32"} | options)
    )


@pytest.fixture(scope="module")
def shared_llm(folder: Path) -> LocalLlm:
    return load(folder)


def reply(llm: LocalLlm, *messages: Message) -> tuple[Prefilled, str]:
    first, *pieces = llm.generate(messages, NEVER)
    assert isinstance(first, Prefilled)
    return first, "".join(p.text for p in pieces if isinstance(p, TextPiece))


def network_of(kind: str, folder: Path) -> Any:
    if kind == "transformers":
        return TransformersNetwork.load(folder, dtype=torch.float32)
    shape = LlamaShape.from_config(read_json(folder / "config.json"))
    assert shape is not None
    return LlamaNetwork.load(folder, shape, precision="float32")


def test_the_plain_llama_predicts_what_transformers_does(folder: Path) -> None:
    plain, reference = network_of("llama", folder), network_of("transformers", folder)
    for token_ids in ([1, 5, 9, 200, 7], [4], [300, 2, 2, 8]):
        everywhere = range(len(token_ids))
        torch.testing.assert_close(
            plain.read(token_ids, everywhere),
            reference.read(token_ids, everywhere),
            rtol=1e-4,
            atol=1e-4,
        )


@pytest.mark.parametrize("kind", ["llama", "transformers"])
def test_a_cropped_cache_predicts_like_a_fresh_one(folder: Path, kind: str) -> None:
    fresh, cropped = network_of(kind, folder), network_of(kind, folder)
    cropped.read([1, 5, 9, 200, 7], [4])
    assert cropped.keep(2) == 2
    cropped.read([8, 8], [1])
    fresh.read([1, 5, 8, 8], [3])
    torch.testing.assert_close(cropped.read([6], [0]), fresh.read([6], [0]), rtol=1e-4, atol=1e-4)


def test_the_cache_of_the_plain_llama_grows(folder: Path) -> None:
    whole, parts = network_of("llama", folder), network_of("llama", folder)
    token_ids = [(7 * i) % 380 for i in range(700)]
    parts.read(token_ids[:400], [0])
    torch.testing.assert_close(
        parts.read(token_ids[400:], [-1]), whole.read(token_ids, [-1]), rtol=1e-3, atol=1e-3
    )


def test_one_byte_weights_stay_close(folder: Path) -> None:
    shape = LlamaShape.from_config(read_json(folder / "config.json"))
    assert shape is not None
    exact = network_of("llama", folder).read([5], [0])
    close = LlamaNetwork.load(folder, shape, precision="int8").read([5], [0])
    assert np.abs(exact - close).max() < 0.1 * np.abs(exact).max()


def test_the_prompt_is_the_one_of_transformers(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    messages = [SYSTEM, QUESTION, Message("assistant", "Paris."), Message("user", " hé 😀, you… ")]
    expected = tokenizer.apply_chat_template(
        [{"role": m.role, "content": m.content} for m in messages],
        add_generation_prompt=True,
        return_dict=True,
    )["input_ids"]
    assert list(ChatPrompt.load(folder).tokens(messages).ids) == expected


@pytest.mark.parametrize("words", ["the bridge", "the bridge?", "the bridge ... ", "the bridge?!"])
def test_the_last_word_is_found_without_its_punctuation(folder: Path, words: str) -> None:
    prompt = ChatPrompt.load(folder)
    tokens = prompt.tokens([Message("user", "the bridge"), Message("user", words)])
    assert tokens.last_word_index is not None
    assert prompt.decode(tokens.ids[: tokens.last_word_index + 1]).endswith("user\nthe bridge")
    assert prompt.decode(tokens.ids).count("the bridge") == 2


def test_words_of_punctuation_only_have_no_last_word(folder: Path) -> None:
    assert ChatPrompt.load(folder).tokens([Message("user", "?!")]).last_word_index is None


def test_sentence_ends_are_marks_and_ends_of_message(folder: Path) -> None:
    prompt = ChatPrompt.load(folder)
    ids = prompt.sentence_end_ids()
    assert prompt.end_ids == {0, 2}
    assert prompt.end_ids < set(ids)
    texts = {prompt.decode([i]).strip()[:1] for i in ids if i not in prompt.end_ids}
    assert texts == {".", "?", "!"}


def test_a_reply_begins_with_prefilled_and_is_repeatable(shared_llm: LocalLlm) -> None:
    first, text = reply(shared_llm, SYSTEM, QUESTION)
    again, same = reply(shared_llm, SYSTEM, QUESTION)
    assert first.turn_end_probability is not None
    assert 0 <= first.turn_end_probability <= 1
    assert again.turn_end_probability == first.turn_end_probability
    assert text
    assert same == text


messages_strategy = st.lists(
    st.tuples(st.sampled_from(["what is", "the bridge", "a joke", "?"]), st.integers(0, 3)),
    min_size=1,
    max_size=4,
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(messages_strategy, min_size=1, max_size=3))
def test_whatever_was_read_before_the_reply_is_that_of_a_fresh_engine(
    shared_llm: LocalLlm, folder: Path, talks: list[list[tuple[str, int]]]
) -> None:
    def conversation(talk: list[tuple[str, int]]) -> list[Message]:
        said = [Message("user", f"{words} {number}") for words, number in talk]
        return [SYSTEM, *said]

    for talk in talks[:-1]:
        shared_llm.prepare(conversation(talk))
    used, text = reply(shared_llm, *conversation(talks[-1]))
    shared_llm._forget()
    shared_llm._network.keep(0)
    fresh, expected = reply(shared_llm, *conversation(talks[-1]))
    assert text == expected
    assert used.turn_end_probability == pytest.approx(fresh.turn_end_probability, abs=1e-5)
    assert used.read_tokens + used.cached_tokens == fresh.read_tokens
    assert fresh.cached_tokens == 0


def test_a_longer_conversation_reads_only_what_is_new(folder: Path) -> None:
    llm = load(folder)
    first, text = reply(llm, SYSTEM, QUESTION)
    conversation = [SYSTEM, QUESTION, Message("assistant", text), Message("user", "a joke")]
    second, _ = reply(llm, *conversation)
    assert second.cached_tokens >= first.read_tokens + first.cached_tokens


def test_a_prepared_prompt_is_not_read_again(folder: Path) -> None:
    llm = load(folder)
    llm.prepare([SYSTEM, QUESTION])
    first, _ = reply(llm, SYSTEM, QUESTION)
    assert first.read_tokens == 0


def test_what_comes_before_the_turn_can_be_read_ahead(folder: Path) -> None:
    llm = load(folder)
    ahead = llm.prepare([SYSTEM])
    assert ahead is not None
    assert ahead.turn_end_probability is None
    first, _ = reply(llm, SYSTEM, QUESTION)
    assert first.cached_tokens == ahead.read_tokens + ahead.cached_tokens


class StopAfter:
    def __init__(self, looks: int) -> None:
        self.looks = looks

    def is_set(self) -> bool:
        self.looks -= 1
        return self.looks < 0


@pytest.mark.parametrize("looks", range(10))
def test_after_a_stop_the_cache_is_still_right(folder: Path, looks: int) -> None:
    llm = load(folder)
    _, expected = reply(llm, SYSTEM, QUESTION)
    llm._forget()
    llm._network.keep(0)
    steps = list(llm.generate([SYSTEM, QUESTION], StopAfter(looks)))
    assert len(steps) <= max(0, looks)
    assert reply(llm, SYSTEM, QUESTION)[1] == expected


def test_a_stop_before_reading_yields_nothing(shared_llm: LocalLlm) -> None:
    stop = threading.Event()
    stop.set()
    assert list(shared_llm.generate([SYSTEM, QUESTION], stop)) == []


def test_the_token_limit_holds(folder: Path) -> None:
    _, *pieces = load(folder, max_tokens=3).generate([SYSTEM, QUESTION], NEVER)
    assert len(pieces) <= 3


class FixedNetwork:
    """Predicts the same tokens whatever it reads."""

    def __init__(self, folder: Path, script: list[int]) -> None:
        self.script = script
        self.reads_in_pieces = True
        self.vocabulary = int(read_json(folder / "config.json")["vocab_size"])

    def keep(self, count: int) -> int:
        return 0

    def forget(self, begin: int, end: int) -> bool:
        return False

    def read(self, token_ids: Any, logits_at: Any) -> Any:
        logits = np.zeros((len(logits_at), self.vocabulary), np.float32)
        logits[-1, self.script.pop(0)] = 1
        return logits


def scripted(folder: Path, script: list[int], max_tokens: int = 100) -> LocalLlm:
    prompt = ChatPrompt.load(folder)
    network = FixedNetwork(folder, script)
    return LocalLlm(network, prompt, context_tokens=500, max_tokens=max_tokens)


@pytest.mark.parametrize("end_id", [0, 2])
def test_every_end_of_message_ends_the_reply(folder: Path, end_id: int) -> None:
    _, *pieces = scripted(folder, [40, 41, end_id]).generate([QUESTION], NEVER)
    assert len(pieces) == 2


def test_a_loop_ends_the_reply(folder: Path) -> None:
    _, *pieces = scripted(folder, [40, 41, 42] * 30).generate([QUESTION], NEVER)
    assert len(pieces) == 10


def test_another_prompt_in_the_midst_of_a_reply_is_an_error(folder: Path) -> None:
    llm = load(folder)
    steps = llm.generate([SYSTEM, QUESTION], NEVER)
    next(steps)
    next(steps)
    llm.prepare([SYSTEM, Message("user", "something else, and much longer than before")])
    with pytest.raises(EngineError, match="midst"):
        list(steps)


def test_words_too_long_for_the_model_are_answered_all_the_same(shared_llm: LocalLlm) -> None:
    long = Message("user", "bridge " * 1100)
    assert shared_llm.count_tokens([long]) > shared_llm.prompt_budget_tokens
    first, _ = reply(shared_llm, long)
    assert first.read_tokens + first.cached_tokens <= shared_llm.prompt_budget_tokens


def test_a_system_prompt_too_long_for_the_model_is_an_error(shared_llm: LocalLlm) -> None:
    with pytest.raises(EngineError, match="system prompt"):
        shared_llm.prepare([Message("system", "bridge " * 1100)])


def test_a_failed_computation_is_an_error_and_empties_the_cache(folder: Path) -> None:
    class Failing(FixedNetwork):
        def read(self, token_ids: Any, logits_at: Any) -> Any:
            raise RuntimeError("no memory")

    llm = LocalLlm(Failing(folder, []), ChatPrompt.load(folder), context_tokens=500, max_tokens=5)
    with pytest.raises(EngineError, match="no memory"):
        next(llm.generate([QUESTION], NEVER))
    assert llm._read_ids == []


def copy(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target)
    return target


def test_no_folder_is_a_missing_model(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError):
        load(tmp_path / "absent")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    path = copy(folder, tmp_path / "model")
    (path / name).unlink()
    with pytest.raises(ModelMissingError, match=name.partition(".")[2] or name):
        load(path)


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"]
)
def test_a_truncated_file_is_a_damaged_model(
    folder: Path, tmp_path: Path, name: str, kind: str
) -> None:
    path = copy(folder, tmp_path / "model")
    config = read_json(path / "config.json") | {"model_type": kind}
    (path / "config.json").write_text(json.dumps(config))
    content = (path / name).read_bytes()
    (path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelDamagedError):
        load(path)


@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_missing_weights_are_a_damaged_model(folder: Path, tmp_path: Path, kind: str) -> None:
    path = copy(folder, tmp_path / "model")
    weights = load_file(path / "model.safetensors")
    del weights["model.layers.1.mlp.down_proj.weight"]
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    config = read_json(path / "config.json") | {"model_type": kind}
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelDamagedError, match="down_proj"):
        load(path)


def test_pickled_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    path = copy(folder, tmp_path / "model")
    (path / "model.safetensors").rename(path / "pytorch_model.bin")
    with pytest.raises(ModelUnsafeError):
        load(path)


def test_another_architecture_goes_through_transformers(folder: Path, tmp_path: Path) -> None:
    path = copy(folder, tmp_path / "model")
    config = read_json(path / "config.json") | {"model_type": "mistral", "sliding_window": None}
    config["architectures"] = ["MistralForCausalLM"]
    (path / "config.json").write_text(json.dumps(config))
    llm = load(path)
    assert isinstance(llm._network, TransformersNetwork)
    # The same arithmetic under another name.
    assert reply(llm, SYSTEM, QUESTION)[1] == reply(load(folder), SYSTEM, QUESTION)[1]


@pytest.fixture(scope="module")
def real_llm() -> LocalLlm:
    store = ModelStore(default_models_dir())
    if not store.is_ready("smollm2-135m-instruct"):
        pytest.skip("smollm2-135m-instruct is not here: run voicebot models pull")
    return load(store.path("smollm2-135m-instruct"), max_tokens=24, precision="int8")


@pytest.mark.models
def test_the_real_model_tells_finished_from_unfinished(real_llm: LocalLlm) -> None:
    def probability(words: str) -> float:
        told = real_llm.prepare([Message("user", words)])
        assert told is not None
        assert told.turn_end_probability is not None
        return told.turn_end_probability

    assert probability("what is the capital of") < 0.02
    assert probability("what is the capital of france") > 0.1


@pytest.mark.models
def test_the_real_model_knows_paris(real_llm: LocalLlm) -> None:
    assert "Paris" in reply(real_llm, SYSTEM, QUESTION)[1]


@pytest.mark.parametrize("tokens", [0, 1, 5, 1000])
def test_what_was_written_ahead_is_the_beginning_of_the_reply(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tokens: int
) -> None:
    monkeypatch.setattr(local_llm, "_UNFINISHED_PROBABILITY", -1.0)
    fresh, expected = reply(load(folder), SYSTEM, QUESTION)
    llm = load(folder)
    prepared = llm.prepare([SYSTEM, QUESTION], write_tokens=tokens)
    assert prepared is not None
    assert prepared.turn_end_probability == pytest.approx(fresh.turn_end_probability, abs=1e-5)
    for _ in range(2):  # what a dropped draft had written serves the next one, too
        first, text = reply(llm, SYSTEM, QUESTION)
        assert text == expected
        assert first.read_tokens == 0
        assert first.turn_end_probability == prepared.turn_end_probability


def test_what_was_written_ahead_does_not_reach_another_reply(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_llm, "_UNFINISHED_PROBABILITY", -1.0)
    longer = Message("user", QUESTION.content + " of the town")
    _, expected = reply(load(folder), SYSTEM, longer)
    llm = load(folder)
    llm.prepare([SYSTEM, QUESTION], write_tokens=7)
    assert reply(llm, SYSTEM, longer)[1] == expected
    assert reply(llm, SYSTEM, QUESTION)[1] == reply(load(folder), SYSTEM, QUESTION)[1]


def test_no_reply_is_begun_to_unfinished_words(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_llm, "_UNFINISHED_PROBABILITY", 1.0)
    llm = load(folder)
    llm.prepare([SYSTEM, QUESTION], write_tokens=7)
    assert llm.count_tokens([SYSTEM, QUESTION]) == len(llm._read_ids)

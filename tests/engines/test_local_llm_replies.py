"""What a reply is made of: thoughts, sampling, failures; scripted networks and tiny models."""

from __future__ import annotations

import json
import shutil
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tiny_llm import tiny
from voicebot.engines import local_llm
from voicebot.engines.chat_prompt import ChatPrompt
from voicebot.engines.local_llm import LocalLlm
from voicebot.engines.onnx_network import OnnxNetwork
from voicebot.engines.protocols import Message, Prefilled, TextPiece
from voicebot.engines.sampling import Sampling
from voicebot.errors import (
    ConfigError,
    EngineError,
    ModelDamagedError,
    ModelError,
    ModelMissingError,
    ModelUnsafeError,
)
from voicebot.models.model_json import read_json

if TYPE_CHECKING:
    from pathlib import Path

QUESTION = Message("user", "What is the capital of France?")
NEVER = threading.Event()
END = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("tiny")
    tiny().write_tiny_llm(path, seed=3, template="thinking")
    return path


class Scripted:
    """Predicts the same tokens whatever it reads."""

    reads_in_pieces = True

    def __init__(self, script: list[int]) -> None:
        self.script = script
        self.failure: Exception | None = None

    def keep(self, count: int) -> int:
        return 0

    def forget(self, begin: int, end: int) -> bool:
        return False

    def read(self, token_ids: Any, logits_at: Any) -> Any:
        if self.failure is not None:
            raise self.failure
        logits = np.zeros((len(logits_at), 384), np.float32)
        logits[-1, self.script.pop(0) if self.script else END] = 1
        return logits


def saying(folder: Path, text: str, **options: Any) -> LocalLlm:
    prompt = ChatPrompt.load(folder)
    ids = prompt._tokenizer.encode(text, add_special_tokens=False).ids
    return LocalLlm(
        Scripted([*ids, END]), prompt, **({"context_tokens": 900, "max_tokens": 100} | options)
    )


def pieces(llm: LocalLlm, *messages: Message) -> list[TextPiece]:
    _, *steps = llm.generate(messages or [QUESTION], NEVER)
    assert all(isinstance(step, TextPiece) for step in steps)
    return [step for step in steps if isinstance(step, TextPiece)]


def text_of(said: list[TextPiece]) -> str:
    return "".join(piece.text for piece in said)


def test_a_thought_is_never_spoken_but_is_paid_for(folder: Path) -> None:
    said = pieces(saying(folder, "<think>\nThey ask for a town.\n</think>\n\nParis."))
    assert text_of(said) == "Paris."
    assert sum(piece.tokens for piece in said) > 15
    assert said[0].text == ""  # a sign of life for whoever waits


def test_only_what_is_spoken_counts_for_the_limit(folder: Path) -> None:
    said = pieces(saying(folder, "<think>a plan, a long one</think>Q X Z Q X Z", max_tokens=4))
    assert "Q X" in text_of(said)
    assert len(text_of(said)) < len("Q X Z Q X Z")
    assert text_of(pieces(saying(folder, "<b <c", max_thought_tokens=0))) == "<b <c"


def test_a_thought_without_end_is_no_answer(folder: Path) -> None:
    assert text_of(pieces(saying(folder, "<think>abcdefghijklmnop"))) == ""


@pytest.mark.parametrize(
    "opening", ["<think>", "<think>a<think>", "<|channel|>analysis<|message|>"]
)
def test_a_thought_that_takes_too_long_is_ended_and_what_follows_is_the_answer(
    folder: Path, opening: str
) -> None:
    thought = "bcdfghjklmnpqrstvwxzBCDFGHJKLMNPQRSTV"
    llm = saying(folder, opening + thought + "ZZZ", max_thought_tokens=20)
    said = pieces(llm)
    assert text_of(said).endswith("VZZZ")
    assert "b" not in text_of(said)
    assert said == pieces(llm)  # a draft that is made again
    assert llm._written is not None
    assert list(llm._written.prompt_ids) == llm._read_ids[: len(llm._written.prompt_ids)]


def test_who_thinks_on_after_that_has_no_answer(folder: Path) -> None:
    said = pieces(saying(folder, "<think>qrst<think>uvw<think>xyz", max_thought_tokens=2))
    assert "x" not in text_of(said)
    assert "u" not in text_of(said)


def test_what_looks_like_a_thought_and_is_none_is_spoken(folder: Path) -> None:
    llm = saying(folder, "two <th")
    assert text_of(pieces(llm)) == "two <th"
    assert text_of(pieces(llm)) == "two <th"  # a draft that is made again


def test_a_thought_that_was_written_ahead_stays_unspoken(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_llm, "_UNFINISHED_PROBABILITY", -1.0)
    llm = saying(folder, "<think>hm, a plan</think>Paris.")
    llm.prepare([QUESTION], write_tokens=6)
    assert text_of(pieces(llm)) == "Paris."
    assert text_of(pieces(llm)) == "Paris."


def test_a_thought_may_repeat_itself_as_a_reply_may_not(folder: Path) -> None:
    thought = "<think>wait, wait, wait, wait, wait, wait, wait</think>"
    assert text_of(pieces(saying(folder, thought + "Paris."))) == "Paris."


@pytest.mark.parametrize(
    ("template", "ending"),
    [
        ("thinking", "assistant\n<think>\n\n</think>\n\n"),
        ("always-thinking", "assistant\n<think>\n\n</think>\n\n"),
        ("plain", "assistant\n"),
    ],
)
def test_a_thinking_model_is_asked_not_to(tmp_path: Path, template: str, ending: str) -> None:
    tiny().write_tiny_llm(tmp_path, template=template)
    prompt = ChatPrompt.load(tmp_path)
    tokens = prompt.tokens([QUESTION])
    assert prompt.decode(tokens.ids).endswith(ending)
    assert tokens.last_word_index is not None


def load(path: Path, **options: Any) -> LocalLlm:
    return LocalLlm.load(
        path, **({"threads": 1, "max_tokens": 12, "precision": "float32"} | options)
    )


WARM = Sampling(temperature=1.5, top_p=0.95, top_k=200, repetition_penalty=1.1, seed=7)


def test_a_sampled_reply_is_the_same_for_a_draft_and_for_what_was_written_ahead(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_llm, "_UNFINISHED_PROBABILITY", -1.0)
    expected = text_of(pieces(load(folder, sampling=WARM)))
    llm = load(folder, sampling=WARM)
    llm.prepare([Message("user", "something else")], write_tokens=3)
    llm.prepare([QUESTION], write_tokens=5)
    assert text_of(pieces(llm)) == expected
    llm.prepare([Message("user", "something else")], write_tokens=3)
    assert text_of(pieces(llm)) == expected


def test_sampled_replies_differ_by_seed_and_from_the_likeliest(folder: Path) -> None:
    texts = {
        text_of(pieces(load(folder, sampling=Sampling(temperature=1.5, seed=seed))))
        for seed in range(3)
    }
    assert len(texts | {text_of(pieces(load(folder)))}) == 4


@pytest.mark.parametrize(
    "failure",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[ONNXRuntimeError] : Failed to allocate memory for requested buffer"),
    ],
)
def test_memory_that_runs_out_has_a_way_out_and_the_next_reply_comes(
    folder: Path, failure: Exception
) -> None:
    llm = saying(folder, "Paris.")
    network = llm._network
    assert isinstance(network, Scripted)
    network.failure = failure
    with pytest.raises(EngineError, match=r"enough memory.*smaller model.*llm.device = cpu"):
        pieces(llm)
    network.failure = None
    assert text_of(pieces(llm)) == "Paris."


def altered(folder: Path, target: Path, **config: Any) -> Path:
    shutil.copytree(folder, target)
    facts = read_json(target / "config.json") | config
    (target / "config.json").write_text(json.dumps(facts))
    return target


def test_a_recogniser_in_the_language_model_s_place_is_told(folder: Path, tmp_path: Path) -> None:
    whisper = altered(
        folder,
        tmp_path / "whisper",
        model_type="whisper",
        architectures=["WhisperForConditionalGeneration"],
        is_encoder_decoder=True,
    )
    with pytest.raises(ModelError, match=r"no language model.*whisper"):
        load(whisper)


def test_an_encoder_in_the_language_model_s_place_is_told(folder: Path, tmp_path: Path) -> None:
    encoder = altered(folder, tmp_path / "b", model_type="bert", architectures=["BertModel"])
    with pytest.raises(ModelError, match=r"no language model.*bert"):
        load(encoder)


def test_an_architecture_that_transformers_lacks_is_told(folder: Path, tmp_path: Path) -> None:
    unknown = altered(folder, tmp_path / "new", model_type="newest", architectures=["NForCausalLM"])
    with pytest.raises(ModelDamagedError, match="newest"):
        load(unknown)


def test_a_model_without_chat_template_is_told(folder: Path, tmp_path: Path) -> None:
    base = altered(folder, tmp_path / "base")
    facts = read_json(base / "tokenizer_config.json")
    del facts["chat_template"]
    (base / "tokenizer_config.json").write_text(json.dumps(facts))
    with pytest.raises(ModelDamagedError, match="made for conversation"):
        load(base)


def test_of_several_templates_the_default_is_taken(folder: Path, tmp_path: Path) -> None:
    several = altered(folder, tmp_path / "several")
    facts = read_json(several / "tokenizer_config.json")
    facts["chat_template"] = [
        {"name": "tool_use", "template": "{{ raise_exception('no') }}"},
        {"name": "default", "template": facts["chat_template"]},
    ]
    (several / "tokenizer_config.json").write_text(json.dumps(facts))
    assert pieces(load(several))


@pytest.mark.parametrize("template", ["raising", "endless"])
def test_a_template_that_serves_no_conversation_is_told_at_once(
    tmp_path: Path, template: str
) -> None:
    tiny().write_tiny_llm(tmp_path, template=template)
    with pytest.raises(EngineError, match="chat template"):
        load(tmp_path)


def test_a_strict_template_gets_a_conversation_that_it_takes(tmp_path: Path) -> None:
    tiny().write_tiny_llm(tmp_path, template="strict")
    llm = load(tmp_path)
    talk = [Message("system", "Be brief."), Message("user", "Hello"), QUESTION]
    first, *rest = llm.generate(talk, NEVER)
    assert isinstance(first, Prefilled)
    assert first.turn_end_probability is not None
    assert rest


def test_a_missing_shard_and_a_pickle_are_told(tmp_path: Path) -> None:
    tiny().write_tiny_of_kind(tmp_path / "a", "qwen2", shards=True)
    min((tmp_path / "a").glob("*.safetensors")).unlink()
    with pytest.raises(ModelMissingError, match="model-00001"):
        load(tmp_path / "a")
    for file in (tmp_path / "a").glob("*.safetensors"):
        file.unlink()
    (tmp_path / "a" / "pytorch_model.bin").write_bytes(b"\x80\x02")
    with pytest.raises(ModelUnsafeError, match="may carry code"):
        load(tmp_path / "a")


def test_a_device_that_is_not_here_is_told(folder: Path) -> None:
    import torch  # noqa: PLC0415 - heavy

    if torch.cuda.is_available():
        pytest.skip("this machine has it")
    with pytest.raises(ConfigError, match=r"llm\.device = cuda"):
        load(folder, device="cuda")


def test_a_small_graph_stays_on_the_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voicebot.models.llama_onnx import write_llama_onnx  # noqa: PLC0415 - heavy

    tiny().write_tiny_llm(tmp_path)
    assert write_llama_onnx(tmp_path, tmp_path / "llama.onnx")

    def refuse(choice: str) -> str:
        raise AssertionError(f"looked for {choice}")

    monkeypatch.setattr(local_llm, "torch_device", refuse)
    assert isinstance(load(tmp_path, precision="int8", device="auto")._network, OnnxNetwork)

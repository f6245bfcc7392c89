from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from voicebot.engines.causal_network import TransformersNetwork
from voicebot.engines.llama_network import LlamaNetwork
from voicebot.engines.local_llm import LocalLlm
from voicebot.engines.onnx_network import OnnxNetwork
from voicebot.engines.protocols import Message, TextPiece
from voicebot.errors import EngineError, ModelDamagedError, ModelMissingError
from voicebot.models.block_weights import as_four_bits
from voicebot.models.llama_onnx import write_llama_onnx
from voicebot.models.llama_shape import GRAPH_NAME
from voicebot.models.model_json import read_json

QUESTION = [Message("system", "Answer in one short sentence."), Message("user", "What time is it?")]
LONG = [(7 * i) % 380 for i in range(700)]


def write_tiny_llm(folder: Path, seed: int) -> None:
    path = Path(__file__).parents[2] / "tools" / "make_tiny_llm.py"
    spec = importlib.util.spec_from_file_location("make_tiny_llm", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.write_tiny_llm(folder, seed=seed)


def on_sixteen_levels(weight: np.ndarray) -> np.ndarray:
    blocks = weight.reshape(len(weight), -1, 32)
    lowest, highest = blocks.min(-1, keepdims=True), blocks.max(-1, keepdims=True)
    scale = (highest - lowest) / 15
    levels = np.rint((blocks - lowest) / scale)
    return np.asarray(levels * scale + lowest, np.float32).reshape(weight.shape)


@pytest.fixture(scope="module", params=["free weights", "four-bit weights"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    write_tiny_llm(path, seed=3)
    if request.param == "four-bit weights":
        weights = load_file(path / "model.safetensors")
        for name, weight in weights.items():
            if name.endswith("_proj.weight"):
                weights[name] = on_sixteen_levels(weight)
                assert as_four_bits(weights[name]) is not None
        save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    assert write_llama_onnx(path, path / GRAPH_NAME)
    return path


def differs_by(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.sqrt(np.mean((found - expected) ** 2)) / expected.std())


def test_it_predicts_what_transformers_does_but_for_rounding(folder: Path) -> None:
    network = OnnxNetwork.load(folder, threads=1)
    reference = TransformersNetwork.load(folder, dtype=torch.float32)
    for token_ids in ([1, 5, 9, 200, 7], [4], [300, 2, 2, 8], LONG[:64]):
        rows = range(len(token_ids))
        assert differs_by(network.read(token_ids, rows), reference.read(token_ids, rows)) < 0.1


def test_only_the_wanted_rows_come_in_the_order_asked_for(folder: Path) -> None:
    everywhere, some = (OnnxNetwork.load(folder, threads=1) for _ in range(2))
    whole = everywhere.read([1, 5, 9, 200], range(4))
    assert whole.shape == (4, 384)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(some.read([1, 5, 9, 200], [3, 1]), whole[[3, 1]], atol=1e-4)


def test_going_back_predicts_like_a_fresh_network(folder: Path) -> None:
    fresh, rewound = (OnnxNetwork.load(folder, threads=1) for _ in range(2))
    rewound.read([1, 5, 9, 200, 7], [4])
    assert rewound.keep(2) == 2
    assert rewound.keep(9) == 2
    rewound.read([8, 8], [1])
    fresh.read([1, 5, 8, 8], [3])
    np.testing.assert_allclose(rewound.read([6], [0]), fresh.read([6], [0]), atol=1e-3)


def test_the_cache_grows_and_keeps_what_was_read(folder: Path) -> None:
    parts = OnnxNetwork.load(folder, threads=1)
    parts.read(LONG[:400], [0])
    reference = TransformersNetwork.load(folder, dtype=torch.float32)
    expected = reference.read(LONG, [len(LONG) - 1])
    assert differs_by(parts.read(LONG[400:], [-1]), expected) < 0.1


def test_one_token_after_the_other_is_the_same_as_all_at_once(folder: Path) -> None:
    single, whole = (OnnxNetwork.load(folder, threads=1) for _ in range(2))
    rows = np.concatenate([single.read([token], [0]) for token in LONG[:20]])
    assert differs_by(rows, whole.read(LONG[:20], range(20))) < 0.02


def test_two_conversations_do_not_share_a_cache(folder: Path) -> None:
    one, other = (OnnxNetwork.load(folder, threads=1) for _ in range(2))
    one.read([1, 5, 9], [2])
    expected = OnnxNetwork.load(folder, threads=1)
    expected.read([1, 5, 9], [2])
    other.read([200, 201, 202], [2])
    np.testing.assert_allclose(one.read([7], [0]), expected.read([7], [0]), atol=1e-4)


def load(path: Path, **options: Any) -> LocalLlm:
    return LocalLlm.load(path, **({"threads": 1, "max_tokens": 12} | options))


def test_auto_takes_the_graph_if_it_is_there(folder: Path, tmp_path: Path) -> None:
    assert isinstance(load(folder)._network, OnnxNetwork)
    without = tmp_path / "model"
    shutil.copytree(folder, without)
    (without / GRAPH_NAME).unlink()
    assert isinstance(load(without)._network, LlamaNetwork)


def test_other_networks_and_precisions_can_be_asked_for(folder: Path) -> None:
    assert isinstance(load(folder, network="torch")._network, LlamaNetwork)
    assert isinstance(load(folder, network="transformers")._network, TransformersNetwork)
    assert isinstance(load(folder, precision="bfloat16")._network, LlamaNetwork)
    assert isinstance(load(folder, network="onnx")._network, OnnxNetwork)


def test_asking_for_what_cannot_be_is_one_clear_line(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "model"
    shutil.copytree(folder, path)
    (path / GRAPH_NAME).unlink()
    with pytest.raises(ModelMissingError, match=GRAPH_NAME):
        load(path, network="onnx")
    config = read_json(path / "config.json") | {"model_type": "mistral"}
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(EngineError, match="torch"):
        load(path, network="torch")


def test_a_broken_graph_is_a_damaged_model(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "model"
    shutil.copytree(folder, path)
    content = (path / GRAPH_NAME).read_bytes()
    (path / GRAPH_NAME).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelDamagedError, match=GRAPH_NAME):
        load(path)


def test_a_stop_between_tokens_ends_the_reply(folder: Path) -> None:
    llm, stop = load(folder), threading.Event()
    pieces = []
    for step in llm.generate(QUESTION, stop):
        if isinstance(step, TextPiece):
            pieces.append(step)
            stop.set()
    assert len(pieces) == 1
    again = [s.text for s in llm.generate(QUESTION, threading.Event()) if isinstance(s, TextPiece)]
    fresh = load(folder).generate(QUESTION, threading.Event())
    assert again == [step.text for step in fresh if isinstance(step, TextPiece)]


def test_serving_does_not_import_torch(folder: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from voicebot.engines.local_llm import LocalLlm;"
        f"LocalLlm.load(Path({str(folder)!r}), threads=1, max_tokens=2);"
        "sys.exit('torch' in sys.modules or 'onnx' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_network_of_another_form_has_no_graph(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "model"
    shutil.copytree(folder, path)
    config = read_json(path / "config.json") | {"model_type": "mistral"}
    (path / "config.json").write_text(json.dumps(config))
    assert not write_llama_onnx(path, tmp_path / "graph.onnx")
    assert not (tmp_path / "graph.onnx").exists()


def test_lacking_weights_are_named(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "model"
    shutil.copytree(folder, path)
    weights = load_file(path / "model.safetensors")
    del weights["model.layers.1.mlp.down_proj.weight"]
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelDamagedError, match="down_proj"):
        write_llama_onnx(path, tmp_path / "graph.onnx")


def test_an_output_matrix_of_its_own_is_used(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "model"
    shutil.copytree(folder, path)
    weights = load_file(path / "model.safetensors")
    weights["lm_head.weight"] = np.ascontiguousarray(weights["model.embed_tokens.weight"][::-1])
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    assert write_llama_onnx(path, path / GRAPH_NAME)
    mirrored = OnnxNetwork.load(path, threads=1).read([5, 9], [1])
    tied = OnnxNetwork.load(folder, threads=1).read([5, 9], [1])
    np.testing.assert_allclose(mirrored[:, ::-1], tied, atol=1e-3)

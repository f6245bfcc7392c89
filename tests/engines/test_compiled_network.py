"""The compiled step, on the processor: the same shapes and the same tracing as on CUDA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tiny_llm import tiny
from voicebot.engines.causal_network import TransformersNetwork
from voicebot.engines.compiled_network import CompiledNetwork, can_be_compiled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOKENS = [(37 * i + 5) % 380 for i in range(60)]


def traced(forward: Callable[..., Any]) -> Callable[..., Any]:
    """In one graph, which CUDA graphs need; run as it is."""
    return torch.compile(forward, backend="eager", fullgraph=True)


@pytest.fixture(scope="module", params=["llama", "qwen2", "qwen3"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp(request.param)
    tiny().write_tiny_of_kind(path, request.param, seed=1)
    return path


def test_it_predicts_what_the_uncompiled_network_does(folder: Path) -> None:
    plain = TransformersNetwork.load(folder, dtype=torch.float32)
    assert can_be_compiled(plain._model)
    compiled = CompiledNetwork(plain._model, room_tokens=64, compile_step=traced)
    for network in (plain, compiled):
        network.read(TOKENS[:30], [29])
        assert network.keep(28) == 28
        network.read([9], [0])
        assert network.forget(4, 12)
    for token in (7, 300, 12):
        found, expected = compiled.read([token], [0]), plain.read([token], [0])
        np.testing.assert_allclose(found, expected, atol=2e-4)
    assert compiled._step is not None
    assert compiled.keep(0) == 0
    plain.keep(0)
    np.testing.assert_allclose(
        compiled.read(TOKENS[:9], [8]), plain.read(TOKENS[:9], [8]), atol=2e-4
    )


def test_where_compiling_fails_it_goes_on_without(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(_: Callable[..., Any]) -> Callable[..., Any]:
        def step(*_: Any, **__: Any) -> Any:
            raise RuntimeError("no compiler here")

        return step

    plain = TransformersNetwork.load(folder, dtype=torch.float32)
    network = CompiledNetwork(plain._model, room_tokens=64, compile_step=failing)
    assert "no compiler here" in caplog.text
    plain.read(TOKENS[:20], [0])
    network.read(TOKENS[:20], [0])
    np.testing.assert_allclose(network.read([7], [0]), plain.read([7], [0]), atol=2e-4)


def test_models_with_windows_or_states_are_not_compiled(tmp_path: Path) -> None:
    for kind in ("gemma3_text", "falcon_h1"):
        tiny().write_tiny_of_kind(tmp_path / kind, kind)
        network = TransformersNetwork.load(tmp_path / kind, dtype=torch.float32)
        assert not can_be_compiled(network._model)

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from voicebot.engines.stoppable_session import RunStoppedError, StoppableSession

if TYPE_CHECKING:
    from pathlib import Path


class Endless:
    """A session that runs until its options end it, as onnxruntime's does."""

    def __init__(self) -> None:
        self.is_running = threading.Event()

    def run(self, outputs: Any, inputs: Any, options: Any) -> Any:
        self.is_running.set()
        while not options.terminate:
            pass
        raise RuntimeError("Exiting due to terminate flag being set to true.")


def test_a_run_ends_when_it_is_stopped() -> None:
    inner, stop = Endless(), threading.Event()
    session = StoppableSession(inner)
    session.stop = stop
    threading.Thread(target=lambda: inner.is_running.wait(5) and stop.set()).start()
    with pytest.raises(RunStoppedError):
        session.run(None, {})


class Failing:
    def run(self, *arguments: Any) -> Any:
        raise RuntimeError("broken")


@pytest.mark.parametrize("stop", [None, threading.Event()])
def test_a_failure_is_no_stop(stop: threading.Event | None) -> None:
    session = StoppableSession(Failing())
    session.stop = stop
    with pytest.raises(RuntimeError, match="broken"):
        session.run(None, {})


def test_no_thread_is_left_and_results_are_the_same(tmp_path: Path) -> None:
    import onnxruntime  # noqa: PLC0415 - only here
    from onnx import TensorProto, helper, save  # noqa: PLC0415 - only here

    shape = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "ab"]
    graph = helper.make_graph([helper.make_node("Neg", ["a"], ["b"])], "g", shape[:1], shape[1:])
    opsets = [helper.make_opsetid("", 15)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(tmp_path / "g.onnx"))
    session = StoppableSession(onnxruntime.InferenceSession(str(tmp_path / "g.onnx")))
    before = threading.active_count()
    for stop in (None, threading.Event()):
        session.stop = stop
        (result,) = session.run(None, {"a": np.ones(1, np.float32)})
        assert result.tolist() == [-1.0]
    assert threading.active_count() == before
    assert [one.name for one in session.get_inputs()] == ["a"]

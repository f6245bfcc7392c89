"""The tool that makes tiny language models, for tests."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["tiny"]


@cache
def tiny() -> Any:
    """The module tools/make_tiny_llm.py."""
    path = Path(__file__).parents[1] / "tools" / "make_tiny_llm.py"
    spec = importlib.util.spec_from_file_location("make_tiny_llm", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

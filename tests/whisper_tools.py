"""The tools that make Whispers, for tests: loaded from tools/, which is no package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["load_tool"]


def load_tool(name: str) -> ModuleType:
    """The script tools/NAME.py as a module."""
    if name in sys.modules:
        return sys.modules[name]
    path = Path(__file__).parents[1] / "tools" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # its dataclasses look there for their annotations
    spec.loader.exec_module(module)
    return module

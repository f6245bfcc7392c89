"""Lets the kiosk's tests import their own helpers and the tools' browser."""

from __future__ import annotations

import sys
from pathlib import Path

# importlib mode adds no folder.
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "tools")]

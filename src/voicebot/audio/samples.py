"""What audio is inside voicebot: mono float32 in [-1, 1], 16 kHz on the way in."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["INPUT_SAMPLE_RATE_HZ", "Samples"]

INPUT_SAMPLE_RATE_HZ = 16_000
"""Every listening stage takes this rate; sources resample to it."""

Samples: TypeAlias = NDArray[np.float32]
"""Shape (n,), dtype float32, full scale at ±1."""

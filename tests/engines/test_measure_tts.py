"""The measuring command, on a voice that hums."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).parents[2] / "tools"


def test_a_row_for_each_thread_count(tmp_path: Path) -> None:
    voice = tmp_path / "hum.onnx"
    subprocess.run([sys.executable, TOOLS / "make_tiny_piper.py", voice], check=True)
    done = subprocess.run(
        [
            *(sys.executable, TOOLS / "measure_tts.py", "--model", voice),
            *("--threads", "1,2", "--runs", "2"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| hum")]
    assert [[cell.strip() for cell in row.split("|")][2:5] for row in rows] == [
        ["tiny", "cpu", "1"],
        ["tiny", "cpu", "2"],
    ]

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from voicebot.models.lock import LockedModel, read_locked, write_locked

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_is_locked_at_first(tmp_path: Path) -> None:
    assert read_locked(tmp_path / "models.lock.json", "voice") is None


def test_models_written_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "models.lock.json"
    models = {f"model-{n}": LockedModel("made/up", f"{n:040}", {"a.json": "0"}) for n in range(8)}
    threads = [
        threading.Thread(target=write_locked, args=(path, name, locked))
        for name, locked in models.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: read_locked(path, name) for name in models} == models

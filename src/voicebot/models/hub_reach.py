"""Whether a model hub answers: asked once, quickly, and a no is remembered for a while."""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import platformdirs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["hub_answers", "hub_endpoint"]

_TIMEOUT_S = 3.0
_REMEMBERED_S = 300.0
_REFUSED = {403, 407}
"""What a proxy says that lets nothing through."""

_SERVER_ERRORS = 500


def hub_endpoint() -> str:
    """The hub's address, as its own client reads it from the environment."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def hub_answers(
    *,
    ask: Callable[[str, float], bool] | None = None,
    timeout_s: float = _TIMEOUT_S,
    path: Path | None = None,
    now: Callable[[], float] = time.time,
) -> bool:
    """Whether the hub can be fetched from; takes ``timeout_s`` at most.

    Args:
        ask: asks an address, with a time limit in seconds.
        timeout_s: after this long nobody answers.
        path: where a no is remembered, else the user's cache folder.
        now: gives seconds since the epoch.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return False
    endpoint = hub_endpoint()
    path = path or platformdirs.user_cache_path("voicebot", appauthor=False) / "hub.json"
    if _said_no(path, endpoint, now()):
        return False
    answers: list[bool] = []
    asking = ask or _ask
    # On a thread of its own: looking a name up knows no time limit.
    thread = threading.Thread(
        target=lambda: answers.append(asking(endpoint, timeout_s)), name="ask-hub", daemon=True
    )
    thread.start()
    thread.join(timeout_s)
    if answers == [True]:
        return True
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"endpoint": endpoint, "no_answer_at": now()}
        path.write_text(json.dumps(content) + "\n", encoding="utf-8")
    except OSError:  # it is asked again the next time
        pass
    return False


def _said_no(path: Path, endpoint: str, now: float) -> bool:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        is_recent = 0 <= now - kept["no_answer_at"] < _REMEMBERED_S
        return bool(kept["endpoint"] == endpoint and is_recent)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _ask(endpoint: str, timeout_s: float) -> bool:
    if not endpoint.startswith(("https://", "http://")):
        return False
    request = urllib.request.Request(f"{endpoint}/api/models?limit=1", method="HEAD")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=timeout_s):  # noqa: S310
            return True
    except urllib.error.HTTPError as error:
        return error.code < _SERVER_ERRORS and error.code not in _REFUSED
    except (OSError, ValueError):
        return False

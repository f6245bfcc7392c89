"""What the messages hold (pure)."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voicebot.mqtt.controls import ControlsState
    from voicebot.mqtt.health import Health
    from voicebot.telemetry.turn_facts import TurnFacts

__all__ = [
    "OFFLINE",
    "ONLINE",
    "controls_payload",
    "health_payload",
    "reply_payload",
    "transcript_payload",
    "turn_body",
    "turn_payload",
]

ONLINE = "online"
OFFLINE = "offline"

_WORDS = frozenset({"transcript", "reply", "heard"})
_RESULT_CHARACTERS_MAX = 4000


def turn_body(facts: TurnFacts) -> str:
    """A turn's figures as they wait in the outbox: a JSON object, never with a word in it."""
    fields = {name: value for name, value in asdict(facts).items() if name not in _WORDS}
    if (breakdown := fields["breakdown_ms"]) is not None:
        fields["breakdown_ms"] = {part: round(spent, 1) for part, spent in breakdown.items()}
    if (latency_ms := fields["latency_ms"]) is not None:
        fields["latency_ms"] = round(latency_ms, 1)
    return _json(fields)


def turn_payload(stream: str, sequence: int, body: str) -> str:
    """The message of a turn.

    Args:
        stream: which outbox numbered it; another one begins to count anew.
        sequence: grows by one from turn to turn. A number that was there already is the same
            message again, and a gap means turns that were dropped.
        body: see ``turn_body``.
    """
    fields = {"stream": stream, "sequence": sequence, **json.loads(body)}
    return _json(fields)


def transcript_payload(facts: TurnFacts) -> str:
    """What was said in a turn."""
    return _json({"turn": facts.turn, "transcript": facts.transcript, "heard": facts.heard})


def health_payload(health: Health) -> str:
    """A report on health."""
    return _json(asdict(health))


def controls_payload(state: ControlsState) -> str:
    """How the kiosk is set."""
    return _json(asdict(state))


def reply_payload(
    command: str,
    command_id: str | None,
    *,
    error: str | None = None,
    result: str | None = None,
) -> str:
    """The answer to a command.

    Args:
        command: its name.
        command_id: what its sender calls it.
        error: one line; None if it was carried out.
        result: what it gave, if anything.
    """
    fields: dict[str, Any] = {"id": command_id, "command": command[:64], "ok": error is None}
    if error is not None:
        fields["error"] = error[:_RESULT_CHARACTERS_MAX]
    if result is not None:
        fields["result"] = result[:_RESULT_CHARACTERS_MAX]
    return _json(fields)


def _json(fields: dict[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False)

"""How passages are shown to the language model: behind the user's words, as a note.

Behind them, so that the prompt up to and including the words is the one that was read while the
user still spoke. SmolLM2-135M gets names and numbers right more often with the note behind the
question than before it, and with one passage rather than two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicebot.engines.protocols import Message
from voicebot.knowledge.hygiene import without_signs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicebot.knowledge.passages import Passage

__all__ = ["NOTE_BEGINS", "with_note"]

NOTE_BEGINS = "(Answer from this note"
"""How the note begins; a small model now and then writes one itself."""


def with_note(messages: Sequence[Message], passages: Sequence[Passage]) -> list[Message]:
    """``messages`` with ``passages`` in the last one, which is the user's.

    The passages are data: one line between quotation marks that they cannot close.
    """
    note = " ".join(without_signs(passage.text).replace('"', "'") for passage in passages)
    last = messages[-1]
    content = f'{last.content} {NOTE_BEGINS}: "{note}")'
    return [*messages[:-1], Message(last.role, content)]

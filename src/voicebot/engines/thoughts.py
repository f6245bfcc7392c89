"""What a model thinks before it answers, kept out of what is spoken (pure).

Models that reason write their thoughts between markers, each family between its own; a marker may
come in several pieces, or as one special token.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["ThoughtFilter", "close_open_thought", "shown_in_markers"]


@dataclass(frozen=True, slots=True)
class _Marker:
    text: str
    step: int  # 1 opens a thought, -1 ends one, 0 ends all: the answer begins


_PAIRS = (
    ("<think>", "</think>"),  # Qwen 3, DeepSeek R1, SmolLM3 and most others
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<reflection>", "</reflection>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),  # Magistral
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A
    ("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),  # Kimi
)
_ENDS = dict(_PAIRS)
_CHANNEL_CHANGE = "<|end|><|start|>assistant"
_ANSWER_BEGINS = "<|channel|>final<|message|>"
_MARKERS = (
    *(_Marker(text, step) for pair in _PAIRS for text, step in zip(pair, (1, -1), strict=True)),
    _Marker("<|channel|>analysis", 1),  # gpt-oss
    _Marker("<|channel|>commentary", 1),
    _Marker(_ANSWER_BEGINS, 0),
)
_STEPS = {marker.text: marker.step for marker in _MARKERS}
_FIND = re.compile("|".join(re.escape(text) for text in sorted(_STEPS, key=len, reverse=True)))
_BEGINNING = re.compile("[" + re.escape("".join({text[0] for text in _STEPS})) + "]")
_BEGINNINGS = frozenset(text[:length] for text in _STEPS for length in range(1, len(text)))
_LONGEST = max(map(len, _BEGINNINGS))


class ThoughtFilter:
    """Takes a reply piece by piece; gives what stands outside of thoughts.

    A thought may hold further ones. One that never ends hides all that follows it. The end of a
    thought that never began is left out. White space behind a thought is left out if nothing was
    given before it.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._opening = ""
        self._held = ""
        self._has_given = False

    @property
    def is_hidden(self) -> bool:
        """Whether what comes next belongs to a thought."""
        return self._depth > 0

    @property
    def is_undecided(self) -> bool:
        """Whether text is held back that may begin a marker."""
        return bool(self._held) and not self._depth

    def ending(self) -> str:
        """What ends the thought that is open, as the model would write it; empty if none is."""
        if not self._depth:
            return ""
        if self._opening not in _ENDS:
            return _CHANNEL_CHANGE + _ANSWER_BEGINS
        return "\n" + _ENDS[self._opening] * self._depth + "\n\n"

    def feed(self, piece: str) -> str:
        """Take the next piece; give what is certain to be spoken, maybe nothing."""
        if not self._held and not self._depth and self._has_given and not _BEGINNING.search(piece):
            return piece  # The common case.
        text = self._held + piece
        self._held = ""
        given: list[str] = []
        begin = 0
        for found in _FIND.finditer(text):
            self._give(text[begin : found.start()], given)
            step = _STEPS[found.group()]
            if step > 0:
                self._opening = found.group()
            self._depth = max(0, self._depth + step) if step else 0
            begin = found.end()
        rest = text[begin:]
        held = _held_length(rest)
        self._held = rest[len(rest) - held :]
        self._give(rest[: len(rest) - held], given)
        return "".join(given)

    def held_text(self) -> str:
        """What was held back and, if nothing comes any more, is to be spoken after all."""
        if self._depth:
            return ""
        return self._held if self._has_given else self._held.lstrip()

    def _give(self, text: str, given: list[str]) -> None:
        if self._depth:
            return
        if not self._has_given:
            text = text.lstrip()
        if text:
            self._has_given = True
            given.append(text)


def close_open_thought(prompt: str) -> str:
    """A prompt that begins a thought for the model, with that thought ended at once.

    A model goes on with its answer after an empty thought: Ma et al., "Reasoning Models Can Be
    Effective Without Thinking" (2025).
    """
    bare = prompt.rstrip()
    for opening, end in _PAIRS:
        if bare.endswith(opening):
            return f"{bare}\n\n{end}\n\n"
    return prompt


def shown_in_markers(token: str) -> bool:
    """Whether a special token, which decoding would leave out, is part of a marker."""
    return any(token in text for text in _STEPS)


def _held_length(text: str) -> int:
    """How much of the end of ``text`` may be the beginning of a marker."""
    for length in range(min(len(text), _LONGEST), 0, -1):
        if text[len(text) - length :] in _BEGINNINGS:
            return length
    return 0

"""Passages are data. What could be taken for orders or for a prompt's own signs is taken out.

Whatever gets through can still not change the guard's rules: they are code, and see every clause
before it is spoken. This only spares the model the temptation.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["is_order", "without_signs"]

# Chat templates' own signs, which tokenizers take for them wherever they stand in a text.
_SIGNS = re.compile(
    r"<\|[^<>|]{0,40}\|>|</?(?:s|bos|eos|start_of_turn|end_of_turn|unk|pad)>|\[/?INST\]|<</?SYS>>"
    r"|\[/?(?:SYSTEM|AVAILABLE_TOOLS|TOOL_CALLS)\]",
    re.IGNORECASE,
)
_ROLES = re.compile(
    r"(?:^|(?<=[.!?\n]))\s*#*\s*(?:system|assistant|user|human|developer|instructions?)\s*"
    r"(?:prompt|message)?\s*:",
    re.IGNORECASE,
)
_INVISIBLE = {"Cf", "Cc", "Co"}

_ORDERS = re.compile(
    r"(?:ignore|disregard|forget|override|bypass)\W+(?:\w+\W+){0,4}?"
    r"(?:instructions?|rules?|prompts?|guidelines|training|restrictions|everything\W+(?:above|before))"
    r"|you\W+are\W+(?:now|no\W+longer)\W+(?:\w+\W+){0,3}?(?:dan|unrestricted|uncensored|bound|"
    r"free\W+(?:of|from)|without\W+(?:any\W+)?(?:rules|limits|restrictions))\b"
    r"|(?:new|updated|secret|hidden)\W+(?:system\W+)?(?:instructions?|rules)\W+(?:for|to)\W+"
    r"(?:the\W+)?(?:assistant|bot|ai|model|you)"
    r"|(?:reveal|repeat|print|show|tell)\W+(?:\w+\W+){0,3}?system\W+prompt"
    r"|(?:act|pretend|behave)\W+as\W+(?:if\W+)?(?:you\W+(?:had|have)\W+no|dan\b|an?\W+unrestricted)"
    r"|(?:as|dear)\W+(?:an?\W+)?(?:ai|assistant|language\W+model)\W+(?:\w+\W+){0,2}?you\W+must"
    r"|(?:ignoriere|vergiss|missachte)\W+(?:\w+\W+){0,4}?(?:anweisungen|regeln|vorgaben)"
    r"|(?:ignora|olvida)\W+(?:\w+\W+){0,4}?(?:instrucciones|reglas)"
    r"|(?:ignore|ignorez|oublie|oubliez)\W+(?:\w+\W+){0,4}?(?:instructions|règles|consignes)",
    re.IGNORECASE,
)


def without_signs(text: str) -> str:
    """``text`` on one line, without the signs of prompts, role names and invisible characters."""
    seen = "".join(
        one if one in "\n\t" or unicodedata.category(one) not in _INVISIBLE else " "
        for one in unicodedata.normalize("NFKC", text)
    )
    before = None
    while before != seen:  # What was taken out may have stood between the parts of another sign.
        before = seen
        seen = _ROLES.sub(" ", _SIGNS.sub(" ", seen))
    return " ".join(seen.split())


def is_order(text: str) -> bool:
    """Whether ``text`` tells a language model to give up its instructions."""
    return _ORDERS.search(" ".join(unicodedata.normalize("NFKC", text).split())) is not None

"""Choosing the next token (pure).

The steps and their order are those of transformers' ``generate``: repetition penalty, temperature,
top-k, top-p, min-p.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

__all__ = ["GREEDY", "Sampling", "chosen_token", "drawn_share"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen.

    Attributes:
        temperature: flattens the distribution above 1 and sharpens it below; 0 takes the
            likeliest token.
        top_p: only the likeliest tokens that together have this probability (Holtzman et al.,
            "The Curious Case of Neural Text Degeneration", 2020); 1 takes all.
        top_k: only this many of the likeliest tokens (Fan et al., 2018); 0 takes all.
        min_p: only tokens at least this share as likely as the likeliest one (Nguyen et al.,
            2024); 0 takes all.
        repetition_penalty: logits of tokens that the reply already has are divided by it, or
            multiplied if negative (Keskar et al., "CTRL", 2019); 1 changes nothing.
        seed: the same seed draws the same reply to the same prompt.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int = 0

    @property
    def takes_likeliest(self) -> bool:
        """Whether every token is the likeliest one."""
        return self.temperature == 0 and self.repetition_penalty == 1


GREEDY = Sampling()


def chosen_token(
    logits: NDArray[np.float32], sampling: Sampling, reply_ids: Collection[int], share: float
) -> int:
    """The next token's id.

    Args:
        logits: shape (vocabulary,), float32; left as they are.
        sampling: how to choose.
        reply_ids: the tokens of the reply so far.
        share: 0 to 1, where in the distribution to draw; a uniform random number.
    """
    scores = logits.astype(np.float64)
    if sampling.repetition_penalty != 1 and reply_ids:
        places = np.unique(np.fromiter(reply_ids, np.int64))
        repeated = scores[places]
        penalty = sampling.repetition_penalty
        scores[places] = np.where(repeated > 0, repeated / penalty, repeated * penalty)
    if sampling.temperature == 0:
        return int(scores.argmax())
    scores /= sampling.temperature
    count = min(sampling.top_k or len(scores), len(scores))
    candidates = np.argpartition(-scores, count - 1)[:count]
    candidates = candidates[np.argsort(-scores[candidates], kind="stable")]
    shares = np.exp(scores[candidates] - scores[candidates[0]])
    shares /= shares.sum()
    if sampling.top_p < 1:
        # The one that passes the limit still counts, so at least one stays.
        shares = shares[: int(np.searchsorted(shares.cumsum(), sampling.top_p)) + 1]
    shares = shares[shares >= sampling.min_p * shares[0]]
    sums = shares.cumsum()
    place = int(np.searchsorted(sums, share * sums[-1], side="right"))
    return int(candidates[min(place, len(sums) - 1)])


def drawn_share(seed: int, prompt_ids: Sequence[int], index: int) -> float:
    """A number from 0 to 1 for the reply's token at ``index``.

    It depends on nothing else, so that a reply that is begun a second time, or written ahead, is
    the same one.
    """
    content = np.asarray([seed, index, *prompt_ids], np.int64).tobytes()
    drawn = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")
    return drawn / 2**64

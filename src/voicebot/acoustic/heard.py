"""What a recording tells of one turn: true end, first audible sample, cut-ins (pure).

The bot is audible by the rule of ``audio/loudness.py``: windows of 10 ms above -45 dBFS. The first
audible sample is the first one in the first audible window whose magnitude is above that level,
which takes the coarseness of the window out of the figure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from voicebot.acoustic.alignment import MATCH_MIN, align_clip
from voicebot.audio.loudness import AUDIBLE_LEVEL_DBFS, audible_spans, window_samples
from voicebot.bench.scoring import MISS_AFTER_S
from voicebot.errors import AudioError

if TYPE_CHECKING:
    from voicebot.audio.samples import Samples
    from voicebot.bench.callers import CallerTurn

__all__ = [
    "CLIPPED_LEVEL",
    "HeardTurn",
    "first_audible_sample",
    "hear_turn",
    "level_dbfs",
]

CLIPPED_LEVEL = 0.999
"""A sample of this magnitude or more is at full scale."""

_AUDIBLE_AMPLITUDE = 10.0 ** (AUDIBLE_LEVEL_DBFS / 20.0)
_REPLY_GAP_MS = 300.0  # a longer silence parts what was broken off from the answer
_SILENCE_MS = 50.0
_CLIPPED_SHARE = 1e-3
_STRETCH_MAX_MS = 5.0


@dataclass(frozen=True, slots=True)
class HeardTurn:
    """One turn as the recording has it. Instants are seconds from the recording's first sample.

    Attributes:
        true_end_s: the caller's labelled end.
        audible_s: the first audible sample of the reply; None if there is none.
        voice_to_voice_ms: ``audible_s`` less ``true_end_s``, signed; None without a reply.
        missed: nothing audible within 5 s of the true end.
        cut_in: the bot was audible between the caller's first word and true end.
        overlap_ms: for how long.
        yield_ms: where the bot was audible as the caller began: from there to its last audible
            sample; None otherwise, and if one microphone heard both.
        match: of the caller's clip with the recording, 0 to 1.
        stretch_ms: see ``Alignment``.
        level_dbfs: RMS of the caller's clip in the recording.
        reply_level_dbfs: RMS of the reply's first second; None without a reply.
        warnings: what makes the figure doubtful, a line each.
    """

    true_end_s: float
    audible_s: float | None
    voice_to_voice_ms: float | None
    missed: bool
    cut_in: bool
    overlap_ms: float
    match: float
    stretch_ms: float
    level_dbfs: float
    reply_level_dbfs: float | None
    warnings: tuple[str, ...] = ()
    yield_ms: float | None = None


def level_dbfs(samples: Samples) -> float:
    """RMS level; -120 for silence and for no samples."""
    if not samples.size:
        return -120.0
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return 10.0 * math.log10(max(power, 1e-12))


def first_audible_sample(samples: Samples, sample_rate_hz: int, window_start: int) -> int:
    """The first sample above -45 dBFS in the audible window that begins at ``window_start``."""
    window = samples[window_start : window_start + window_samples(sample_rate_hz)]
    above = np.flatnonzero(np.abs(window) > _AUDIBLE_AMPLITUDE)
    return window_start + int(above[0])  # an RMS above a level has a sample above it


def hear_turn(
    user: Samples,
    bot: Samples | None,
    sample_rate_hz: int,
    *,
    clip: Samples,
    label: CallerTurn,
    starts_s: float = 0.0,
) -> HeardTurn:
    """Measure one turn.

    Args:
        user: shape (n,); the caller's channel from a little before the clip to after the reply.
        bot: shape (n,); the bot's channel, sample by sample beside ``user``. None if one
            microphone heard both: then only what begins after a silence behind the caller's true
            end counts as the bot, and cut-ins are not seen.
        sample_rate_hz: of everything here.
        clip: shape (m,); what was played.
        label: of the clip.
        starts_s: the instant of the first sample.

    Raises:
        AudioError: the clip is not in the recording.
    """
    alignment = align_clip(user, clip, sample_rate_hz, true_end_s=label.true_end_s)
    if alignment.match < MATCH_MIN:
        raise AudioError(_why_unmatched(user, label, alignment.match), _CHECK_CABLE)
    true_end = alignment.true_end
    onset = round(true_end - (label.true_end_s - label.start_s) * sample_rate_hz)
    end = round(true_end)
    if bot is None:
        reply = _reply_behind(user, end, sample_rate_hz)
        overlap = 0
        yielded = None
    else:
        # The grid of windows begins at the true end, so that it is the same for every turn.
        shift = end % window_samples(sample_rate_hz)
        shifted = bot[shift:]
        spans = [(a + shift, b + shift) for a, b in audible_spans(shifted, sample_rate_hz)]
        overlap = sum(max(0, min(b, end) - max(a, onset)) for a, b in spans)
        reply = _first_reply(bot, end, sample_rate_hz, shift)
        yielded = _yielded(bot, onset, sample_rate_hz)
    heard = bot if bot is not None else user
    spoken = user[max(0, onset) : end]
    return HeardTurn(
        true_end_s=starts_s + true_end / sample_rate_hz,
        audible_s=None if reply is None else starts_s + reply / sample_rate_hz,
        voice_to_voice_ms=None if reply is None else (reply - true_end) * 1000.0 / sample_rate_hz,
        missed=reply is None or reply - true_end > MISS_AFTER_S * sample_rate_hz,
        cut_in=overlap > 0,
        overlap_ms=overlap * 1000.0 / sample_rate_hz,
        match=alignment.match,
        stretch_ms=alignment.stretch_ms,
        level_dbfs=level_dbfs(spoken),
        reply_level_dbfs=None
        if reply is None
        else level_dbfs(heard[max(0, reply) : max(0, reply) + sample_rate_hz]),
        warnings=tuple(_warnings(spoken, alignment.stretch_ms)),
        yield_ms=None if yielded is None else yielded * 1000.0 / sample_rate_hz,
    )


_CHECK_CABLE = (
    "check the cable, the levels, the sample rates, and that the left channel is the caller's"
)


def _why_unmatched(user: Samples, label: CallerTurn, match: float) -> str:
    level = level_dbfs(user)
    if level < AUDIBLE_LEVEL_DBFS - 15.0:
        return f"the recording of {label.name} is silent ({level:.0f} dBFS)"
    return f"{label.name} is not found in the recording (match {match:.2f}, level {level:.0f} dBFS)"


def _first_reply(bot: Samples, end: int, sample_rate_hz: int, shift: int) -> int | None:
    """Where the first stretch of the bot that goes on behind ``end`` begins.

    A stretch that began before the end is the bot's, and the figure negative.
    """
    for start, stop in audible_spans(bot[shift:], sample_rate_hz, _REPLY_GAP_MS):
        if stop + shift > end:
            return first_audible_sample(bot, sample_rate_hz, start + shift)
    return None


def _yielded(bot: Samples, onset: int, sample_rate_hz: int) -> int | None:
    """For how many samples the bot went on behind ``onset``; None if it was silent then."""
    for start, stop in audible_spans(bot, sample_rate_hz, _REPLY_GAP_MS):
        if start <= onset < stop:
            above = np.flatnonzero(np.abs(bot[:stop]) > _AUDIBLE_AMPLITUDE)
            return max(0, int(above[-1]) + 1 - onset)
    return None


def _reply_behind(heard: Samples, end: int, sample_rate_hz: int) -> int | None:
    """Where sound begins after the first silence behind ``end``."""
    silence = _SILENCE_MS * sample_rate_hz / 1000.0
    quiet_since = end
    for start, stop in audible_spans(heard[end:], sample_rate_hz):
        if end + start - quiet_since >= silence:
            return first_audible_sample(heard, sample_rate_hz, end + start)
        quiet_since = end + stop
    return None


def _warnings(spoken: Samples, stretch_ms: float) -> list[str]:
    lines = []
    if spoken.size and np.mean(np.abs(spoken) >= CLIPPED_LEVEL) > _CLIPPED_SHARE:
        lines.append("the caller is clipped in the recording: turn it down")
    if abs(stretch_ms) > _STRETCH_MAX_MS:
        lines.append(
            f"the clip's end lies {stretch_ms:+.1f} ms off its start: a dropout, or a clock that "
            "drifts"
        )
    return lines

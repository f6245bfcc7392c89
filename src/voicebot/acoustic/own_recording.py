"""The same turns in the assistant's own recording: what its devices' clocks made of them (pure).

The assistant records what it heard and what it played at the instants that its devices report. The
same rules applied to that recording give its voice-to-voice figure from the label, as ``bench``
counts, without any estimate of the user's end. What the room's recording says beyond it is the
error of those instants, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voicebot.acoustic.alignment import MATCH_MIN, locate
from voicebot.acoustic.heard import hear_turn
from voicebot.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from voicebot.audio.samples import Samples
    from voicebot.bench.callers import CallerTurn

__all__ = ["PlayedClip", "own_figures_ms"]

_AROUND_S = 0.5
_LONGEST_START_S = 120.0


@dataclass(frozen=True, slots=True, eq=False)
class PlayedClip:
    """A turn as it was played into the room.

    Attributes:
        label: of the clip.
        clip: shape (m,), at the rate of the assistant's recording.
        starts_s: of its first sample, in the room's recording; None if it is not there.
    """

    label: CallerTurn
    clip: Samples
    starts_s: float | None


def own_figures_ms(
    frames: NDArray[np.float32], sample_rate_hz: int, played: Sequence[PlayedClip]
) -> list[float | None]:
    """Voice-to-voice of each turn in the assistant's own recording.

    Args:
        frames: shape (n, 2), the user left and the bot right.
        sample_rate_hz: of the recording.
        played: every clip from the first one that the assistant can have heard, in order.

    Returns:
        In ms, one for each clip; None without a reply, after a cut-in, or if it is not found.
    """
    user, bot = frames[:, 0], frames[:, 1]
    shift_s = _shift_s(user, sample_rate_hz, played)
    figures: list[float | None] = []
    for number, item in enumerate(played):
        if shift_s is None or item.starts_s is None:
            figures.append(None)
            continue
        begin = max(0, round((item.starts_s + shift_s - _AROUND_S) * sample_rate_hz))
        later = [each.starts_s for each in played[number + 1 :] if each.starts_s is not None]
        end = round((later[0] + shift_s) * sample_rate_hz) if later else len(user)
        figures.append(_figure_ms(user[begin:end], bot[begin:end], sample_rate_hz, item))
    return figures


def _shift_s(user: Samples, rate_hz: int, played: Sequence[PlayedClip]) -> float | None:
    """How much later than the room's the assistant's time of the same sound is.

    A clip may have been played more than once: the first one lies before the second turn.
    """
    known = [(each, each.starts_s) for each in played if each.starts_s is not None]
    if not known:
        return None
    first, starts_s = known[0]
    until_s = _LONGEST_START_S
    if len(known) > 1:
        until_s = known[1][1] - starts_s + first.label.true_end_s
    at, match = locate(user[: round(until_s * rate_hz)], first.clip)
    return at / rate_hz - starts_s if match >= MATCH_MIN else None


def _figure_ms(user: Samples, bot: Samples, rate_hz: int, item: PlayedClip) -> float | None:
    # The window is as long as the turn lasts; the clip lies at its beginning.
    try:
        heard = hear_turn(user, bot, rate_hz, clip=item.clip, label=item.label)
    except AudioError:
        return None
    return None if heard.cut_in else heard.voice_to_voice_ms

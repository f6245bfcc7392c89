"""The recording of a conversation: what both sides said, aligned to the sample, and its figures.

A folder takes

- ``conversation.wav``: stereo, 16 kHz, the user left and the bot right, both at the instants of
  their devices' clocks;
- ``turns/NNNN.wav`` and ``manifest.jsonl``: the user's turns as callers (``bench/callers.py``), one
  conversation with its own pauses between the turns, so that ``voicebot bench --callers`` plays it
  again;
- ``run.json``: the real conversation in the form of a bench's run, true ends estimated.

All but the last grow with the conversation, and memory does not.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soxr

from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.bench.callers import MANIFEST_NAME, CallerTurn
from voicebot.bench.record import Run, write_run
from voicebot.bench.scoring import PlayedTurn, heard_spans, heard_stretches, score
from voicebot.bench.summary import summarise
from voicebot.errors import OutputError, as_expected
from voicebot.events import Outcome, TurnClosed
from voicebot.keeping.bot_track import BotTrack, TappedSink
from voicebot.keeping.speech_log import SpeechLog, SpokenTurn
from voicebot.keeping.stereo_file import StereoFile
from voicebot.timeline import Mark

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebot.audio.blocks import AudioBlock
    from voicebot.audio.samples import Samples
    from voicebot.audio.sinks import AudioSink
    from voicebot.bench.record import RunMeta, Summary, TurnRecord
    from voicebot.errors import VoicebotError
    from voicebot.events import Event

__all__ = ["CONVERSATION_NAME", "KIND", "Recorder", "prepare_folder"]

CONVERSATION_NAME = "conversation.wav"
KIND = "recorded"
_CLOCK_STEP_S = 0.01
"""By less the microphone's instants may wander from its count of samples."""
_WRITE_EVERY_S = 1.0
_CLIP_MARGIN_S = 0.5


def prepare_folder(folder: Path) -> None:
    """Make the folder of a recording, and find out whether it can be written.

    What is left of a conversation that never began is no recording.

    Raises:
        OutputError: it cannot be made or written, or holds a recording already.
    """
    try:
        (folder / "turns").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        manifest = folder / MANIFEST_NAME
        is_taken = (folder / CONVERSATION_NAME).exists() or (
            manifest.exists() and manifest.stat().st_size > 0
        )
    except OSError as error:
        raise _refused(folder, error) from error
    if is_taken:
        raise OutputError(f"{folder} holds a recording already", "give --record another folder")


@dataclass(frozen=True, slots=True)
class _Clip:
    """A turn of the user, cut out of the recording."""

    turn: SpokenTurn
    label: CallerTurn
    first: int
    last: int
    row: dict[str, object]


class Recorder:
    """Records one conversation; needs a running event loop.

    Args:
        folder: made by ``prepare_folder``.
        sink: the loudspeaker; play to ``self.sink`` instead.
        on_failure: told once if the disk refuses; the conversation goes on without a recording.
    """

    def __init__(
        self, folder: Path, sink: AudioSink, *, on_failure: Callable[[VoicebotError], None]
    ) -> None:
        self._folder = folder
        self._on_failure = on_failure
        self._bot = BotTrack(sink.sample_rate_hz)
        self.sink = TappedSink(sink, self._bot)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="voicebot-recorder")
        self._file: StereoFile | None = None
        self._loop = asyncio.get_running_loop()
        self._has_failed = False
        self._origin_s: float | None = None
        self._user: list[Samples] = []
        self._user_count = 0  # samples of the user so far, written or not
        self._asked_count = 0  # samples of the bot's track that were rendered, at 16 kHz
        self._bot_native = 0  # the same at its own rate
        self._rendered: list[Samples] = []
        self._written = 0
        self._resampler: soxr.ResampleStream | None = None
        if sink.sample_rate_hz != INPUT_SAMPLE_RATE_HZ:
            self._resampler = soxr.ResampleStream(
                sink.sample_rate_hz, INPUT_SAMPLE_RATE_HZ, 1, dtype="float32"
            )
        self._speech = SpeechLog()
        self._closed: list[TurnClosed] = []
        self._clips: list[_Clip] = []
        self._waiting: list[_Clip] = []
        self._last_clip_end = 0
        self._bot_spans: list[tuple[float, float]] = []
        self._bot_stretches: list[tuple[float, float]] = []

    # What the conversation tells.

    def observe_block(self, block: AudioBlock) -> None:
        """Take the next block of the user's audio."""
        if self._origin_s is None:
            self._origin_s = block.start_s
        at = round((block.start_s - self._origin_s) * INPUT_SAMPLE_RATE_HZ)
        samples, gap = block.samples, at - self._user_count
        if abs(gap) > _CLOCK_STEP_S * INPUT_SAMPLE_RATE_HZ:
            self._push_user(np.zeros(max(0, gap), dtype=np.float32))
            samples = samples[max(0, -gap) :]
        self._push_user(samples)
        if self._user_count - self._asked_count >= _WRITE_EVERY_S * INPUT_SAMPLE_RATE_HZ:
            self._write_up_to(self._user_count)

    def observe(self, event: Event) -> None:
        """Take the next fact of the conversation."""
        if isinstance(event, TurnClosed) and not (
            event.is_typed or event.outcome is Outcome.REPEATED
        ):
            self._closed.append(event)
        for turn in self._speech.observe(event):
            self._keep(turn)

    async def close(self, make_meta: Callable[[Summary], RunMeta]) -> None:
        """Write what is left, and ``run.json``.

        Args:
            make_meta: what the conversation was held with, given its figures; called on a thread.
        """
        end_s = self._loop.time()
        self._write_up_to(self._user_count, is_last=True)
        underruns = self.sink.underruns
        done = self._submit(lambda: self._finish(make_meta, end_s, underruns))
        await asyncio.wrap_future(done)
        self._writer.shutdown(wait=False)
        self._resampler = None  # its library complains of instances that outlive the interpreter

    # On the loop.

    def _push_user(self, samples: Samples) -> None:
        if len(samples):
            self._user.append(np.array(samples, dtype=np.float32))
            self._user_count += len(samples)

    def _write_up_to(self, count: int, *, is_last: bool = False) -> None:
        """Hand over both sides up to a sample; the bot's has been played by then, it is final."""
        if self._origin_s is None or self._has_failed:
            self._user = []
            return
        rate_hz = self._bot.sample_rate_hz
        native = round(count * rate_hz / INPUT_SAMPLE_RATE_HZ)
        start_s = self._origin_s + self._bot_native / rate_hz
        track = self._bot.render(start_s, native - self._bot_native)
        self._bot_native, self._asked_count = native, count
        self._note_played(self._origin_s + native / rate_hz if not is_last else float("inf"))
        if self._resampler is not None:
            track = self._resampler.resample_chunk(track, last=is_last)
        self._rendered.append(track)
        user, bot = np.concatenate(self._user or [track[:0]]), np.concatenate(self._rendered)
        ready = len(user) if is_last else min(len(user), len(bot))
        if len(bot) < ready:
            bot = np.pad(bot, (0, ready - len(bot)))
        self._user, self._rendered = [user[ready:]], [bot[ready:]]
        self._written += ready
        self._submit(lambda: self._append(user[:ready], bot[:ready]))
        self._hand_over_clips(is_last=is_last)

    def _note_played(self, until_s: float) -> None:
        rate_hz = self._bot.sample_rate_hz
        for playback in self._bot.take_played(until_s):
            self._bot_spans += heard_spans([playback], rate_hz)
            self._bot_stretches += heard_stretches([playback], rate_hz)

    def _keep(self, turn: SpokenTurn) -> None:
        closed = turn.closed
        if self._origin_s is None or not (closed.transcript or closed.failure):
            return  # a noise, which nobody meant to be answered
        origin_s = self._origin_s
        first = max(self._last_clip_end, self._sample(turn.speech[0][0] - _CLIP_MARGIN_S))
        end_s = turn.speech[-1][1] + _CLIP_MARGIN_S
        if turn.next_start_s is not None:
            end_s = max(turn.speech[-1][1], min(end_s, turn.next_start_s))
        last = self._sample(end_s)
        start_s = first / INPUT_SAMPLE_RATE_HZ + origin_s
        speech = tuple(
            (round(max(0.0, start - start_s), 3), round(end - start_s, 3))
            for start, end in turn.speech
        )
        name = f"turns/{len(self._clips) + 1:04}.wav"
        duration_s = (last - first) / INPUT_SAMPLE_RATE_HZ
        row: dict[str, object] = {
            "path": name,
            "speech": speech,
            "kind": KIND,
            "conversation": self._folder.resolve().name,
            "transcript": closed.transcript,
            "outcome": closed.outcome.value,
            "at_s": round(start_s - origin_s, 3),
        }
        if self._clips:
            row["gap_s"] = round((first - self._last_clip_end) / INPUT_SAMPLE_RATE_HZ, 3)
        label = CallerTurn(name, Path(name), KIND, duration_s, speech)
        clip = _Clip(turn, label, first, last, row)
        self._last_clip_end = last
        self._clips.append(clip)
        self._waiting.append(clip)

    def _sample(self, instant_s: float) -> int:
        assert self._origin_s is not None  # noqa: S101  # asked for after the first block only
        return round((instant_s - self._origin_s) * INPUT_SAMPLE_RATE_HZ)

    def _hand_over_clips(self, *, is_last: bool) -> None:
        while self._waiting and (is_last or self._waiting[0].last <= self._written):
            clip = self._waiting.pop(0)
            self._submit(lambda clip=clip: self._cut(clip))  # type: ignore[misc]

    def _submit(self, work: Callable[[], None]) -> Future[None]:
        return self._writer.submit(self._guarded, work)

    # On the writer's thread.

    def _guarded(self, work: Callable[[], None]) -> None:
        if self._has_failed:
            return
        try:
            work()
        except Exception as error:  # noqa: BLE001  # a full disk costs the recording, no more
            self._has_failed = True
            if isinstance(error, OSError):
                error = _refused(self._folder, error)
            failure = as_expected(error, "the recording")
            self._loop.call_soon_threadsafe(self._on_failure, failure)

    def _append(self, user: Samples, bot: Samples) -> None:
        if self._file is None:
            (self._folder / MANIFEST_NAME).touch()
            self._file = StereoFile(self._folder / CONVERSATION_NAME)
        self._file.write(user, bot)

    def _cut(self, clip: _Clip) -> None:
        assert self._file is not None  # noqa: S101  # written before
        self._file.copy_user(clip.first, clip.last, self._folder / clip.label.path)
        with (self._folder / MANIFEST_NAME).open("a", encoding="utf-8", newline="\n") as manifest:
            manifest.write(json.dumps(clip.row, ensure_ascii=False) + "\n")

    def _finish(
        self, make_meta: Callable[[Summary], RunMeta], end_s: float, underruns: int
    ) -> None:
        if self._file is not None:
            self._file.close()
        turns = self._records(end_s, underruns)
        summary = summarise(turns, cpu_seconds_per_turn=None, peak_rss_mib=None)
        run = Run(meta=make_meta(summary), warmup=0, turns=tuple(turns), summary=summary)
        write_run(run, self._folder / "run.json")

    def _records(self, end_s: float, underruns: int) -> list[TurnRecord]:
        assert self._origin_s is not None or not self._clips  # noqa: S101
        found = []
        starts_s = [
            (self._origin_s or 0.0) + clip.first / INPUT_SAMPLE_RATE_HZ for clip in self._clips
        ]
        for index, clip in enumerate(self._clips):
            is_last = index + 1 == len(self._clips)
            until_s = end_s if is_last else starts_s[index + 1]
            record = score(
                PlayedTurn(clip.label, starts_s[index], until_s, self._folder.resolve().name),
                bot_spans=self._bot_spans,
                closed=self._closed,
                bot_stretches=self._bot_stretches,
                underruns=underruns if is_last else 0,
            )
            if Mark.FLOOR_FREE.value in record.marks:  # the wait was chosen, see latency.py
                record = replace(record, voice_to_voice_ms=None, breakdown_ms=None)
            found.append(record)
        return found


def _refused(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"the recording in {folder} cannot be written ({error.strerror or error})",
        "give --record a folder that can be written and has space",
    )

"""Measures whether the bot hears itself, and whether it hears who talks over it.

The bot's real voice (eSpeak NG) comes out of a virtual loudspeaker into a simulated room, whose
microphone the session listens to, with real voice activity and real echo cancellation. Words and
replies are scripted and time is virtual: a hundred replies take a minute or two.

    python tools/measure_echo.py alone                       # does it interrupt itself?
    python tools/measure_echo.py over --callers ../shared/speech   # is a person heard over it?

``alone`` says for each processing how often the bot took its own echo for speech, the echo return
loss enhancement (the echo's level in the microphone against what is left of it) and the residual's
level. ``over`` says for several levels of the person's voice against the echo how many people made
the bot fall silent and how long after their onset; the row without echo is what headphones give.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voicebot.audio.echo import CleanSource, VoiceProcessing
from voicebot.audio.files import read_audio
from voicebot.audio.room import Room, RoomSource
from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.audio.sinks import VirtualSpeaker
from voicebot.audio.sources import VirtualMicrophone
from voicebot.bench.callers import load_callers, recorded_callers_dir
from voicebot.builders.turns import vad_factory
from voicebot.engines.espeak import EspeakTts
from voicebot.engines.protocols import Prefilled, TextPiece
from voicebot.engines.scripted import ScriptedAsr, ScriptedTurnDetector
from voicebot.errors import ConfigError, VoicebotError
from voicebot.events import BargedIn, ClauseSpoken, ReplyHeld, SpeechStarted
from voicebot.history import History
from voicebot.models.store import ModelStore, default_models_dir
from voicebot.session import Session, SessionRules
from voicebot.stages import Stages
from voicebot.virtual_time import run_in_virtual_time

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from voicebot.audio.blocks import AudioBlock
    from voicebot.audio.samples import Samples
    from voicebot.audio.sources import AudioSource
    from voicebot.bench.callers import CallerTurn
    from voicebot.engines.protocols import Message, SpeechChunk, Tts, Vad
    from voicebot.events import Event

REPLIES = (
    "The capital of France is Paris.",
    "Okay, turning off the lights in the kitchen.",
    "There are three hundred and sixty five days in a year, and one more in a leap year.",
    "I am sorry, I do not know that. Could you ask me in another way?",
    "Cows eat grass, hay and sometimes grain, and they drink about fifty litres of water a day.",
    "It takes about eight minutes for the light of the sun to reach us here on earth.",
    "Sure! To bake bread you need flour, water, salt and yeast. Knead it well and let it rest.",
    "Yes.",
    "The train to Leeds leaves at a quarter past nine from platform four; please hurry.",
    "Photosynthesis is how plants make sugar from sunlight, water and carbon dioxide.",
)
LONG_REPLY = (
    "Well, that is a long story. Once upon a time there was a small town by the sea, and in that "
    "town there lived a baker who got up every morning at three to bake the bread for everybody, "
    "and who never once in forty years was late, not even on the day when the great storm came."
)
FLUSH_S = 1.5
ENDLESS_S = 60.0  # a bot that hears itself may talk with itself for ever
QUESTION_LEVEL_DBFS = -26.0
TALK_AFTER_S = 2.0
LOOK_S = 2.0


class InlineVad:
    """Voice activity on the loop itself: blocking work takes no virtual time."""

    def __init__(self, vad: Vad) -> None:
        self._vad = vad

    @property
    def frame_samples(self) -> int:
        """Samples a frame."""
        return self._vad.frame_samples

    def reset(self) -> None:
        """Forget what was heard."""
        self._vad.reset()

    async def probability(self, frame: Samples) -> float:
        """Probability that ``frame`` is speech."""
        await asyncio.sleep(0)
        return self._vad.probability(frame)


class InlineTts:
    """Synthesis on the loop itself."""

    def __init__(self, tts: Tts) -> None:
        self._tts = tts

    @property
    def sample_rate_hz(self) -> int:
        """The rate of its chunks."""
        return self._tts.sample_rate_hz

    async def synthesise(self, text: str) -> AsyncGenerator[SpeechChunk, None]:
        """Speak ``text``."""
        for chunk in self._tts.synthesise(text, _Never()):
            await asyncio.sleep(0.001)
            yield chunk


class _Never:
    def is_set(self) -> bool:
        """Nobody stops it."""
        return False


class NextReply:
    """A language model that says one reply after the other."""

    def __init__(self, replies: Sequence[str]) -> None:
        self._replies = replies
        self.turn = 0

    def prepare(self, messages: Sequence[Message], *, write_tokens: int = 0) -> None:
        """Nothing to read."""

    async def generate(
        self, messages: Sequence[Message]
    ) -> AsyncGenerator[Prefilled | TextPiece, None]:
        """The reply of this turn."""
        del messages
        await asyncio.sleep(0.05)
        yield Prefilled(0.9, read_tokens=10, cached_tokens=0)
        for word in self._replies[self.turn % len(self._replies)].split():
            await asyncio.sleep(0.02)
            yield TextPiece(word + " ", tokens=1)


class Tap:
    """A source that keeps what it gave. An ``AudioSource``."""

    def __init__(self, source: AudioSource) -> None:
        self._source = source
        self.kept: list[AudioBlock] = []

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        """The blocks of the source."""
        async for block in self._source.blocks():
            self.kept.append(block)
            yield block

    def between(self, start_s: float, end_s: float) -> Samples:
        """What was given of that stretch of time."""
        parts = [b.samples for b in self.kept if b.start_s >= start_s and b.end_s <= end_s]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)


@dataclass
class Scene:
    """A session in a room."""

    microphone: VirtualMicrophone
    speaker: VirtualSpeaker
    heard: Tap
    cleaned: Tap
    llm: NextReply
    session: Session
    events: list[tuple[float, Event]] = field(default_factory=list)

    def of(self, kind: type[Any], *, since: int = 0) -> list[tuple[float, Any]]:
        """The events of a kind, each with the instant at which it was told."""
        return [each for each in self.events[since:] if isinstance(each[1], kind)]

    async def ask(self, question: Samples) -> float:
        """Let the caller ask; gives the instant at which the reply begins."""
        since = len(self.events)
        self.microphone.play(question)
        for _ in range(2000):
            await asyncio.sleep(0.01)
            if spoken := self.of(ClauseSpoken, since=since):
                return float(spoken[-1][1].starts_s)
        raise RuntimeError("the bot did not answer")

    async def until_idle(self) -> bool:
        """Wait until the reply is over and the room is quiet; false if that does not come."""
        give_up_s = _now() + ENDLESS_S
        while not self.session.is_idle or self.speaker.ends_s > _now():
            if _now() > give_up_s:
                return False
            await asyncio.sleep(0.05)
        await asyncio.sleep(FLUSH_S)
        return True

    async def close(self, running: asyncio.Task[None]) -> None:
        """End the session, whatever it is doing."""
        self.microphone.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def open_scene(
    room: Room, processing: VoiceProcessing, replies: Sequence[str], vad: Vad, *, seed: int = 0
) -> Scene:
    """Set a session up; ``scene.session.run`` starts it."""
    llm = NextReply(replies)
    tts = InlineTts(EspeakTts())
    microphone = VirtualMicrophone(block_ms=10, seed=seed)
    speaker = VirtualSpeaker(tts.sample_rate_hz, block_ms=10, output_latency_ms=20)
    heard = Tap(RoomSource(microphone, speaker, room))
    cleaned = Tap(CleanSource(heard, speaker, processing) if processing.is_any else heard)
    events: list[tuple[float, Event]] = []
    session = Session(
        cleaned,
        speaker,
        Stages(InlineVad(vad), ScriptedTurnDetector(), ScriptedAsr(), llm, tts),
        history=History("", max_tokens=10_000),
        rules=SessionRules(),
        notify=lambda event: events.append((_now(), event)),
    )
    return Scene(microphone, speaker, heard, cleaned, llm, session, events)


@dataclass(frozen=True, slots=True)
class Alone:
    """What the bot did while nobody but itself spoke.

    Attributes:
        replies: how many it gave to questions; fewer than asked for if it then talked with itself
            and did not stop.
        self_interruptions: replies that it broke off because of its own echo.
        held: replies that it held for a moment.
        false_onsets: how often it took its echo for speech.
        erle_db: mean level of the echo in the microphone against what was left; and in the first
            second of the first reply, when the canceller knows nothing of the room yet.
        first_second_erle_db: see above.
        echo_dbfs: RMS of what the microphone heard while the bot spoke.
        residual_dbfs: RMS of what was left of it.
    """

    replies: int
    self_interruptions: int
    held: int
    false_onsets: int
    erle_db: float
    first_second_erle_db: float
    echo_dbfs: float
    residual_dbfs: float


async def listen_to_itself(scene: Scene, question: Samples, count: int) -> Alone:
    """Ask ``count`` questions and keep silent while they are answered."""
    running = asyncio.create_task(scene.session.run())
    replies = false_onsets = held = interrupted = 0
    echo: list[Samples] = []
    residual: list[Samples] = []
    for index in range(count):
        scene.llm.turn = index
        starts_s = await scene.ask(question)
        since = len(scene.events)
        is_over = await scene.until_idle()
        replies += 1
        false_onsets += len(scene.of(SpeechStarted, since=since))
        held += len(scene.of(ReplyHeld, since=since))
        interrupted += len(scene.of(BargedIn, since=since))
        ends_s = min(scene.speaker.ends_s, _now())
        echo.append(scene.heard.between(starts_s, ends_s))
        residual.append(scene.cleaned.between(starts_s, ends_s))
        if index == 0:
            first_s = starts_s + 1.0
            first_echo = scene.heard.between(starts_s, first_s)
            first_residual = scene.cleaned.between(starts_s, first_s)
        scene.heard.kept.clear()
        scene.cleaned.kept.clear()
        if not is_over:
            break
    await scene.close(running)
    echo_db, residual_db = _level_db(np.concatenate(echo)), _level_db(np.concatenate(residual))
    return Alone(
        replies,
        interrupted,
        held,
        false_onsets,
        round(echo_db - residual_db, 1),
        round(_level_db(first_echo) - _level_db(first_residual), 1),
        round(echo_db, 1),
        round(residual_db, 1),
    )


@dataclass(frozen=True, slots=True)
class Over:
    """What became of people who talked over the bot.

    Attributes:
        people: how many talked.
        heard: of how many the bot fell silent within 2 s of their onset.
        interrupted: how many the bot gave the turn to.
        too_early: how often it fell silent in the seconds before, when nobody talked.
        onset_to_silence_ms: median and 95th percentile, of those heard, from the label's onset to
            the decision to fall silent; the sound that the device holds already comes on top.
    """

    people: int
    heard: int
    interrupted: int
    too_early: int
    onset_to_silence_ms: tuple[float, float] | None


async def talk_over(
    scene: Scene, question: Samples, people: Sequence[tuple[Samples, float]]
) -> Over:
    """Let ``people`` (samples, onset in seconds) talk while the bot tells its story."""
    running = asyncio.create_task(scene.session.run())
    delays: list[float] = []
    interrupted = too_early = 0
    for samples, onset_in_clip_s in people:
        starts_s = await scene.ask(question)
        since = len(scene.events)
        clip_s = scene.microphone.play(samples, not_before_s=starts_s + TALK_AFTER_S)
        onset_s = clip_s + onset_in_clip_s
        await asyncio.sleep(onset_s + max(LOOK_S, len(samples) / INPUT_SAMPLE_RATE_HZ) - _now())
        held = scene.of(ReplyHeld, since=since)
        too_early += sum(told_s < onset_s for told_s, _ in held)
        after = [told_s - onset_s for told_s, _ in held if onset_s <= told_s < onset_s + LOOK_S]
        delays += after[:1]
        await scene.until_idle()
        interrupted += bool(scene.of(BargedIn, since=since))
        scene.heard.kept.clear()
        scene.cleaned.kept.clear()
    await scene.close(running)
    spread = np.percentile(delays, [50, 95]) * 1000.0 if delays else None
    return Over(
        len(people),
        len(delays),
        interrupted,
        too_early,
        None if spread is None else (round(float(spread[0])), round(float(spread[1]))),
    )


def at_level(samples: Samples, speech: Sequence[tuple[float, float]], dbfs: float) -> Samples:
    """``samples`` with its speech at an RMS level."""
    spoken = np.concatenate(
        [
            samples[round(start * INPUT_SAMPLE_RATE_HZ) : round(end * INPUT_SAMPLE_RATE_HZ)]
            for start, end in speech
        ]
    )
    gain = 10.0 ** ((dbfs - _level_db(spoken)) / 20.0)
    loud: Samples = np.clip(samples * np.float32(gain), -1.0, 1.0)
    return loud


def load_vad() -> Vad:
    """The voice activity that chat uses."""
    return vad_factory(ModelStore(default_models_dir()))()


def load_question() -> Samples:
    """One of the recorded callers."""
    turn = load_callers(recorded_callers_dir(), "question", 1, 0)[0].turns[0]
    return at_level(read_audio(turn.path).samples, turn.speech, QUESTION_LEVEL_DBFS)


def load_people(folder: Path, kinds: str, limit: int, dbfs: float) -> list[tuple[Samples, float]]:
    """Labelled people who talk; their samples and onsets in seconds."""
    turns: list[CallerTurn] = [
        turn for caller in load_callers(folder, kinds, limit, 0) for turn in caller.turns
    ]
    return [
        (at_level(read_audio(turn.path).samples, turn.speech, dbfs), turn.start_s) for turn in turns
    ]


def parse_processing(text: str) -> VoiceProcessing:
    """``echo``, ``echo+noise``, ``echo+noise+gain`` and so on; ``none``.

    Raises:
        ConfigError: anything else.
    """
    parts = set(text.split("+"))
    if unknown := parts - {"echo", "noise", "gain", "none"}:
        raise ConfigError(
            f"--processing: unknown: {', '.join(map(repr, sorted(unknown)))}",
            "'none', or 'echo', 'noise' and 'gain' with + between them",
        )
    return VoiceProcessing(
        echo_cancellation="echo" in parts,
        noise_suppression="noise" in parts,
        gain_control="gain" in parts,
    )


def main() -> None:
    """Measure what the arguments ask for; one JSON line a row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("alone", "over"))
    parser.add_argument("--replies", type=int, default=100)
    parser.add_argument("--processing", nargs="+", default=["none", "echo", "echo+noise"])
    parser.add_argument("--echo-gain-db", type=float, nargs="+", default=[0.0])
    parser.add_argument("--rt60-s", type=float, default=0.35)
    parser.add_argument("--noise-dbfs", type=float, default=-60.0)
    parser.add_argument("--callers", type=Path, default=recorded_callers_dir())
    parser.add_argument("--kinds", default=None)
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--talk-dbfs", type=float, nargs="+", default=[-20.0, -26.0, -32.0])
    arguments = parser.parse_args()
    for name in ("replies", "people"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} is {getattr(arguments, name)}: give 1 or more")
    if not arguments.rt60_s > 0.0:
        parser.error(f"--rt60-s is {arguments.rt60_s:g}: give seconds above 0")
    try:
        measure(arguments)
    except VoicebotError as error:
        parser.error(str(error))


def measure(arguments: argparse.Namespace) -> None:
    """Print the rows.

    Raises:
        VoicebotError: an argument, a caller or a model is not what it must be.
    """
    for name in arguments.processing:
        parse_processing(name)
    if arguments.what == "over":
        load_callers(arguments.callers, arguments.kinds, arguments.people, 0)
    vad, question = load_vad(), load_question()
    for gain_db in arguments.echo_gain_db:
        room = Room(gain_db, rt60_s=arguments.rt60_s, noise_dbfs=arguments.noise_dbfs)
        for name in arguments.processing:
            processing = parse_processing(name)
            row: dict[str, Any] = {"echo_gain_db": gain_db, "processing": name}
            if arguments.what == "alone":

                async def alone(room: Room = room, what: VoiceProcessing = processing) -> Alone:
                    scene = open_scene(room, what, REPLIES, vad)
                    return await listen_to_itself(scene, question, arguments.replies)

                print(json.dumps({**row, **asdict(run_in_virtual_time(alone()))}), flush=True)
                continue
            for dbfs in arguments.talk_dbfs:
                people = load_people(arguments.callers, arguments.kinds, arguments.people, dbfs)

                async def over(
                    room: Room = room,
                    what: VoiceProcessing = processing,
                    people: Sequence[tuple[Samples, float]] = people,
                ) -> Over:
                    scene = open_scene(room, what, (LONG_REPLY,), vad)
                    return await talk_over(scene, question, people)

                done = run_in_virtual_time(over())
                print(json.dumps({**row, "talk_dbfs": dbfs, **asdict(done)}), flush=True)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _level_db(samples: Samples) -> float:
    power = float(np.mean(np.square(samples.astype(np.float64)))) if len(samples) else 0.0
    return 10.0 * float(np.log10(power + 1e-12))


if __name__ == "__main__":
    main()

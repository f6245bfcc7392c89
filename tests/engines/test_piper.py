"""The Piper engine on tiny voices that hum, with the real piper-tts."""

from __future__ import annotations

import asyncio
import errno
import importlib.util
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from conversations import converse, scripted, speech
from voicebot.engines.espeak import EspeakTts
from voicebot.engines.piper import PiperTts
from voicebot.engines.piper_voice import LoadedPiperVoice
from voicebot.engines.scripted import ScriptedLlm
from voicebot.engines.speech_joins import JoinPauses
from voicebot.errors import (
    ConfigError,
    EngineError,
    ModelDamagedError,
    ModelMissingError,
    VoicebotError,
)
from voicebot.events import Outcome, StageFailed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from voicebot.audio.samples import Samples
    from voicebot.engines.protocols import SpeechChunk, SpokenWord

    Run = Callable[[Any], Any]

RATE_HZ = 22_050
TEXT = "Rivers carry water to the sea, and the sea gives it back to the clouds. So it goes on."
LONG = (
    "The people of the old town by the river walked through the quiet streets of the market in the "
    "evening because the lamps were lit"
)
EVEN = {"variation": 0.0, "rhythm_variation": 0.0}


def tool() -> Any:
    path = Path(__file__).parents[2] / "tools" / "make_tiny_piper.py"
    spec = importlib.util.spec_from_file_location("make_tiny_piper", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("voices")
    write = tool().write_tiny_voice
    write(path / "one.onnx")
    write(path / "estimated.onnx", alignment=False)
    write(path / "several.onnx", speakers=("anna", "bert", "7"))
    write(path / "german.onnx", language="de", sample_rate_hz=16_000)
    write(path / "soft.onnx", loudness=0.03)
    write(path / "loud.onnx", loudness=0.99)
    return path


def say(tts: Any, text: str = TEXT) -> tuple[Samples, list[SpokenWord]]:
    chunks = list(tts.synthesise(text, threading.Event()))
    samples = [np.zeros(0, np.float32), *(chunk.samples for chunk in chunks)]
    return np.concatenate(samples), [word for chunk in chunks for word in chunk.words]


def active_dbfs(samples: Samples) -> float:
    windows = samples[: len(samples) // 220 * 220].reshape(-1, 220)
    power = np.square(windows).mean(axis=1)
    return float(10 * np.log10(power[power > 10**-4.5].mean()))


def silences_ms(samples: Samples, longer_than_ms: float = 15) -> list[float]:
    """How long the exact silences are, the one behind the last sound included."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], samples == 0, [0]))))
    runs = [(end - start) / RATE_HZ * 1000 for start, end in edges.reshape(-1, 2)]
    return [run for run in runs if run > longer_than_ms]


def pitch_hz(samples: Samples) -> float:
    spectrum = np.abs(np.fft.rfft(samples[:RATE_HZ]))
    return float(np.argmax(spectrum) * RATE_HZ / min(len(samples), RATE_HZ))


def test_words_are_placed_where_the_voice_says_them(folder: Path) -> None:
    tts = PiperTts.load(folder / "one.onnx", **EVEN)
    assert tts.tells_durations
    samples, words = say(tts)
    assert [TEXT[w.text_start : w.text_end] for w in words] == TEXT.translate(
        str.maketrans("", "", ",.")
    ).split()
    # The voice is silent for three frames before each word; sound begins where the word is said to.
    for word in words:
        at = round(word.start_s * RATE_HZ)
        assert np.abs(samples[at : at + 1024]).max() > 0.05
        if at > 1000:
            assert np.abs(samples[at - 400 : at - 40]).max() < 0.005
    starts = [word.start_s for word in words]
    assert starts[0] < 0.006
    assert starts == sorted(starts)


def test_estimated_words_lie_near_the_true_ones(folder: Path) -> None:
    tts = PiperTts.load(folder / "estimated.onnx", **EVEN)
    assert not tts.tells_durations
    true = say(PiperTts.load(folder / "one.onnx", **EVEN))[1]
    estimated = say(tts)[1]
    assert [word.text_start for word in estimated] == [word.text_start for word in true]
    errors = [abs(a.start_s - b.start_s) for a, b in zip(true, estimated, strict=True)]
    assert max(errors) < 0.2
    assert max(errors) > 0  # it is another way of telling them


def test_words_come_with_the_chunk_they_begin_in(folder: Path) -> None:
    position = 0
    for chunk in PiperTts.load(folder / "one.onnx").synthesise(TEXT, threading.Event()):
        end = position + len(chunk.samples)
        assert all(position <= round(word.start_s * RATE_HZ) < end for word in chunk.words)
        position = end


@pytest.mark.parametrize("voice", ["one", "loud", "soft"])
def test_every_voice_is_as_loud_as_espeak_and_below_full_scale(folder: Path, voice: str) -> None:
    samples, _ = say(PiperTts.load(folder / f"{voice}.onnx"))
    reference, _ = say(EspeakTts())
    assert samples.dtype == np.float32
    assert abs(active_dbfs(samples) - active_dbfs(reference)) < 3
    assert np.abs(samples).max() < 1


def test_short_and_long_texts_are_equally_loud(folder: Path) -> None:
    tts = PiperTts.load(folder / "one.onnx")
    levels = [active_dbfs(say(tts, text)[0]) for text in ("No.", "Hello there.", LONG)]
    assert max(levels) - min(levels) < 1


def test_stretches_join_without_click_or_doubled_pause(folder: Path) -> None:
    pauses = JoinPauses(sentence_ms=300, comma_ms=110, none_ms=20)
    tts = PiperTts(LoadedPiperVoice.load(folder / "one.onnx"), pauses=pauses, **EVEN)
    samples, _ = say(tts)
    # Without the breath of the voice, whatever is silent but for a pause of ours is a space.
    gaps = [gap for gap in silences_ms(samples) if gap > 60]
    assert gaps == pytest.approx([110, 300, 300], abs=16)
    # A tone of this pitch and level climbs so much from sample to sample, and nothing more.
    step = np.abs(samples).max() * 2 * np.pi * 2 / 256
    assert np.abs(np.diff(samples)).max() < 1.3 * step
    assert samples[0] == 0
    assert np.abs(samples[:250]).max() > 0.05  # no silence before the first sound


def test_cut_sentences_go_on_without_a_pause(folder: Path) -> None:
    tts = PiperTts.load(folder / "one.onnx", **EVEN)
    samples, words = say(tts, LONG)
    assert len(words) == len(LONG.split())
    assert max(silences_ms(samples)) < 80
    step = np.abs(samples).max() * 2 * np.pi * 2 / 256
    assert np.abs(np.diff(samples)).max() < 1.3 * step


def test_the_first_stretch_is_heard_before_the_others_are_made(folder: Path) -> None:
    made: list[int] = []

    class Counting(LoadedPiperVoice):
        def speak(self, phonemes: list[str], manner: Any, stop: Any = None) -> Any:
            made.append(len(phonemes))
            return super().speak(phonemes, manner, stop)

    tts = PiperTts(Counting.load(folder / "one.onnx"))
    made.clear()
    stream = tts.synthesise(TEXT + " " + LONG, threading.Event())
    next(stream)
    assert len(made) == 1
    assert made[0] < 40
    list(stream)
    assert len(made) > 3
    assert max(made) < 200


def test_a_hidden_long_number_is_made_in_pieces(folder: Path) -> None:
    made: list[int] = []

    class Counting(LoadedPiperVoice):
        def speak(self, phonemes: list[str], manner: Any, stop: Any = None) -> Any:
            made.append(len(phonemes))
            return super().speak(phonemes, manner, stop)

    samples, words = say(PiperTts(Counting.load(folder / "one.onnx")), "9" * 110)
    assert max(made) <= 320
    assert len(samples) > 20 * RATE_HZ
    assert "".join("9" * (w.text_end - w.text_start) for w in words) == "9" * 110


def test_stops_between_chunks_and_between_stretches(folder: Path) -> None:
    tts = PiperTts.load(folder / "one.onnx")
    stop = threading.Event()
    stream = tts.synthesise(TEXT, stop)
    next(stream)
    stop.set()
    assert list(stream) == []
    assert list(tts.synthesise(TEXT, stop)) == []
    assert len(say(tts)[0]) > RATE_HZ


def test_speed_changes_sounds_and_pauses(folder: Path) -> None:
    lengths = {
        speed: len(say(PiperTts.load(folder / "one.onnx", speed=speed, **EVEN))[0])
        for speed in (0.5, 1.0, 2.0)
    }
    assert lengths[0.5] / lengths[1.0] == pytest.approx(2, rel=0.06)
    assert lengths[2.0] / lengths[1.0] == pytest.approx(0.5, rel=0.06)


def test_variation_counts(folder: Path) -> None:
    def lengths(**how: float) -> set[int]:
        tts = PiperTts.load(folder / "one.onnx", **how)
        return {len(say(tts, "Hello there, my friend.")[0]) for _ in range(4)}

    assert len(lengths(variation=0.0, rhythm_variation=0.0)) == 1
    assert len(lengths(variation=0.0, rhythm_variation=2.0)) > 1
    plain = PiperTts.load(folder / "one.onnx", variation=0.0, rhythm_variation=0.0)
    varied = PiperTts.load(folder / "one.onnx", variation=2.0, rhythm_variation=0.0)
    assert np.array_equal(*(say(plain, "Hello.")[0] for _ in range(2)))
    assert not np.array_equal(say(varied, "Hello.")[0], say(plain, "Hello.")[0])


def test_speakers_by_name_and_number(folder: Path) -> None:
    def pitch(speaker: str) -> float:
        return pitch_hz(say(PiperTts.load(folder / "several.onnx", speaker=speaker), "Aha.")[0])

    anna, bert, third = pitch("anna"), pitch("Bert"), pitch("7")
    assert anna < bert < third
    assert pitch("") == pytest.approx(anna, abs=8)
    assert pitch("1") == pytest.approx(bert, abs=8)


@pytest.mark.parametrize(
    ("voice", "speaker", "way_out"),
    [
        ("several", "ana", "anna"),
        ("several", "3", "0 to 2"),
        ("several", "-1", "0 to 2"),
        ("one", "anna", "one speaker"),
        ("one", "1", "one speaker"),
    ],
)
def test_an_unknown_speaker(folder: Path, voice: str, speaker: str, way_out: str) -> None:
    with pytest.raises(ConfigError, match=f'no speaker "{speaker}"') as caught:
        PiperTts.load(folder / f"{voice}.onnx", speaker=speaker)
    assert way_out in caught.value.way_out


@pytest.mark.parametrize(
    "setting", [{"speed": 0.4}, {"speed": 2.1}, {"variation": -1.0}, {"rhythm_variation": 3.0}]
)
def test_numbers_out_of_range(folder: Path, setting: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        PiperTts.load(folder / "one.onnx", **setting)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "  ", "...", "!?", "😀", "\0\x01", "—", "\ud800", "[[ ]]"])
def test_nothing_to_say(folder: Path, text: str) -> None:
    assert list(PiperTts.load(folder / "one.onnx").synthesise(text, threading.Event())) == []


@pytest.mark.parametrize(
    "text",
    ["<b>bold</b> &amp; so", "[[h@l'oU]]", "naïve 日本語", "a\0b\x1b[0m\ud800 c", "a" * 2000,
     "word " * 300, "e\u0301 \u200d x", "Привет, мир", "then … yes", "12.5 % of 3,000"],
)  # fmt: skip
def test_anything_is_spoken_as_text(folder: Path, text: str) -> None:
    samples, words = say(PiperTts.load(folder / "one.onnx"), text)
    assert active_dbfs(samples) > -30
    assert words
    assert all(0 <= word.text_start < word.text_end <= len(text) for word in words)


def test_a_german_voice(folder: Path) -> None:
    tts = PiperTts.load(folder / "german.onnx")
    assert tts.sample_rate_hz == 16_000
    text = "Guten Tag, die Brücke über den Fluss ist groß."
    samples, words = say(tts, text)
    assert [text[w.text_start : w.text_end] for w in words][-2:] == ["ist", "groß"]
    assert len(samples) > 16_000


def test_espeak_and_piper_share_a_process(folder: Path) -> None:
    """Both bring a libespeak-ng with global state; neither may notice the other."""
    voice = LoadedPiperVoice.load(folder / "one.onnx")
    german = LoadedPiperVoice.load(folder / "german.onnx")
    texts = ("Hello there, this is a test.", "The bridge opened in 1883.")
    espeak = {name: EspeakTts(name) for name in ("en-us", "de")}

    def phonemes() -> list[Any]:
        return [one.phonemes(text) for one in (voice, german) for text in texts]

    def spoken() -> list[int]:
        return [len(say(tts, text)[0]) for tts in espeak.values() for text in texts]

    expected, expected_lengths = phonemes(), spoken()
    wrong: list[Any] = []
    lengths: list[list[int]] = []

    def phonemise() -> None:
        wrong.extend(found for found in (phonemes() for _ in range(40)) if found != expected)

    threads = [
        threading.Thread(target=phonemise),
        threading.Thread(target=lambda: lengths.extend(spoken() for _ in range(10))),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    # eSpeak NG's own lengths vary a little by the voice's random phase.
    assert np.abs(np.array(lengths) - expected_lengths).max() < 0.1 * RATE_HZ


def test_the_check_of_a_voice(folder: Path, tmp_path: Path) -> None:
    checker = Path(__file__).parents[2] / "tools" / "check_voice.py"
    voice = folder / "estimated.onnx"
    wav = tmp_path / "spoken.wav"
    done = subprocess.run(
        [sys.executable, checker, "--model", voice, "--wav", wav],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tiny weights" in done.stdout
    assert done.stdout.count("ms of silence") == 4
    assert wav.stat().st_size > RATE_HZ


def copy_voice(folder: Path, to: Path, **changes: Any) -> Path:
    path = to / "voice.onnx"
    path.write_bytes((folder / "one.onnx").read_bytes())
    config = json.loads((folder / "one.onnx.json").read_text(encoding="utf-8"))
    config |= changes
    (to / "voice.onnx.json").write_text(json.dumps(config), encoding="utf-8")
    return path


def fails(path: Path, kind: type[VoicebotError], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        PiperTts.load(path)
    assert caught.value.way_out
    assert "\n" not in str(caught.value)


def test_a_voice_that_is_not_there(folder: Path) -> None:
    fails(folder / "nobody.onnx", ModelMissingError, "no voice")
    fails(folder, ModelMissingError, "no voice")


def test_a_voice_without_its_config(folder: Path, tmp_path: Path) -> None:
    path = copy_voice(folder, tmp_path)
    (tmp_path / "voice.onnx.json").unlink()
    fails(path, ModelMissingError, r"has no voice\.onnx\.json")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"audio": 3}', "\ufeff{}", "[" * 10_000])
def test_a_broken_config(folder: Path, tmp_path: Path, text: str) -> None:
    path = copy_voice(folder, tmp_path)
    (tmp_path / "voice.onnx.json").write_text(text, encoding="utf-8")
    fails(path, ModelDamagedError, r"voice\.onnx\.json")


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"audio": {"sample_rate": 0}}, ModelDamagedError, "config"),
        ({"audio": {"sample_rate": "fast"}}, ModelDamagedError, "config"),
        ({"phoneme_id_map": {"a": [1]}}, ModelDamagedError, "config"),
        ({"phoneme_id_map": None}, ModelDamagedError, "config"),
        ({"num_speakers": 3}, ModelDamagedError, "speakers"),
        ({"speaker_id_map": "anna"}, ModelDamagedError, "config"),
        ({"phoneme_type": "pinyin"}, ConfigError, "pinyin"),
        ({"phoneme_type": 7}, ConfigError, "7"),
        ({"espeak": {"voice": "nowhere"}}, EngineError, "nowhere"),
        ({"num_symbols": None}, None, ""),
    ],
)
def test_configs_that_do_not_fit(
    folder: Path,
    tmp_path: Path,
    changes: dict[str, Any],
    kind: type[VoicebotError] | None,
    words: str,
) -> None:
    path = copy_voice(folder, tmp_path, **changes)
    if kind is None:
        assert len(say(PiperTts.load(path), "Hello.")[0])
    else:
        fails(path, kind, words)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_graph(folder: Path, tmp_path: Path, share: float) -> None:
    path = copy_voice(folder, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    fails(path, ModelDamagedError, "cannot be read")


def test_what_is_no_voice(folder: Path, tmp_path: Path) -> None:
    from faster_whisper.utils import get_assets_path  # noqa: PLC0415 - only here

    path = copy_voice(folder, tmp_path)
    path.write_bytes((Path(get_assets_path()) / "silero_vad_v6.onnx").read_bytes())
    fails(path, ModelDamagedError, "not a Piper voice")
    path.write_text("hello", encoding="utf-8")
    fails(path, ModelDamagedError, "cannot be read")


def test_cuda_that_is_not_there(folder: Path) -> None:
    import onnxruntime  # noqa: PLC0415 - only here

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("onnxruntime has CUDA")
    with pytest.raises(ConfigError, match="cuda") as caught:
        PiperTts.load(folder / "one.onnx", device="cuda")
    assert "auto" in caught.value.way_out


def test_without_room_for_a_copy_durations_are_told_still(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("onnx.save", full)
    assert PiperTts.load(folder / "one.onnx").tells_durations


def test_a_phonemiser_without_its_data(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("piper.phonemize_espeak.ESPEAK_DATA_DIR", tmp_path)
    fails(folder / "one.onnx", ModelMissingError, "piper-tts has no data")


class Failing:
    """The session of a voice that fails as it is told to."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.error: Exception | None = None
        self.made: Any = None

    def run(self, *arguments: Any) -> Any:
        if self.error is not None:
            raise self.error
        return self.made or self.session.run(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)


def failing(folder: Path) -> tuple[PiperTts, Failing]:
    voice = LoadedPiperVoice.load(folder / "one.onnx")
    session = Failing(voice._voice.session)
    voice._voice.session = session
    return PiperTts(voice), session


def test_failures_while_speaking_are_one_line_and_pass(folder: Path) -> None:
    tts, session = failing(folder)
    for error, words in (
        (MemoryError(), "not enough memory"),
        (RuntimeError("Failed to allocate memory for\nrequested buffer"), "not enough memory"),
        (RuntimeError("Non-zero status code"), "failed"),
    ):
        session.error = error
        with pytest.raises(EngineError, match=words) as caught:
            say(tts)
        assert caught.value.way_out
    session.error = None
    session.made = [np.full((1, 1, 1, 999), np.nan, np.float32)]
    with pytest.raises(EngineError, match="no sound"):
        say(tts)
    session.made = [np.zeros((1, 1, 1, 999), np.float32)]
    assert say(tts)[0].size == 0
    session.made = None
    assert len(say(tts)[0]) > RATE_HZ


def test_durations_that_do_not_add_up_are_not_believed(folder: Path) -> None:
    tts, session = failing(folder)
    session.made = [np.full((1, 1, 1, 20_000), 0.1, np.float32), np.ones((1, 1, 5), np.float32)]
    _, words = say(tts, "Hello there.")
    assert [round(word.start_s, 1) for word in words] == [0.0, pytest.approx(0.5, abs=0.2)]


class Stage:
    """The engine as a stage in virtual time: making speech takes none."""

    def __init__(self, tts: PiperTts) -> None:
        self.tts = tts
        self.sample_rate_hz = tts.sample_rate_hz

    async def synthesise(self, text: str) -> AsyncGenerator[SpeechChunk, None]:
        for chunk in self.tts.synthesise(text, threading.Event()):
            yield chunk


@pytest.fixture(scope="module")
def slow_rate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("voices") / "at16k.onnx"
    tool().write_tiny_voice(path, sample_rate_hz=16_000)
    return path


def test_a_conversation_is_spoken(virtual_time: Run, slow_rate: Path) -> None:
    stages = scripted(tts=Stage(PiperTts.load(slow_rate)), llm=ScriptedLlm(default=TEXT))
    talk = virtual_time(converse([(0.5, speech(1.0)), (12.0, speech(1.2))], stages=stages))
    assert [closed.outcome for closed in talk.closed] == [Outcome.ANSWERED] * 2
    assert [closed.heard for closed in talk.closed] == [TEXT] * 2
    assert talk.underruns == 0
    assert talk.bot_spans


def test_the_next_clause_is_made_while_one_is_heard(virtual_time: Run, slow_rate: Path) -> None:
    class Slow(Stage):
        async def synthesise(self, text: str) -> AsyncGenerator[SpeechChunk, None]:
            async for chunk in super().synthesise(text):
                await asyncio.sleep(0.4 * len(chunk.samples) / self.sample_rate_hz)
                yield chunk

    stages = scripted(tts=Slow(PiperTts.load(slow_rate)), llm=ScriptedLlm(default=TEXT))
    talk = virtual_time(converse([(0.5, speech(1.0))], stages=stages))
    assert talk.closed[0].heard == TEXT
    assert talk.underruns == 0
    gaps = [b[0] - a[1] for a, b in zip(talk.bot_spans, talk.bot_spans[1:], strict=False)]
    # The pause of a sentence, and what lies between the voice's levels of heard and silent.
    assert max(gaps) < 0.33


def test_who_interrupts_has_heard_whole_words(virtual_time: Run, slow_rate: Path) -> None:
    stages = scripted(tts=Stage(PiperTts.load(slow_rate)), llm=ScriptedLlm(default=TEXT))
    talk = virtual_time(converse([(0.5, speech(1.0)), (3.5, speech(1.5))], stages=stages))
    heard = talk.closed[0].heard
    assert TEXT.startswith(heard)
    assert 0 < len(heard) < len(TEXT)
    assert heard.split() == TEXT.split()[: len(heard.split())]


def test_a_voice_that_fails_does_not_end_the_conversation(virtual_time: Run, folder: Path) -> None:
    tts, session = failing(folder)
    session.error = MemoryError()

    class OnceFailing(Stage):
        async def synthesise(self, text: str) -> AsyncGenerator[SpeechChunk, None]:
            try:
                async for chunk in super().synthesise(text):
                    yield chunk
            finally:
                session.error = None

    stages = scripted(tts=OnceFailing(tts), llm=ScriptedLlm(default="It is so."))
    talk = virtual_time(converse([(0.5, speech(1.0)), (12.0, speech(1.2))], stages=stages))
    assert len(talk.of(StageFailed)) == 1
    assert "memory" in str(talk.of(StageFailed)[0])
    assert talk.closed[-1].outcome is Outcome.ANSWERED
    assert talk.closed[-1].heard == "It is so."

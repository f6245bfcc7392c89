from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.engines import engine_process, pocketsphinx_child
from voicebot.engines.engine_process import EngineProcess
from voicebot.engines.pocketsphinx import PocketSphinxAsr
from voicebot.engines.pocketsphinx_child import TurnDecoder, plain_words
from voicebot.errors import EngineError, EngineStuckError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from voicebot.audio.samples import Samples
    from voicebot.engines.protocols import Transcript

SPEECH = Path(__file__).parents[2].parent / "shared" / "speech"
QUESTION = SPEECH / "sentences" / "brooklyn_bridge.flac"
PATIENCE_S = 20.0

posix_only = pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")


@pytest.fixture(scope="module")
def asr() -> Iterator[PocketSphinxAsr]:
    with PocketSphinxAsr() as engine:
        yield engine


@pytest.fixture
def own_asr() -> Iterator[PocketSphinxAsr]:
    with PocketSphinxAsr() as engine:
        yield engine


@pytest.fixture(scope="module")
def question() -> Samples:
    if not QUESTION.is_file():
        pytest.skip(f"no recordings at {SPEECH}")
    soundfile = pytest.importorskip("soundfile")
    samples, _ = soundfile.read(QUESTION, dtype="float32")
    return samples


def feed_all(asr: PocketSphinxAsr, samples: Samples, block: int = 512) -> list[Transcript]:
    partials = [asr.feed(samples[at : at + block]) for at in range(0, len(samples), block)]
    return [partial for partial in partials if partial is not None]


def wait_until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.01)


def ended(process_id: int) -> bool:
    try:
        return psutil.Process(process_id).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class FakeDecoder:
    """Hears one word in every block that is not zeros; an utterance's mean is its word count."""

    def __init__(self) -> None:
        self.words = []
        self.mean = "0"
        self.open = False
        self.utterances = 0

    def start_utt(self) -> None:
        assert not self.open
        self.open = True
        self.words = []
        self.utterances += 1

    def process_raw(self, audio: bytes) -> None:
        assert self.open
        self.words.append(f"w{audio[0]}(2)" if any(audio) else "<sil>")

    def end_utt(self) -> None:
        assert self.open
        self.open = False
        self.mean = str(len(self.words))

    def hyp(self) -> object:
        return type("Hypothesis", (), {"hypstr": " ".join(self.words)}) if self.words else None

    def seg(self) -> object:
        return [SimpleNamespace(word=word, prob=1 / len(self.words)) for word in self.words]

    def get_cmn(self) -> str:
        return self.mean

    def set_cmn(self, mean: str) -> None:
        self.mean = mean


# 100 ms of audio, more than what gives a partial transcript.
def block(value: int) -> bytes:
    return bytes([value]) * 3200


@pytest.mark.parametrize(
    ("hypothesis", "words"),
    [
        ("", ""),
        ("<s> <sil> </s>", ""),
        ("[NOISE] how(2) old <sil> is [SPEECH] the(3)", "how old is the"),
        ("++UH++ a ++UM++", "a"),
        ("it's o'clock", "it's o'clock"),
    ],
)
def test_only_words_are_left_of_a_hypothesis(hypothesis: str, words: str) -> None:
    assert plain_words(hypothesis) == words


def test_both_sides_speak_of_the_same_header() -> None:
    assert engine_process.HEADER.format == pocketsphinx_child.HEADER.format


def test_confidence_is_the_mean_over_the_words_of_the_whole_turn() -> None:
    turn = TurnDecoder(FakeDecoder())
    assert turn.confidence is None
    turn.start()
    turn.feed(block(1))
    turn.finish()
    assert turn.confidence == pytest.approx(1.0)
    for value in (2, 3, 0, 4):  # one of them silence
        turn.feed(block(value))
    turn.finish()
    assert turn.confidence == pytest.approx((1 + 3 * 0.25) / 4)
    turn.start()
    assert turn.confidence is None


def test_a_turn_goes_on_after_its_final_transcript() -> None:
    turn = TurnDecoder(FakeDecoder())
    turn.start()
    assert turn.feed(block(1)) == "w1"
    assert turn.finish() == "w1"
    assert turn.feed(block(2)) == "w1 w2"
    assert turn.finish() == "w1 w2"
    assert turn.finish() == "w1 w2"
    turn.start()
    assert turn.finish() == ""


def test_partials_come_every_30_ms() -> None:
    turn = TurnDecoder(FakeDecoder())
    turn.start()
    given_ = [turn.feed(b"\x01" * 320) is not None for _ in range(15)]
    assert given_ == [False, False, True] * 5


def test_a_stretch_without_words_leaves_the_means_alone() -> None:
    decoder = FakeDecoder()
    turn = TurnDecoder(decoder)
    turn.start()
    turn.feed(block(1))
    turn.finish()
    assert decoder.mean == "1"
    for _ in range(7):
        turn.feed(block(0))
    turn.finish()
    assert decoder.mean == "1"


def test_an_endless_utterance_is_cut() -> None:
    decoder = FakeDecoder()
    turn = TurnDecoder(decoder)
    turn.start()
    for _ in range(1300):  # 130 s
        turn.feed(block(1))
    assert decoder.utterances == 3
    assert len(turn.finish().split()) == 1300


@given(st.lists(st.sampled_from(["start", "feed", "finish", "silence", "nothing"]), max_size=30))
def test_the_transcript_is_the_words_since_start(steps: list[str]) -> None:
    turn = TurnDecoder(FakeDecoder())
    turn.start()
    fed = []
    for step in steps:
        if step == "start":
            turn.start()
            fed = []
        elif step == "feed":
            fed.append(f"w{len(fed) + 1}")
            turn.feed(block(len(fed)))
        elif step == "silence":
            turn.feed(block(0))
        elif step == "nothing":
            assert turn.feed(b"") is None
        else:
            assert turn.finish() == " ".join(fed)
    assert turn.finish() == " ".join(fed)


@pytest.mark.models
def test_a_question_is_understood(asr: PocketSphinxAsr, question: Samples) -> None:
    asr.start()
    feed_all(asr, question)
    final = asr.finish()
    assert final.final
    assert final.text.startswith("how old is")
    assert final.text.endswith("brooklyn bridge")


@pytest.mark.models
def test_partials_grow_while_the_caller_speaks(asr: PocketSphinxAsr, question: Samples) -> None:
    asr.start()
    partials = feed_all(asr, question)

    def heard_bridge() -> bool:
        # An empty block asks for what has arrived meanwhile.
        partials.extend(filter(None, [asr.feed(question[:0])]))
        return partials and "bridge" in partials[-1].text

    wait_until(heard_bridge)
    assert not any(partial.final for partial in partials)
    texts = [partial.text for partial in partials]
    assert all(one != other for one, other in itertools.pairwise(texts))


@pytest.mark.models
def test_the_turn_goes_on_after_finish(asr: PocketSphinxAsr, question: Samples) -> None:
    asr.start()
    feed_all(asr, question)
    first = asr.finish()
    feed_all(asr, question)
    whole = asr.finish()
    assert whole.text.startswith(first.text)
    assert whole.text.count("bridge") == 2


@pytest.mark.models
def test_start_forgets_an_unfinished_turn(asr: PocketSphinxAsr, question: Samples) -> None:
    asr.start()
    feed_all(asr, question)
    asr.start()
    assert asr.feed(question[:0]) is None
    assert asr.finish().text == ""


@pytest.mark.models
@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, -np.inf])
def test_silence_and_bad_samples_have_no_words(asr: PocketSphinxAsr, value: float) -> None:
    asr.start()
    asr.feed(np.full(16_000, value, np.float32))
    assert asr.finish().text == ""


@pytest.mark.models
def test_a_turn_without_audio_is_empty(asr: PocketSphinxAsr) -> None:
    asr.start()
    assert asr.finish().text == ""
    assert asr.finish().text == ""


@pytest.mark.models
def test_a_wrong_shape_is_an_error(asr: PocketSphinxAsr) -> None:
    asr.start()
    with pytest.raises(EngineError, match="shape"):
        asr.feed(np.zeros((2, 512), np.float32))
    assert asr.finish().text == ""


@pytest.mark.models
def test_feed_needs_a_turn(own_asr: PocketSphinxAsr) -> None:
    with pytest.raises(EngineError, match="start one first"):
        own_asr.feed(np.zeros(512, np.float32))


@pytest.mark.models
@posix_only
@pytest.mark.parametrize("call", ["feed", "finish"])
def test_a_killed_decoder_is_reported_and_replaced(
    own_asr: PocketSphinxAsr, question: Samples, call: str
) -> None:
    own_asr.start()
    own_asr.feed(question)
    killed = own_asr.process_id
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: ended(killed))
    with pytest.raises(EngineError, match="ended"):
        own_asr.feed(question) if call == "feed" else own_asr.finish()
    assert own_asr.process_id is None
    own_asr.start()
    assert own_asr.process_id != killed
    feed_all(own_asr, question)
    assert "brooklyn" in own_asr.finish().text


@pytest.mark.models
@posix_only
def test_a_decoder_that_hangs_is_stuck(question: Samples) -> None:
    with PocketSphinxAsr(finish_timeout_s=0.2) as asr:
        asr.start()
        hung = asr.process_id
        os.kill(hung, signal.SIGSTOP)
        asr.feed(question)
        with pytest.raises(EngineStuckError, match=r"0\.2 s"):
            asr.finish()
        wait_until(lambda: ended(hung))
        asr.start()
        assert asr.process_id not in {None, hung}


@pytest.mark.models
@posix_only
def test_audio_does_not_pile_up_before_a_decoder_that_hangs(own_asr: PocketSphinxAsr) -> None:
    own_asr.start()
    os.kill(own_asr.process_id, signal.SIGSTOP)

    def a_minute() -> None:
        for _ in range(60):
            own_asr.feed(np.zeros(16_000, np.float32))

    with pytest.raises(EngineStuckError, match="keep up"):
        a_minute()


@pytest.mark.models
@posix_only
def test_ctrl_c_leaves_the_decoder_alone(own_asr: PocketSphinxAsr, question: Samples) -> None:
    os.kill(own_asr.process_id, signal.SIGINT)
    own_asr.start()
    feed_all(own_asr, question)
    assert "brooklyn" in own_asr.finish().text


@pytest.mark.models
@posix_only
def test_the_decoder_goes_first_where_it_may(own_asr: PocketSphinxAsr) -> None:
    code = """
        import os
        try:
            print(os.nice(-10))
        except OSError:
            print(os.nice(0))
    """
    allowed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert psutil.Process(own_asr.process_id).nice() == int(allowed.stdout)


@pytest.mark.models
def test_close_ends_the_process() -> None:
    asr = PocketSphinxAsr()
    process_id = asr.process_id
    asr.close()
    assert ended(process_id)


@pytest.mark.models
@posix_only
def test_the_decoder_does_not_outlive_its_parent() -> None:
    code = """
        import os, sys, time
        from voicebot.engines.pocketsphinx import PocketSphinxAsr
        asr = PocketSphinxAsr()
        print(asr.process_id, flush=True)
        time.sleep(60)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    ) as parent:
        process_id = int(parent.stdout.readline())
        assert not ended(process_id)
        parent.kill()
    wait_until(lambda: ended(process_id))


def test_a_child_that_fails_leaves_its_last_words(tmp_path: Path) -> None:
    script = tmp_path / "child.py"
    script.write_text("import sys\nprint('first', file=sys.stderr)\nsys.exit('no such model')\n")
    process = EngineProcess(script, "the engine", max_unsent_bytes=1000)
    with pytest.raises(EngineError, match=r"the engine's process ended .*1.*: no such model"):
        process.wait(PATIENCE_S)
    process.close()


@posix_only
def test_messages_keep_their_order_and_size(tmp_path: Path) -> None:
    script = tmp_path / "child.py"
    script.write_text(
        "import socket, sys\n"
        "s = socket.socket(fileno=int(sys.argv[1]))\n"
        "while data := s.recv(999): s.sendall(data)\n"
    )
    process = EngineProcess(script, "the echo", max_unsent_bytes=10_000_000)
    sent = [(b"k", bytes([n]) * size) for n, size in enumerate([0, 1, 70_000, 400_000, 3])]
    for kind, payload in sent:
        process.send(kind, payload)
    assert [process.wait(PATIENCE_S) for _ in sent] == sent
    process.close()
    assert not process.alive

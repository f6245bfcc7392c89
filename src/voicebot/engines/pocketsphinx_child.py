"""The decoder's side of ``pocketsphinx.py``: a script that runs in a process of its own.

It is run by its path, and imports nothing but the standard library and PocketSphinx, so that it
is ready as soon as the model is: importing this package, NumPy or the caller's main module would
cost more than the decoder's own 0.3 s.

It reads messages from a socket and answers on it until the other side closes it. A message is a
header, ``HEADER`` (kind and length), and a payload::

    to the child     START    a new turn; payload: its number, 4 bytes
                     AUDIO    16-bit samples, 16 kHz, mono, of the machine's byte order
                     FINISH   give the final transcript
    from the child   READY    the decoder is loaded and warm
                     PARTIAL  number of the turn, then the transcript so far, UTF-8
                     SURENESS  number of the turn, then how sure its words are, a float; after
                              FINISH, if there are words
                     FINAL    as PARTIAL, after that
                     FAILED   what went wrong, UTF-8; the child then exits
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import struct
import sys
from typing import Any

__all__ = [
    "AUDIO",
    "CONFIDENCE",
    "FAILED",
    "FINAL",
    "FINISH",
    "HEADER",
    "PARTIAL",
    "READY",
    "START",
    "SURENESS",
    "TURN_NUMBER",
    "TurnDecoder",
    "load_decoder",
    "plain_words",
]

HEADER = struct.Struct("<cI")
TURN_NUMBER = struct.Struct("<I")
CONFIDENCE = struct.Struct("<f")

START = b"S"
AUDIO = b"A"
FINISH = b"F"
READY = b"R"
PARTIAL = b"P"
FINAL = b"T"
SURENESS = b"C"
FAILED = b"E"

_BYTES_PER_SAMPLE = 2
_PARTIAL_EVERY_BYTES = 480 * _BYTES_PER_SAMPLE
_MAX_UTTERANCE_BYTES = 60 * 16_000 * _BYTES_PER_SAMPLE
_WARM_UP_SAMPLES = 8000
_NICENESS_STEP = -10

# The decoder normalises by running cepstral means, which it carries from utterance to utterance.
# Its own first guess (40, 3, -1) suits nobody's microphone: with it at the start of every turn the
# word error rate on 107 clips is 0.240, with these 0.195, with means that follow the clips 0.180.
# They are the running means after 60 recordings of other speakers, none of them among the 107.
_FIRST_MEANS = (
    "53.1746,5.65608,-3.19981,13.1909,-9.14784,5.65693,0.740121,"
    "-9.5515,1.38453,-5.84636,3.93197,-6.72852,0.763344"
)

_NOT_WORDS = re.compile(r"\(\d+\)|<[^>\s]*>|\[[^\]\s]*\]|\+\+\S*?\+\+")


def plain_words(hypothesis: str) -> str:
    """The hypothesis without silences, noises and the numbers of pronunciation variants."""
    return " ".join(_NOT_WORDS.sub(" ", hypothesis).split())


def load_decoder() -> Any:
    """A warm PocketSphinx decoder with its own en-us model."""
    from pocketsphinx import Decoder  # noqa: PLC0415 - only the child has it loaded

    # The flat second pass costs up to 100 ms at the end of an utterance and gains no accuracy. The
    # best path through the lattice mostly costs 1 ms there and takes off a word error in twelve
    # (0.195 to 0.180 on 107 clips). A limit of 3000 active HMMs a frame instead of 30000 takes off
    # a quarter of the decoding time, half of it in the slowest blocks, and no word (0.189 to 0.186
    # and 0.124 to 0.124 on the halves of the same clips). Half the frames (ds), fewer
    # Gaussians (topn) or narrower beams cost words, as does a limit of 1500 (0.171 to 0.194 on 224
    # clips). Looking 2 frames ahead for likely phones instead of 5 leaves 30 ms less to be decoded
    # at the end: a final transcript takes 3.7 ms of processor time instead of 5.3 (p95 7 instead
    # of 11) at the same errors (0.168, 0.171); without looking ahead, decoding takes a third more.
    decoder = Decoder(loglevel="FATAL", fwdflat=False, bestpath=True, maxhmmpf=3000, pl_window=2)
    decoder.start_utt()
    noise = b"\x01\x00\xff\xff" * (_WARM_UP_SAMPLES // 2)
    decoder.process_raw(noise)
    decoder.end_utt()
    decoder.hyp()
    decoder.set_cmn(_FIRST_MEANS)
    return decoder


class TurnDecoder:
    """Decodes one turn at a time, as one or more utterances.

    A turn that goes on after its final transcript was asked for becomes a further utterance,
    whose words are appended. Decoding the whole turn anew instead was no more than one word in
    a hundred better on questions with a pause in them (word error rate 0.110 against 0.122), and
    made the last final transcript late by the decoding time of the whole turn: six times as late.

    Args:
        decoder: as ``load_decoder`` gives it.
    """

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder
        self._in_utterance = False
        self._utterance_bytes = 0
        self._finished: list[str] = []
        self._posteriors: list[float] = []
        self._bytes_since_partial = 0
        self._means_before = ""

    def start(self) -> None:
        """Begin a new turn."""
        # A turn that nobody finished still teaches the decoder the channel's cepstral means.
        self._end_utterance()
        self._finished.clear()
        self._posteriors.clear()
        self._bytes_since_partial = 0

    def feed(self, audio: bytes) -> str | None:
        """Decode ``audio``; every 30 ms of it, give the transcript so far.

        Asking the decoder for it costs about 0.01 ms.
        """
        if not audio:
            return None
        if self._utterance_bytes >= _MAX_UTTERANCE_BYTES:
            # The search keeps its whole history: about 0.3 MB a second, and a final transcript
            # that takes longer and longer. A word may be cut in two here, once a minute.
            self.finish()
        if not self._in_utterance:
            self._means_before = self._decoder.get_cmn()
            self._decoder.start_utt()
            self._in_utterance = True
            self._utterance_bytes = 0
        self._utterance_bytes += len(audio)
        self._decoder.process_raw(audio)
        self._bytes_since_partial += len(audio)
        if self._bytes_since_partial < _PARTIAL_EVERY_BYTES:
            return None
        self._bytes_since_partial = 0
        return self._text(self._hypothesis())

    def finish(self) -> str:
        """The transcript of the turn so far."""
        words = self._end_utterance()
        if words:
            self._finished.append(words)
            self._posteriors += [
                segment.prob for segment in self._decoder.seg() if plain_words(segment.word)
            ]
        return self._text("")

    @property
    def confidence(self) -> float | None:
        """Mean posterior probability of the finished words in the lattice; None without words."""
        if not self._posteriors:
            return None
        return min(1.0, sum(self._posteriors) / len(self._posteriors))

    def _end_utterance(self) -> str:
        if not self._in_utterance:
            return ""
        self._in_utterance = False
        self._utterance_bytes = 0
        self._decoder.end_utt()
        words = self._hypothesis()
        if not words:
            # The means follow what is heard; a stretch of noise would spoil them for speech.
            self._decoder.set_cmn(self._means_before)
        return words

    def _hypothesis(self) -> str:
        hypothesis = self._decoder.hyp()
        return plain_words(hypothesis.hypstr) if hypothesis else ""

    def _text(self, words: str) -> str:
        return " ".join(filter(None, [*self._finished, words]))


class _Connection:
    """Messages over the socket to the parent."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._reader = connection.makefile("rb")

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        self._socket.sendall(HEADER.pack(kind, len(payload)) + payload)

    def receive(self) -> tuple[bytes, bytes] | None:
        """The next message; None once the parent is gone."""
        header = self._reader.read(HEADER.size)
        if len(header) < HEADER.size:
            return None
        kind, length = HEADER.unpack(header)
        payload = self._reader.read(length)
        return (kind, payload) if len(payload) == length else None


def _serve(connection: _Connection) -> None:
    turn = TurnDecoder(load_decoder())
    connection.send(READY)
    number = b""
    last_partial = ""
    while (message := connection.receive()) is not None:
        kind, payload = message
        if kind == START:
            turn.start()
            number = payload
            last_partial = ""
        elif kind == AUDIO:
            for at in range(0, len(payload), _PARTIAL_EVERY_BYTES):
                text = turn.feed(payload[at : at + _PARTIAL_EVERY_BYTES])
                if text is not None and text != last_partial:
                    last_partial = text
                    connection.send(PARTIAL, number + text.encode())
        elif kind == FINISH:
            last_partial = turn.finish()
            if turn.confidence is not None:
                connection.send(SURENESS, number + CONFIDENCE.pack(turn.confidence))
            connection.send(FINAL, number + last_partial.encode())


def _go_first() -> None:
    """Ask to be scheduled before this machine's other work, where that is allowed.

    A final transcript takes a few milliseconds of processor time, and is asked for at the very
    instant at which other models begin to work, too. It needs a privilege that most users lack.
    """
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.nice(_NICENESS_STEP)


def _parent_socket() -> socket.socket:
    if sys.platform == "win32":
        return socket.fromshare(sys.stdin.buffer.read())
    return socket.socket(fileno=int(sys.argv[1]))


def _main() -> None:
    # Ctrl-C reaches the whole terminal; the parent closes this process in its own order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _go_first()
    connection = _Connection(_parent_socket())
    try:
        _serve(connection)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the parent is gone, and with it the reason to live
    except BaseException as error:  # noqa: BLE001 - crosses to the parent, which raises it
        connection.send(FAILED, f"{type(error).__name__}: {error}".encode())
    # Freeing a decoder takes a while, and nobody waits for it but whoever closes the engine.
    os._exit(0)


if __name__ == "__main__":
    _main()

"""A Piper voice, loaded: text to phonemes, phonemes to audio and to the length of each.

piper-tts phonemises and runs the graph. The graph is opened here, since piper-tts gives no say in
threads, and so that each way a voice can be broken has its own line.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from voicebot.engines.piper_config import PiperVoiceFacts, read_config, voice_facts
from voicebot.engines.stoppable_session import RunStoppedError, StoppableSession
from voicebot.errors import ConfigError, EngineError, ModelDamagedError, ModelMissingError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from voicebot.audio.samples import Samples
    from voicebot.engines.protocols import StopFlag

__all__ = ["Device", "LoadedPiperVoice", "Manner", "Utterance"]

Device: TypeAlias = Literal["auto", "cpu", "cuda"]

_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"
_AGAIN = "fetch the voice again"
_INPUTS = frozenset({"input", "input_lengths", "scales"})
_SPEAKER_INPUT = "sid"
_PHONEME_TYPES = ("espeak", "text")
_PAD, _BEGIN = "_", "^"
_MEMORY_SIGNS = (
    "allocate",
    "alloc failed",
    "alloc_failed",
    "bad_alloc",
    "failed to serialize",
    "out of memory",
)


@dataclass(frozen=True, slots=True)
class Manner:
    """How the voice is to speak.

    Attributes:
        speaker: the speaker's number; None for the voice's own choice.
        speed: 1 is the voice's own, 2 twice as fast.
        variation: how much the sound varies; None is the voice's own.
        rhythm_variation: how much the rhythm varies; None is the voice's own.
    """

    speaker: int | None = None
    speed: float = 1.0
    variation: float | None = None
    rhythm_variation: float | None = None


@dataclass(frozen=True, slots=True)
class Utterance:
    """What the voice made of a list of phonemes.

    Attributes:
        samples: shape (n,), float32, as loud as the graph made them.
        starts: the sample at which each phoneme begins, as the graph's own durations say; None if
            it does not tell them.
    """

    samples: Samples
    starts: NDArray[np.int64] | None


class LoadedPiperVoice:
    """A voice that is ready to speak.

    Args:
        voice: piper-tts's voice.
        facts: what its config says.
        name: how errors call it.
    """

    def __init__(self, voice: Any, facts: PiperVoiceFacts, name: str) -> None:
        self._voice = voice
        self.facts = facts
        self.name = name

    @classmethod
    def load(cls, path: Path, *, threads: int = 1, device: Device = "auto") -> LoadedPiperVoice:
        """Load the voice ``path``, an ``.onnx`` file with its ``.onnx.json`` beside it.

        Args:
            path: the file.
            threads: threads that share one inference on the processor.
            device: ``auto`` takes a CUDA device if onnxruntime has one.

        Raises:
            ModelMissingError: there is no such file, or it has no config.
            ModelDamagedError: the graph or the config is no Piper voice's.
            ConfigError: the device is not there, or the voice needs a phonemiser that is not.
        """
        if not path.is_file():
            raise ModelMissingError(
                f"there is no voice {path}", "tts.model is the name of a voice or its .onnx file"
            )
        config = read_config(path)
        facts = voice_facts(config, path)
        phonemes = config.get("phoneme_type", "espeak")
        if phonemes not in _PHONEME_TYPES:
            raise ConfigError(
                f"the voice {path.name} is made for {phonemes} phonemes, which are not supported",
                f"choose a voice for {' or '.join(_PHONEME_TYPES)} phonemes",
            )
        from piper.config import PiperConfig  # noqa: PLC0415 - heavy, paid for by its users
        from piper.voice import PiperVoice  # noqa: PLC0415 - ditto

        try:
            piper_config = PiperConfig.from_dict(config)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelDamagedError(
                f"piper-tts cannot use the config of {path.name} ({error})", _AGAIN
            ) from error
        _check_espeak_data()
        session = _session(path, threads, device)
        _check_inputs(session, facts, path)
        return cls(
            PiperVoice(session=StoppableSession(session), config=piper_config),
            facts,
            path.name,
        )

    @property
    def device(self) -> str:
        """What runs it: ``cpu`` or ``cuda``."""
        return "cuda" if self._voice.session.get_providers()[0] == _CUDA else "cpu"

    @property
    def tells_durations(self) -> bool:
        """Whether its graph tells how long each phoneme lasts."""
        return len(self._voice.session.get_outputs()) > 1

    def phonemes(self, text: str) -> list[list[str]]:
        """The phonemes of each sentence of ``text``; those that the voice has no symbol for fall.

        Raises:
            EngineError: the phonemiser failed.
        """
        symbols = self._voice.config.phoneme_id_map
        try:
            sentences = self._voice.phonemize(text)
        except Exception as error:  # its errors have no common class
            raise EngineError(
                f"the voice {self.name} cannot read its text ({error})", _AGAIN
            ) from error
        known = ([one for one in sentence if one in symbols] for sentence in sentences)
        return [sentence for sentence in known if sentence]

    def speak(
        self, phonemes: list[str], manner: Manner, stop: StopFlag | None = None
    ) -> Utterance | None:
        """Speak a sentence at once; None if ``stop`` was set meanwhile.

        Raises:
            EngineError: the graph failed or made something that is no sound.
        """
        from piper.config import SynthesisConfig  # noqa: PLC0415 - heavy, paid for by its users

        voice = self._voice
        ids = voice.phonemes_to_ids(phonemes)
        how = SynthesisConfig(
            speaker_id=manner.speaker,
            length_scale=voice.config.length_scale / manner.speed,
            noise_scale=manner.variation,
            noise_w_scale=manner.rhythm_variation,
        )
        voice.session.stop = stop
        try:
            made, lengths = voice.phoneme_ids_to_audio(ids, how, include_alignments=True)
        except RunStoppedError:
            return None
        except Exception as error:  # onnxruntime's errors have no common class
            raise _failure(error, self.name) from error
        samples = np.atleast_1d(np.asarray(made, np.float32))
        if samples.ndim != 1 or not np.isfinite(samples).all():
            raise EngineError(
                f"the voice {self.name} made something that is no sound", "choose another voice"
            )
        return Utterance(samples, self._starts(phonemes, ids, lengths, len(samples)))

    def close(self) -> None:
        """Free the graph."""
        del self._voice

    def _starts(
        self, phonemes: list[str], ids: list[int], lengths: Any, samples: int
    ) -> NDArray[np.int64] | None:
        """At which sample each phoneme begins: each is one or more ids and the blank behind."""
        if lengths is None:
            return None
        lengths = np.atleast_1d(lengths)
        # An output that is not about these ids, or not this long, is no alignment.
        if lengths.shape != (len(ids),) or int(lengths.sum()) != samples:
            return None
        symbols = self._voice.config.phoneme_id_map
        blank = len(symbols[_PAD])
        first = len(symbols[_BEGIN]) + blank
        steps = [len(symbols[phoneme]) + blank for phoneme in phonemes]
        at = first + np.concatenate(([0], np.cumsum(steps, dtype=np.int64)))[:-1]
        ends = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
        starts: NDArray[np.int64] = ends[at]
        return starts


def _session(path: Path, threads: int, device: Device) -> Any:
    import onnxruntime  # noqa: PLC0415 - heavy, paid for by its users

    has_cuda = _CUDA in onnxruntime.get_available_providers()
    if device == "cuda" and not has_cuda:
        raise ConfigError(
            "tts.device is cuda, which the installed onnxruntime does not know",
            "install onnxruntime-gpu in place of onnxruntime, or set tts.device = auto",
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Waiting threads that spin would take a core from the stages that run beside this one.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Every text has another length, and a plan of memory would be kept for each of them.
    options.enable_mem_pattern = False
    options.log_severity_level = 4  # Failures are raised; its log would only say them again.
    providers: list[Any] = [_CPU]
    if has_cuda and device != "cpu":
        # The exhaustive search would run anew for every length of text.
        providers.insert(0, (_CUDA, {"cudnn_conv_algo_search": "HEURISTIC"}))
    try:
        with _with_durations(path) as graph:
            session = onnxruntime.InferenceSession(graph, sess_options=options, providers=providers)
    except Exception as error:  # onnxruntime's and onnx's errors have no common class
        if _is_lack_of_memory(error):
            raise _failure(error, path.name) from error
        raise ModelDamagedError(f"{path} cannot be read as a Piper voice ({error})", _AGAIN) from (
            error
        )
    if device == "cuda" and session.get_providers()[0] != _CUDA:
        raise ConfigError(
            "tts.device is cuda, and onnxruntime could not start it",
            "see that the GPU's driver and CUDA libraries fit, or set tts.device = auto",
        )
    return session


@contextmanager
def _with_durations(path: Path) -> Iterator[str | bytes]:
    """The graph with its durations as a second output; the file itself if they are not found."""
    import onnx  # noqa: PLC0415 - heavy, paid for by its users
    from piper.patch_voice_with_alignment import add_alignment_output  # noqa: PLC0415 - ditto

    model = onnx.load(str(path))
    try:
        add_alignment_output(model)
    except ValueError:  # It is an output already, or there is not exactly one to be found.
        yield str(path)
        return
    # onnxruntime would keep bytes that it is given beside the weights it makes of them.
    with tempfile.TemporaryDirectory(prefix="voicebot-") as folder:
        changed = Path(folder) / path.name
        graph: str | bytes = str(changed)
        try:
            onnx.save(model, str(changed))
        except OSError:  # no room there: memory has to do
            graph = model.SerializeToString()
        del model  # As large as the voice, and of no use any more.
        yield graph


def _check_inputs(session: Any, facts: PiperVoiceFacts, path: Path) -> None:
    inputs = {one.name for one in session.get_inputs()}
    wanted = _INPUTS | ({_SPEAKER_INPUT} if facts.speakers > 1 else set())
    if inputs == wanted:
        return
    if inputs - {_SPEAKER_INPUT} == _INPUTS:
        raise ModelDamagedError(
            f"the graph and the config of the voice {path.name} do not agree on its speakers",
            _AGAIN,
        )
    raise ModelDamagedError(
        f"{path.name} is not a Piper voice: its inputs are {', '.join(sorted(inputs)) or 'none'}",
        "tts.model is the name of a voice or its .onnx file",
    )


def _is_lack_of_memory(error: BaseException) -> bool:
    """Whether ``error`` is that: onnxruntime says so in words only, CUDA's and C++'s among them."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(
        sign in text
        for sign in (
            "failed to serialize",
            "alloc failed",
            "bad_alloc",
            "allocate",
            "alloc_failed",
            "out of memory",
        )
    )


def _failure(error: BaseException, name: str) -> EngineError:
    if _is_lack_of_memory(error):
        return EngineError(
            f"there is not enough memory for the voice {name}",
            "choose a smaller voice: `voicebot voices` lists them",
        )
    return EngineError(
        f"the voice {name} failed ({type(error).__name__}: {error})",
        "if it happens with every text, fetch the voice again or choose another",
    )


def _check_espeak_data() -> None:
    """Without its data, piper-tts's phonemiser ends the whole process."""
    from piper.phonemize_espeak import ESPEAK_DATA_DIR  # noqa: PLC0415 - paid for by its users

    if not (Path(ESPEAK_DATA_DIR) / "phontab").is_file():
        raise ModelMissingError(
            f"piper-tts has no data in {ESPEAK_DATA_DIR}",
            "install it again: pip install --force-reinstall piper-tts",
        )

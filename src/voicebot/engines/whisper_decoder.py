"""Whisper by faster-whisper (SYSTRAN, MIT) and CTranslate2 (MIT): a stretch of audio into text.

What is used of faster-whisper: its model, feature extractor, tokenizer and list of suppressed
tokens. Its ``transcribe`` is not: it always encodes 30 s, which for a question of 3 s is nine parts
silence, and decodes anew with random sampling where it is in doubt, which takes no one knows how
long. CTranslate2's encoder takes any number of frames up to 3000 (longer ones are refused), and
releases the interpreter's lock while it works, so no process of its own is needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, cast

import numpy as np

from voicebot.audio.samples import INPUT_SAMPLE_RATE_HZ
from voicebot.engines.heard_window import padded_samples
from voicebot.engines.hypothesis import Hypothesis
from voicebot.engines.protocols import HeardWord
from voicebot.engines.whisper_files import check_whisper_folder
from voicebot.errors import ConfigError, EngineError, ModelDamagedError, VoicebotError
from voicebot.models.out_of_memory import is_out_of_memory

if TYPE_CHECKING:
    from pathlib import Path

    from voicebot.audio.samples import Samples

__all__ = ["ComputeType", "Device", "WhisperDecoder"]

Device: TypeAlias = Literal["auto", "cpu", "cuda"]
ComputeType: TypeAlias = Literal["auto", "int8", "int8_float16", "float16", "bfloat16", "float32"]

_AUTO = "auto"
_CONTEXT_TOKENS = 448
_MAX_PROMPT_TOKENS = 96
_TOKENS_PER_SECOND = 8
_FREE_TOKENS = 12
_DETECT_FROM_S = 1.0
_SURE_LANGUAGE = 0.5
_WARM_UP_S = 1.0


@dataclass(frozen=True, slots=True)
class _Stretch:
    """What the last decoding left for word times."""

    encoded: Any
    tokens: tuple[int, ...]
    frames: int


class WhisperDecoder:
    """Decodes stretches of audio of up to 30 s. A ``StretchDecoder``; made by ``load``."""

    def __init__(
        self, model: Any, *, language: str, padding_s: float | None, beam_size: int
    ) -> None:
        from faster_whisper.tokenizer import Tokenizer  # noqa: PLC0415 - with torch's like
        from faster_whisper.transcribe import get_suppressed_tokens  # noqa: PLC0415

        self._model = model
        self._tokenizer_class = cast("Any", Tokenizer)
        self._detects = language == _AUTO and model.model.is_multilingual
        self._language = None if self._detects else ("en" if language == _AUTO else language)
        self._tokenizer = self._make_tokenizer(self._language or "en")
        self._suppressed = list(get_suppressed_tokens(self._tokenizer, [-1]))
        self._padding_s = padding_s
        self._beam_size = beam_size
        self._last: _Stretch | None = None

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        language: str = "en",
        device: Device = "auto",
        compute_type: ComputeType = "auto",
        threads: int = 1,
        padding_s: float | None = None,
        beam_size: int = 1,
    ) -> Self:
        """Load the model in ``folder``, and decode a second of noise to warm it up.

        Nothing is fetched.

        Args:
            folder: a Whisper in CTranslate2's format, with its tokenizer.json.
            language: its code, or ``auto`` to detect it.
            device: ``auto`` takes a GPU if CTranslate2 finds one.
            compute_type: ``auto`` is int8 on a CPU and float16 on a GPU.
            threads: CPU threads.
            padding_s: silence that the encoder is shown behind the audio at least; None fills the
                30 s it was trained on.
            beam_size: 1 takes the likeliest token at each step.

        Raises:
            ConfigError: another kind of model, or it does not speak the language, or the device
                or compute type is not to be had.
            ModelMissingError: a file is not there.
            ModelDamagedError: a file cannot be read.
            ModelUnsafeError: a file may carry code.
            EngineError: not enough memory.
        """
        check_whisper_folder(folder)
        import ctranslate2  # noqa: PLC0415 - heavy, paid for only when an engine is loaded
        from faster_whisper import WhisperModel  # noqa: PLC0415

        place = _device(device, ctranslate2)
        kind = _compute_type(compute_type, place, ctranslate2)
        try:
            model = WhisperModel(
                str(folder),
                device=place,
                compute_type=kind,
                cpu_threads=threads,
                local_files_only=True,
            )
        except Exception as error:
            raise _load_error(folder.name, error) from error
        _fit_features(model)
        _check_language(folder.name, model, language)
        try:
            decoder = cls(model, language=language, padding_s=padding_s, beam_size=beam_size)
            noise = np.random.default_rng(0).normal(0.0, 1e-3, round(_WARM_UP_S * 16_000))
            decoder.decode(noise.astype(np.float32), "")
        except VoicebotError:
            raise
        except Exception as error:
            raise _load_error(folder.name, error) from error
        decoder._forget()
        return decoder

    @property
    def runs_as(self) -> str:
        """Where it runs and how it computes, as ``ctranslate2 on cpu, int8``."""
        return f"ctranslate2 on {self._model.model.device}, {self._model.model.compute_type}"

    def start(self) -> None:
        """A new turn begins; the language stays if it was detected surely."""
        self._last = None

    def decode(self, samples: Samples, prompt: str) -> Hypothesis:
        """What was said in ``samples``.

        Args:
            samples: shape (n,), float32, 16 kHz, at most 30 s.
            prompt: what was said before; only its last 96 tokens are read.

        Raises:
            EngineError: the model fails, or memory runs out.
        """
        length = padded_samples(len(samples), self._padding_s)
        try:
            features = self._model.feature_extractor(samples, padding=length - len(samples))
            encoded = self._model.encode(features)
            tokenizer = self._tokenizer_for(encoded, len(samples) / INPUT_SAMPLE_RATE_HZ)
            return self._generate(encoded, tokenizer, samples, prompt)
        except (RuntimeError, ValueError, MemoryError) as error:
            raise _run_error(error) from error

    def word_times(self) -> tuple[HeardWord, ...]:
        """The words of the last decoding, by the model's cross attention.

        Raises:
            EngineError: the model fails; one without alignment heads does.
        """
        last = self._last
        if last is None or not last.tokens:
            return ()
        try:
            (words,) = self._model.find_alignment(
                self._tokenizer, [list(last.tokens)], last.encoded, last.frames
            )
        except (RuntimeError, ValueError, MemoryError, IndexError) as error:
            raise _run_error(error) from error
        return tuple(
            HeardWord(
                word["word"].strip(),
                float(word["start"]),
                float(word["end"]),
                float(word["probability"]),
            )
            for word in words
            if word["word"].strip()
        )

    def close(self) -> None:
        """Free the model."""
        self._last = None
        self._model.model.unload_model()

    def _generate(self, encoded: Any, tokenizer: Any, samples: Samples, prompt: str) -> Hypothesis:
        # Only what stands before the task's last token is read in one step; CTranslate2 walks
        # through a prefix token by token, as if it wrote it. So what was understood before is a
        # prompt, never a prefix.
        before = tokenizer.encode(f" {prompt.strip()}")[-_MAX_PROMPT_TOKENS:] if prompt else []
        tokens = self._model.get_prompt(tokenizer, before, without_timestamps=True)
        most = _FREE_TOKENS + math.ceil(_TOKENS_PER_SECOND * len(samples) / INPUT_SAMPLE_RATE_HZ)
        # CTranslate2 writes at most half of max_length, and at most what the prompt leaves of it.
        most_with_prompt = min(_CONTEXT_TOKENS, max(2 * most, len(tokens) - 1 + most))
        result = self._model.model.generate(
            encoded,
            [tokens],
            beam_size=self._beam_size,
            max_length=most_with_prompt,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=True,
            suppress_tokens=self._suppressed,
        )[0]
        written = tuple(result.sequences_ids[0])
        total = result.scores[0] * len(written)  # the score is a mean without the end
        self._last = _Stretch(
            encoded,
            tuple(token for token in written if token < tokenizer.eot),
            max(2, len(samples) // self._model.feature_extractor.hop_length),
        )
        return Hypothesis(
            text=tokenizer.decode(list(written)).strip(),
            tokens=written,
            mean_log_probability=total / (len(written) + 1),
            no_speech_probability=float(result.no_speech_prob),
            language=tokenizer.language_code,
        )

    def _make_tokenizer(self, language: str) -> Any:
        return self._tokenizer_class(
            self._model.hf_tokenizer,
            self._model.model.is_multilingual,
            task="transcribe",
            language=language,
        )

    def _tokenizer_for(self, encoded: Any, audio_s: float) -> Any:
        if self._language is not None:
            return self._tokenizer
        (ranking,) = self._model.model.detect_language(encoded)
        token, probability = ranking[0]
        code = token.strip("<|>")
        if code != self._tokenizer.language_code:
            self._tokenizer = self._make_tokenizer(code)
        if audio_s >= _DETECT_FROM_S and probability >= _SURE_LANGUAGE:
            self._language = code
        return self._tokenizer

    def _forget(self) -> None:
        self._last = None
        if self._detects:
            self._language = None


def _device(device: Device, ctranslate2: Any) -> str:
    cards = ctranslate2.get_cuda_device_count()
    if device == "cuda" and not cards:
        raise ConfigError("asr.device = cuda, and no CUDA device is found", "set asr.device to cpu")
    if device != "auto":
        return device
    return "cuda" if cards else "cpu"


def _compute_type(compute_type: ComputeType, device: str, ctranslate2: Any) -> str:
    supported = ctranslate2.get_supported_compute_types(device)
    if compute_type == "auto":
        wanted = ("float16", "int8") if device == "cuda" else ("int8",)
        return next((one for one in wanted if one in supported), "default")
    if compute_type not in supported:
        raise ConfigError(
            f"asr.compute_type = {compute_type} is not to be had on this machine's {device}",
            f"choose auto or one of {', '.join(sorted(supported))}",
        )
    return compute_type


def _fit_features(model: Any) -> None:
    """Give a model without a preprocessor_config.json as many mel bands as it wants."""
    from faster_whisper.feature_extractor import FeatureExtractor  # noqa: PLC0415

    bands = model.model.n_mels
    if len(model.feature_extractor.mel_filters) != bands:
        model.feature_extractor = cast("Any", FeatureExtractor)(feature_size=bands)


def _check_language(name: str, model: Any, language: str) -> None:
    if language == _AUTO:
        return
    if not model.model.is_multilingual:
        if language != "en":
            raise ConfigError(
                f"{name} understands English only, and the language is {language}",
                "choose a model without .en in its name",
            )
        return
    if (
        language not in model.supported_languages
        or model.hf_tokenizer.token_to_id(f"<|{language}|>") is None
    ):
        raise ConfigError(
            f"{name} knows no language {language}",
            "asr.language takes a code such as en, de, es or fr, or auto",
        )


def _load_error(name: str, error: Exception) -> VoicebotError:
    if is_out_of_memory(error):
        return _memory_error()
    if "cuda" in str(error).lower() or "cublas" in str(error).lower():
        return EngineError(
            f"{name} cannot run on the GPU ({error})",
            "install the CUDA libraries that CTranslate2 asks for, or set asr.device to cpu",
        )
    return ModelDamagedError(
        f"{name} cannot be loaded as a Whisper ({error})", "fetch the model again"
    )


def _run_error(error: Exception) -> EngineError:
    if is_out_of_memory(error):
        return _memory_error()
    return EngineError(f"Whisper failed ({type(error).__name__}: {error})")


def _memory_error() -> EngineError:
    return EngineError(
        "there is not enough memory for the recogniser",
        "choose a smaller asr.model, asr.compute_type = int8, or asr.device = cpu",
    )

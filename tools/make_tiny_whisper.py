"""Make a Whisper in CTranslate2's format: a tiny one that knows seven words, or a shape-true one.

    python tools/make_tiny_whisper.py FOLDER [--seed N] [--steps N]
    python tools/make_tiny_whisper.py FOLDER --shape tiny|base.en|small|distil-large-v3|turbo|...

The tiny one is trained here, on the CPU, within a minute: each of its words is a tone of a pitch
of its own (``tone_speech`` plays a sentence), silence is what it knows as no speech. So tests see
partial transcripts grow, agree and end as those of a real model do.

A shape-true one has the sizes of a published checkpoint and random weights: it computes what the
real one computes and understands nothing. Only its times mean something. SHAPE_TRUE.json in its
folder says so.

Both are created as transformers models with a real tokenizer and converted by CTranslate2's own
converter, as published checkpoints are.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["SHAPES", "TINY_WORDS", "make_shape_true_whisper", "make_tiny_whisper", "tone_speech"]

TINY_WORDS = ("please", "turn", "the", "kitchen", "light", "on", "now")
"""What the tiny model understands, by rising pitch; a sentence has each at most once, in order."""

_RATE_HZ = 16_000
_LOWEST_HZ, _PITCH_STEP = 320.0, 1.45
_WORD_S, _GAP_S = 0.24, 0.06
_TRAIN_WINDOW_S = 3.0
_EXAMPLES = 768
_BATCH = 16
_NO_LOSS = -100
_POSITIONS = 1500
_TEXT_POSITIONS = 448
_TIMESTAMPS = 1501


@dataclass(frozen=True, slots=True)
class _Shape:
    """The sizes of a checkpoint, as its config.json on the hub gives them."""

    width: int
    encoder_layers: int
    decoder_layers: int
    heads: int
    vocabulary: int = 51_865
    mels: int = 80


_TINY = _Shape(64, 1, 1, 2)
_ENGLISH_VOCABULARY = 51_864
_V3_VOCABULARY = 51_866
SHAPES = {
    "tiny": _Shape(384, 4, 4, 6),
    "tiny.en": _Shape(384, 4, 4, 6, _ENGLISH_VOCABULARY),
    "base": _Shape(512, 6, 6, 8),
    "base.en": _Shape(512, 6, 6, 8, _ENGLISH_VOCABULARY),
    "small": _Shape(768, 12, 12, 12),
    "small.en": _Shape(768, 12, 12, 12, _ENGLISH_VOCABULARY),
    "medium": _Shape(1024, 24, 24, 16),
    "medium.en": _Shape(1024, 24, 24, 16, _ENGLISH_VOCABULARY),
    "distil-small.en": _Shape(768, 12, 4, 12, _ENGLISH_VOCABULARY),
    "distil-large-v3": _Shape(1280, 32, 2, 20, _V3_VOCABULARY, 128),
    "turbo": _Shape(1280, 32, 4, 20, _V3_VOCABULARY, 128),
    "large-v3": _Shape(1280, 32, 32, 20, _V3_VOCABULARY, 128),
}
"""Layers, widths and heads of the published Whisper and Distil-Whisper checkpoints."""


def tone_speech(
    sentence: str, *, lead_s: float = 0.32, tail_s: float = 0.0, pauses_s: Sequence[float] = ()
) -> NDArray[np.float32]:
    """A sentence of ``TINY_WORDS`` as the tiny model was taught to hear it, 16 kHz.

    Args:
        sentence: the words, with spaces between.
        lead_s: silence before the first word.
        tail_s: silence after the last.
        pauses_s: further silence after each word, for as many words as there are pauses.
    """
    parts = [np.zeros(round(lead_s * _RATE_HZ), np.float32)]
    for place, word in enumerate(sentence.split()):
        parts.append(_tone(TINY_WORDS.index(word), _WORD_S))
        pause_s = _GAP_S + (pauses_s[place] if place < len(pauses_s) else 0.0)
        parts.append(np.zeros(round(pause_s * _RATE_HZ), np.float32))
    if len(parts) > 1:
        parts.pop()
    parts.append(np.zeros(round(tail_s * _RATE_HZ), np.float32))
    return np.concatenate(parts)


def make_tiny_whisper(
    folder: Path, *, seed: int = 0, steps: int = 700, multilingual: bool = False
) -> float:
    """Train the tiny model and write it, converted, into ``folder``.

    Args:
        folder: where it goes.
        seed: decides weights and training data.
        steps: training steps; 0 leaves the weights random.
        multilingual: with the marks of a language and a task before each transcript.

    Returns:
        The mean training loss of the last steps.
    """
    import torch  # noqa: PLC0415 - heavy, and only for this

    torch.manual_seed(seed)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the model is too small to be shared out
    tokenizer = _tokenizer(None, multilingual=multilingual)
    shape = _Shape(
        _TINY.width,
        _TINY.encoder_layers,
        _TINY.decoder_layers,
        _TINY.heads,
        tokenizer.get_vocab_size() + _TIMESTAMPS,
    )
    model = _transformers_model(shape, tokenizer, positions=round(_TRAIN_WINDOW_S * 50))
    loss = _train(model, tokenizer, steps, seed, multilingual=multilingual) if steps else 0.0
    torch.set_num_threads(threads)
    _convert(_with_all_positions(model, shape, tokenizer), tokenizer, folder, shape, "float32")
    return loss


def make_shape_true_whisper(
    folder: Path, shape_name: str, *, seed: int = 0, quantization: str = "int8"
) -> None:
    """Write a checkpoint with the sizes of ``shape_name`` and random weights into ``folder``."""
    import torch  # noqa: PLC0415 - heavy, and only for this

    torch.manual_seed(seed)
    shape = SHAPES[shape_name]
    tokenizer = _tokenizer(shape.vocabulary, multilingual=shape.vocabulary != _ENGLISH_VOCABULARY)
    model = _transformers_model(shape, tokenizer, positions=_POSITIONS)
    _convert(model, tokenizer, folder, shape, quantization)
    note = {
        "shape": shape_name,
        "weights": "random",
        "seed": seed,
        "meaning": "times are those of the real checkpoint, transcripts mean nothing",
    }
    (folder / "SHAPE_TRUE.json").write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")


def _tone(word: int, length_s: float) -> NDArray[np.float32]:
    time_s = np.arange(round(length_s * _RATE_HZ)) / _RATE_HZ
    envelope = np.minimum(1.0, np.minimum(time_s, length_s - time_s) / 0.02)
    pitch_hz = _LOWEST_HZ * _PITCH_STEP**word
    return (0.3 * envelope * np.sin(2 * np.pi * pitch_hz * time_s)).astype(np.float32)


def _languages(count: int) -> list[str]:
    from faster_whisper.tokenizer import _LANGUAGE_CODES  # noqa: PLC0415

    # The order matters to nobody: the converter is told each id. "yue" came with large-v3.
    codes = ["en", *sorted(set(_LANGUAGE_CODES) - {"en", "yue"}), "yue"]
    return codes[:count]


def _tokenizer(vocabulary: int | None, *, multilingual: bool) -> Any:
    """Byte-level BPE whose words are one token each, filled up to the size that is asked for."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = {piece: number for number, piece in enumerate(alphabet)}
    merges: list[tuple[str, str]] = []
    for word in TINY_WORDS:
        left = "Ġ"
        for letter in word:
            if (left, letter) not in merges:
                merges.append((left, letter))
                tokens.setdefault(left + letter, len(tokens))
            left += letter
    languages = _languages(100 if vocabulary == _V3_VOCABULARY else 99)
    special = [
        *("<|endoftext|>", "<|startoftranscript|>"),
        *(f"<|{code}|>" for code in languages),
        *("<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>"),
        *("<|nospeech|>", "<|notimestamps|>"),
    ]
    if multilingual:
        tokens[""] = len(tokens)  # by this token CTranslate2 tells the multilingual checkpoints
    if vocabulary is not None:
        for number in range(vocabulary - _TIMESTAMPS - len(special) - len(tokens)):
            tokens[f"Ġfiller{number}"] = len(tokens)
    tokenizer = Tokenizer(models.BPE(vocab=tokens, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    return tokenizer


def _transformers_model(shape: _Shape, tokenizer: Any, *, positions: int) -> Any:
    from transformers import WhisperConfig, WhisperForConditionalGeneration  # noqa: PLC0415

    end = tokenizer.token_to_id("<|endoftext|>")
    config = WhisperConfig(
        vocab_size=shape.vocabulary,
        num_mel_bins=shape.mels,
        d_model=shape.width,
        encoder_layers=shape.encoder_layers,
        decoder_layers=shape.decoder_layers,
        encoder_attention_heads=shape.heads,
        decoder_attention_heads=shape.heads,
        encoder_ffn_dim=4 * shape.width,
        decoder_ffn_dim=4 * shape.width,
        max_source_positions=positions,
        max_target_positions=_TEXT_POSITIONS,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=tokenizer.token_to_id("<|startoftranscript|>"),
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    return WhisperForConditionalGeneration(config)


def _with_all_positions(model: Any, shape: _Shape, tokenizer: Any) -> Any:
    """The same model with the encoder's fixed sinusoids for 30 s instead of the training window."""
    whole = _transformers_model(shape, tokenizer, positions=_POSITIONS)
    weights = model.state_dict()
    weights.pop("model.encoder.embed_positions.weight")
    whole.load_state_dict(weights, strict=False)
    return whole


def _convert(model: Any, tokenizer: Any, folder: Path, shape: _Shape, quantization: str) -> None:
    import ctranslate2  # noqa: PLC0415 - heavy, and only for this
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415

    end = tokenizer.token_to_id("<|endoftext|>")
    codes = [f"<|{code}|>" for code in _languages(100)]
    generation = {
        "suppress_tokens": [],
        # As the published ones: a transcript begins neither with a blank nor with its end.
        "begin_suppress_tokens": [tokenizer.token_to_id("Ġ"), end],
        "lang_to_id": {
            code: tokenizer.token_to_id(code)
            for code in codes
            if tokenizer.token_to_id(code) is not None
        },
        "alignment_heads": [
            [layer, head]
            for layer in range(shape.decoder_layers // 2, shape.decoder_layers)
            for head in range(shape.heads)
        ],
    }
    preprocessor = {
        "feature_size": shape.mels,
        "sampling_rate": _RATE_HZ,
        "hop_length": 160,
        "chunk_length": 30,
        "n_fft": 400,
    }
    with tempfile.TemporaryDirectory() as source:
        model.save_pretrained(source)
        Path(source, "generation_config.json").write_text(
            json.dumps(generation, indent=2), encoding="utf-8"
        )
        ends = dict.fromkeys(("bos_token", "eos_token"), "<|endoftext|>")
        make_tokenizer: Any = PreTrainedTokenizerFast
        make_tokenizer(tokenizer_object=tokenizer, **ends).save_pretrained(source)
        tokenizer.save(str(Path(source, "tokenizer.json")))
        Path(source, "preprocessor_config.json").write_text(
            json.dumps(preprocessor, indent=2), encoding="utf-8"
        )
        ctranslate2.converters.TransformersConverter(
            source, copy_files=["tokenizer.json", "preprocessor_config.json"]
        ).convert(str(folder), quantization=quantization, force=True)


def _train(model: Any, tokenizer: Any, steps: int, seed: int, *, multilingual: bool) -> float:
    import torch  # noqa: PLC0415 - heavy, and only for this

    examples = _Examples(tokenizer, seed, multilingual=multilingual)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    model.train()
    losses: list[float] = []
    for _ in range(steps):
        features, inputs, labels = examples.batch(_BATCH)
        output = model(
            input_features=torch.from_numpy(features),
            decoder_input_ids=torch.from_numpy(inputs),
        )
        loss: Any = torch.nn.functional.cross_entropy(
            output.logits.flatten(0, 1),
            torch.from_numpy(labels).flatten(),
            ignore_index=_NO_LOSS,
        )
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
    model.eval()
    return float(np.mean(losses[-50:]))


class _Examples:
    """Random sentences of tones with their transcripts, as batches."""

    def __init__(self, tokenizer: Any, seed: int, *, multilingual: bool) -> None:
        from faster_whisper.feature_extractor import FeatureExtractor  # noqa: PLC0415

        self._generator = np.random.default_rng(seed)
        self._extract = FeatureExtractor()
        self._words = [tokenizer.encode(f" {word}").ids[0] for word in TINY_WORDS]
        self._end, self._start, self._no_speech, no_times = (
            tokenizer.token_to_id(f"<|{name}|>")
            for name in ("endoftext", "startoftranscript", "nospeech", "notimestamps")
        )
        task = [tokenizer.token_to_id("<|en|>"), tokenizer.token_to_id("<|transcribe|>")]
        self._task = [*(task if multilingual else []), no_times]

        self._rows = [self._example() for _ in range(_EXAMPLES)]

    def batch(self, size: int) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]:
        """Features (size, mels, frames), decoder inputs and labels (size, tokens)."""
        rows = [self._rows[place] for place in self._generator.choice(len(self._rows), size)]
        longest = max(len(inputs) for _, inputs, _ in rows)
        inputs = np.full((size, longest), self._end, np.int64)
        labels = np.full((size, longest), _NO_LOSS, np.int64)
        for place, (_, row_inputs, row_labels) in enumerate(rows):
            inputs[place, : len(row_inputs)] = row_inputs
            labels[place, : len(row_labels)] = row_labels
        return np.stack([features for features, _, _ in rows]), inputs, labels

    def _example(self) -> tuple[NDArray[np.float32], list[int], list[int]]:
        draw = self._generator
        count = int(draw.integers(len(TINY_WORDS) + 1))
        words = sorted(draw.choice(len(TINY_WORDS), count, replace=False))
        sentence = " ".join(TINY_WORDS[word] for word in words)
        sound = tone_speech(sentence, lead_s=draw.uniform(0.0, 0.36)) * draw.uniform(0.3, 1.5)
        window = draw.normal(0.0, 10 ** draw.uniform(-6, -4), round(_TRAIN_WINDOW_S * _RATE_HZ))
        window[: len(sound)] += sound
        features = self._extract(window.astype(np.float32), padding=0)
        said = [self._words[word] for word in words]
        inputs = [self._start, *self._task, *said]
        labels = [*self._task, *said, self._end]
        if not said:
            labels[0] = self._no_speech
        return features.astype(np.float32), inputs, labels


def _main() -> None:
    parser = argparse.ArgumentParser(description="Make a tiny or shape-true Whisper.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=700, help="training steps of the tiny one")
    parser.add_argument("--multilingual", action="store_true", help="the tiny one, multilingual")
    parser.add_argument("--shape", choices=SHAPES)
    parser.add_argument(
        "--quantization", default="int8", help="of a shape-true one: int8, float16, float32"
    )
    arguments = parser.parse_args()
    if arguments.shape:
        make_shape_true_whisper(
            arguments.folder,
            arguments.shape,
            seed=arguments.seed,
            quantization=arguments.quantization,
        )
        print(f"{arguments.folder}: the sizes of {arguments.shape}, random weights")
        return
    loss = make_tiny_whisper(
        arguments.folder,
        seed=arguments.seed,
        steps=arguments.steps,
        multilingual=arguments.multilingual,
    )
    print(f"{arguments.folder}: seven words, training loss {loss:.3f}")


if __name__ == "__main__":
    _main()

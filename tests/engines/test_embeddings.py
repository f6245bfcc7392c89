"""Sentences as vectors: our graph against transformers' own network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel

from voicebot.engines.embeddings import SentenceEncoder, SpellingEncoder
from voicebot.errors import ModelDamagedError, ModelMissingError
from voicebot.models.store import ModelStore, default_models_dir

if TYPE_CHECKING:
    from pathlib import Path

_SENTENCE = "where is the lift what does a ticket cost"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *_SENTENCE.split()]
TEXTS = ["where is the lift", "what", "what does a ticket cost the lift", ""]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny-bert")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=300,
        initializer_range=0.3,
    )
    BertModel(config).save_pretrained(path)
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    # Published tokenizers pad and cut to lengths of their own, which must not count.
    tokenizer.enable_padding(length=64)
    tokenizer.enable_truncation(64)
    tokenizer.save(str(path / "tokenizer.json"))
    (path / "1_Pooling").mkdir()
    (path / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    return path


def test_it_computes_what_transformers_does(folder: Path) -> None:
    encoder = SentenceEncoder.load(folder)
    vectors = encoder.encode(TEXTS)
    network = BertModel.from_pretrained(folder).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    for text, vector in zip(TEXTS, vectors, strict=True):
        with torch.no_grad():
            ids = torch.tensor([tokenizer.encode(text).ids])
            mean = network(input_ids=ids).last_hidden_state[0].mean(0)
        expected = (mean / mean.norm()).numpy()
        np.testing.assert_allclose(vector, expected, atol=1e-5)
    assert encoder.width == 32
    assert encoder.name == folder.name


def test_company_changes_nothing(folder: Path) -> None:
    encoder = SentenceEncoder.load(folder)
    many = [*TEXTS, "the lift " * 200] * 8
    together = encoder.encode(many)
    assert together.shape == (40, 32)
    for text, vector in zip(many[:5], together, strict=False):
        np.testing.assert_allclose(encoder.encode([text])[0], vector, atol=1e-5)
    assert encoder.encode([]).shape == (0, 32)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"config.json": {"model_type": "gpt2"}}, ModelDamagedError),
        ({"1_Pooling/config.json": {"pooling_mode_cls_token": True}}, ModelDamagedError),
        ({"config.json": {"model_type": "bert"}}, ModelDamagedError),
        ({"tokenizer.json": "nothing"}, ModelDamagedError),
        ({"model.safetensors": "nothing"}, ModelDamagedError),
        ({"tokenizer.json": None}, ModelMissingError),
        ({"model.safetensors": None}, ModelMissingError),
    ],
)
def test_a_folder_of_another_kind_is_refused(
    folder: Path, tmp_path: Path, change: dict[str, object], error: type[Exception]
) -> None:
    (tmp_path / "1_Pooling").mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "1_Pooling/config.json"):
        if name not in change:
            (tmp_path / name).write_bytes((folder / name).read_bytes())
        elif change[name] is not None:
            (tmp_path / name).write_text(json.dumps(change[name]))
    with pytest.raises(error):
        SentenceEncoder.load(tmp_path)


def test_spelling_forgives_endings_and_accents() -> None:
    encoder = SpellingEncoder()
    first, near, far, empty = encoder.encode(
        ["Wo sind die Bücher?", "wo sind denn die bucher", "Quanta costa?", "..."]
    )
    assert first @ near > 0.8
    assert first @ far < 0.1
    assert np.linalg.norm(first) == pytest.approx(1.0, abs=1e-6)
    assert not empty.any()
    assert encoder.encode([]).shape == (0, encoder.width)


@pytest.mark.models
def test_the_published_encoder_knows_what_is_meant() -> None:
    store = ModelStore(default_models_dir())
    if not store.is_ready("all-minilm-l6-v2"):
        pytest.skip("all-minilm-l6-v2 is not here: run voicebot models pull")
    encoder = SentenceEncoder.load(store.path("all-minilm-l6-v2"))
    asked, meant, other = encoder.encode(
        ["how much do i have to pay to get in", "the entrance fee", "the old lighthouse"]
    )
    assert asked @ meant > 0.4
    assert asked @ meant > asked @ other + 0.3

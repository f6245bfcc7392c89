from __future__ import annotations

import pytest

from voicebot.auto_choice import (
    FIRST_TOKENS,
    RECOGNISE_BUDGET_MS,
    WRITE_BUDGET_MS,
    Surroundings,
    candidates,
    decide,
    recognise_ms,
    token_ms,
)
from voicebot.machine import MachineFacts
from voicebot.models.registry import MODELS

GIB = 1024**3
PHONE = MachineFacts(4, 4 * GIB, 8.0, 4.0)
LAPTOP = MachineFacts(2, 16 * GIB, 55.0, 12.0)
TOWER = MachineFacts(16, 64 * GIB, 900.0, 60.0)
CARD = MachineFacts(16, 64 * GIB, 900.0, 60.0, gpu_memory_bytes=24 * GIB)
SMALL_CARD = MachineFacts(8, 32 * GIB, 300.0, 30.0, gpu_memory_bytes=8 * GIB)
TINY_CARD = MachineFacts(2, 16 * GIB, 55.0, 12.0, gpu_memory_bytes=2 * GIB)
NOTHING: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("machine", "language", "profile", "asr", "llm", "tts"),
    [
        (None, "en", "embedded", "pocketsphinx-en-us", "smollm2-135m-instruct", "espeak-ng"),
        (
            PHONE,
            "en",
            "cpu",
            "faster-whisper-tiny.en",
            "smollm2-360m-instruct",
            "piper-en-us-lessac-low",
        ),
        (
            LAPTOP,
            "en",
            "cpu",
            "faster-whisper-base.en",
            "smollm2-360m-instruct",
            "piper-en-us-lessac-medium",
        ),
        (
            LAPTOP,
            "de",
            "cpu",
            "faster-whisper-base",
            "qwen2.5-0.5b-instruct",
            "piper-de-de-thorsten-medium",
        ),
        (
            TINY_CARD,
            "en",
            "cpu",
            "faster-whisper-base.en",
            "smollm2-360m-instruct",
            "piper-en-us-lessac-medium",
        ),
        (
            TOWER,
            "en",
            "cpu",
            "faster-whisper-distil-medium.en",
            "qwen2.5-1.5b-instruct",
            "piper-en-us-lessac-medium",
        ),
        (
            CARD,
            "en",
            "gpu",
            "faster-whisper-distil-large-v3",
            "qwen2.5-7b-instruct",
            "piper-en-us-lessac-high",
        ),
        (
            SMALL_CARD,
            "de",
            "gpu",
            "faster-whisper-large-v3-turbo",
            "qwen2.5-1.5b-instruct",
            "piper-de-de-thorsten-high",
        ),
    ],
)
def test_the_largest_that_are_quick_enough(  # noqa: PLR0917 (a table's columns)
    machine: MachineFacts | None, language: str, profile: str, asr: str, llm: str, tts: str
) -> None:
    chosen = decide(
        Surroundings(NOTHING, hub_answers=machine is not None, machine=machine), language
    )
    assert (chosen.profile, chosen.asr, chosen.llm, chosen.tts) == (profile, asr, llm, tts)
    assert chosen.reason
    assert "\n" not in chosen.reason


def test_without_a_hub_only_what_is_here_counts() -> None:
    here = frozenset({"faster-whisper-tiny.en", "espeak-ng"})
    chosen = decide(Surroundings(here, hub_answers=False, machine=TOWER), "en")
    assert (chosen.profile, chosen.asr) == ("cpu", "faster-whisper-tiny.en")
    assert (chosen.llm, chosen.tts) == ("smollm2-135m-instruct", "espeak-ng")


def test_any_voice_that_is_here_is_better_than_none() -> None:
    here = frozenset({"piper-fr-fr-upmc-medium", "faster-whisper-tiny", "qwen2.5-0.5b-instruct"})
    chosen = decide(Surroundings(here, hub_answers=False, machine=LAPTOP), "fr")
    assert chosen.tts == "piper-fr-fr-upmc-medium"


def test_what_was_fetched_though_nobody_proposed_it_is_taken() -> None:
    here = frozenset({"faster-whisper-large-v3", "qwen3-0.6b"})
    chosen = decide(Surroundings(here, hub_answers=False, machine=TOWER), "en")
    assert (chosen.asr, chosen.llm) == ("faster-whisper-large-v3", "qwen3-0.6b")


def test_a_card_without_its_models_falls_back_to_the_processor() -> None:
    here = frozenset({"faster-whisper-small.en"})
    chosen = decide(Surroundings(here, hub_answers=False, machine=CARD), "en")
    assert (chosen.profile, chosen.asr) == ("cpu", "faster-whisper-small.en")


def test_little_memory_takes_smaller_models() -> None:
    small = MachineFacts(16, 2 * GIB, 900.0, 60.0)
    chosen = decide(Surroundings(NOTHING, hub_answers=True, machine=small), "en")
    assert chosen.llm == "smollm2-360m-instruct"


def test_no_recogniser_for_a_language_is_the_embedded_profile() -> None:
    chosen = decide(Surroundings(NOTHING, hub_answers=False, machine=LAPTOP), "de")
    assert chosen.profile == "embedded"
    assert "de" in chosen.reason


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("on_gpu", [False, True])
def test_candidates_are_known_free_and_speak_the_language(language: str, *, on_gpu: bool) -> None:
    recognisers, writers = candidates(language, on_gpu=on_gpu)
    for name in (*recognisers, *writers):
        assert MODELS[name].serves(language)
        assert not MODELS[name].gated
        assert MODELS[name].licence in {"MIT", "Apache-2.0"}


def test_predictions_grow_with_the_model_and_shrink_with_the_machine() -> None:
    recognisers, writers = candidates("de")
    times = [recognise_ms(name, LAPTOP) for name in recognisers]
    assert times == sorted(times, reverse=True)
    assert [token_ms(name, LAPTOP) for name in writers] == sorted(
        (token_ms(name, LAPTOP) for name in writers), reverse=True
    )
    assert recognise_ms("faster-whisper-base", TOWER) < recognise_ms("faster-whisper-base", LAPTOP)
    assert recognise_ms("faster-whisper-base.en", LAPTOP) <= RECOGNISE_BUDGET_MS
    assert token_ms("smollm2-360m-instruct", LAPTOP) * FIRST_TOKENS <= WRITE_BUDGET_MS


def test_larger_models_that_are_not_here_are_spoken_of_and_not_taken() -> None:
    here = frozenset({"faster-whisper-tiny.en", "qwen2.5-0.5b-instruct"})
    chosen = decide(Surroundings(here, hub_answers=False, machine=TOWER), "en")
    assert chosen.asr == "faster-whisper-tiny.en"
    best = decide(Surroundings(here, hub_answers=True, machine=TOWER), "en")
    assert f"{best.asr} would be quick enough, too, once it is pulled" in chosen.notes["asr"]
    assert "once it is pulled" not in best.reason_of("asr", "llm", "tts")

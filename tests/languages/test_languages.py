"""Each language is complete, and its tables agree with the code that uses them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from voicebot.builders.tts import espeak_voice
from voicebot.config import Settings, TtsSettings
from voicebot.config_sources import load_settings
from voicebot.engines.espeak import EspeakTts
from voicebot.errors import ConfigError
from voicebot.languages import LANGUAGES, Language, find_language, primary_subtag
from voicebot.text.clauses import ClauseSplitter
from voicebot.text.normalise import normalise_words
from voicebot.text.speakable import speakable
from voicebot.text.written import as_written
from voicebot.turns.interruption import is_acknowledgement

ROOT = Path(__file__).resolve().parents[2]
EVERY_LANGUAGE = pytest.mark.parametrize(
    "language", LANGUAGES.values(), ids=[language.name for language in LANGUAGES.values()]
)


def test_a_region_makes_no_difference() -> None:
    assert find_language("de-AT") is find_language("DE_ch") is LANGUAGES["de"]
    assert primary_subtag("en_US") == "en"


@pytest.mark.parametrize("tag", ["", "xx", "german", "d"])
def test_an_unknown_language_is_one_line_that_lists_the_known(tag: str) -> None:
    with pytest.raises(ConfigError) as raised:
        find_language(tag)
    line = str(raised.value)
    assert "\n" not in line
    assert all(f"{known.code} ({known.name})" in line for known in LANGUAGES.values())


@EVERY_LANGUAGE
def test_its_acknowledgements_are_told(language: Language) -> None:
    for phrase in language.acknowledgements:
        assert " ".join(normalise_words(phrase, language.code)) == phrase
        assert is_acknowledgement(phrase.capitalize() + ".", language.code)


@EVERY_LANGUAGE
def test_what_the_bot_says_itself_can_be_spoken_as_it_stands(language: Language) -> None:
    answers = [answer for _, answer in language.examples]
    for sentence in (language.apology, language.no_answer, *answers):
        assert speakable(sentence, language.code) == sentence
    # An acknowledgement behind a question would be taken for an answer.
    assert not language.apology.endswith("?")


@EVERY_LANGUAGE
def test_its_examples_are_what_would_be_written(language: Language) -> None:
    for question, answer in language.examples:
        assert as_written(question, language.code) == question
        bare = question.strip("¿? .").lower()
        assert as_written(bare, language.code).lower() == question.lower()
        splitter = ClauseSplitter(early_first_clause=False, language=language.code)
        assert splitter.feed(answer) + splitter.flush() == [answer]


@EVERY_LANGUAGE
def test_its_tables_are_in_lower_case_where_they_are_looked_up_so(language: Language) -> None:
    questions, clauses = language.questions, language.clauses
    for table in (questions.first_words, questions.leading, questions.prepositions):
        assert table == {word.lower() for word in table}
    for table in (clauses.abbreviations, clauses.openers, clauses.copulas):
        assert table == {word.lower() for word in table}
    assert all(short.endswith(".") for short in clauses.abbreviations)


def test_the_examples_of_the_documentation_are_settings(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "languages.md").read_text(encoding="utf-8")
    examples = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    languages = set()
    for example in examples:
        file = tmp_path / "voicebot.toml"
        file.write_text(example, encoding="utf-8")
        settings = load_settings(config_file=file, environment={}, working_dir=tmp_path).settings
        languages.add((settings.language, settings.profile))
        if settings.tts.voice:
            assert EspeakTts(settings.tts.voice).sample_rate_hz > 0
    others = set(LANGUAGES) - {"en"}
    assert languages == {(code, name) for code in others for name in ("cpu", "remote")}


def test_the_voice_is_the_languages_unless_it_is_set() -> None:
    assert espeak_voice(Settings()) == "en-us"
    assert espeak_voice(Settings(language="fr")) == "fr"
    assert espeak_voice(Settings(language="fr", tts=TtsSettings(voice="fr-ch"))) == "fr-ch"


@EVERY_LANGUAGE
def test_espeak_has_its_voice(language: Language) -> None:
    assert EspeakTts(language.espeak_voice).sample_rate_hz > 0


@pytest.mark.parametrize("code", [one.code for one in LANGUAGES.values() if one.reading])
def test_units_and_abbreviations_are_read(code: str) -> None:
    language = LANGUAGES[code]
    assert language.reading is not None
    for unit, (_, many) in language.reading.units.items():
        assert speakable(f"2,5 {unit}", language.code).rstrip(".").endswith(many)
    for sign, currency in language.reading.currencies.items():
        assert speakable(f"7 {sign}", language.code).endswith(f" {currency.many}")
    for short, said in language.reading.abbreviations.items():
        assert said in speakable(f"{short} a", language.code)
        assert said in speakable(f"{''.join(short.split())} a", language.code)

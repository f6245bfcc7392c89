"""A conversation in each language: scripted ears and wits, the real text pipeline and voice."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from conversations import Conversation, converse, scripted, speech, tone
from voicebot.builders.tts import tts_factory
from voicebot.choice import StageChoice
from voicebot.config import Settings
from voicebot.conversation_rules import new_history, session_rules
from voicebot.engines.scripted import FailAt, ScriptedAsr, ScriptedLlm
from voicebot.errors import EngineError
from voicebot.events import BargedIn, Outcome, ReplyResumed
from voicebot.languages import LANGUAGES
from voicebot.models.store import ModelStore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from voicebot.engines.protocols import SpeechChunk, Tts

    Run = Callable[[Any], Any]


@dataclass(frozen=True)
class Script:
    """What is said in one language.

    Attributes:
        heard: what the recogniser understands of the question: lower case, no marks.
        asked: what the language model is shown of it.
        reply: what the language model writes.
        first_clause: what is spoken first of it, as it is spoken.
        spoken: words that must be spoken for what stands in digits and signs.
        written: what is read out as one, so that it is heard as a whole or not at all.
        acknowledgement: lets the reply go on.
        interruption: does not.
    """

    heard: str
    asked: str
    reply: str
    first_clause: str
    spoken: tuple[str, ...]
    written: tuple[str, ...]
    acknowledgement: str
    interruption: str


SCRIPTS = {
    "en": Script(
        heard="how high is the tower",
        asked="How high is the tower?",
        reply="The tower of Paris is 324 m high. It was opened in 1889 and weighs 7,300 tons.",
        first_clause="The tower of Paris",
        spoken=("three hundred twenty-four meters", "eighteen eighty-nine"),
        written=("324 m", "1889"),
        acknowledgement="okay",
        interruption="stop please",
    ),
    "de": Script(
        heard="wie hoch ist der turm",
        asked="Wie hoch ist der turm?",
        reply="Der Turm von Paris ist 324,5 m hoch. Er wurde am 31. März 1889 eröffnet und kostet "
        "z. B. 28,30 € Eintritt.",
        first_clause="Der Turm von Paris",
        spoken=(
            "dreihundertvierundzwanzig Komma fünf Meter",
            "am einunddreißigsten März achtzehnhundertneunundachtzig",
            "zum Beispiel achtundzwanzig Euro dreißig",
        ),
        written=("324,5 m", "31.", "z. B.", "28,30 €"),
        acknowledgement="ach so",
        interruption="warte mal",
    ),
    "es": Script(
        heard="qué altura tiene la torre",
        asked="¿Qué altura tiene la torre?",
        reply="La torre de París mide 324,5 m en total. Se abrió el 31/03/1889 y cuesta 28,30 € "
        "según el Sr. López, p. ej. a las 14:30.",
        first_clause="La torre de París mide trescientos veinticuatro coma cinco metros",
        spoken=(
            "treinta y uno de marzo de mil ochocientos ochenta y nueve",
            "veintiocho euros con treinta",
            "el señor López, por ejemplo a las catorce y treinta",
        ),
        written=("324,5 m", "31/03/1889", "28,30 €"),
        acknowledgement="de acuerdo",
        interruption="espera un momento",
    ),
    "fr": Script(
        heard="quelle est la hauteur de la tour",
        asked="Quelle est la hauteur de la tour ?",
        reply="La tour de Paris mesure 324,5 m en tout. Elle a ouvert le 31/03/1889 ; elle coûte "
        "28,30 € au XXIe siècle, selon M. Martin, à 14h30 !",
        first_clause="La tour de Paris mesure trois cent vingt-quatre virgule cinq mètres en tout.",
        spoken=(
            "trente et un mars mille huit cent quatre-vingt-neuf",
            "vingt-huit euros trente",
            "vingt et unième siècle, selon monsieur Martin, à quatorze heures trente!",
        ),
        written=("324,5 m", "31/03/1889", "28,30 €", "XXIe"),
        acknowledgement="d'accord",
        interruption="attends un peu",
    ),
}
EVERY_LANGUAGE = pytest.mark.parametrize("language", SCRIPTS)
assert set(SCRIPTS) == set(LANGUAGES)


class Voice:
    """A real synthesiser, called on the loop: virtual time does not wait for threads."""

    def __init__(self, tts: Tts) -> None:
        self._tts = tts
        self.spoken: list[str] = []

    @property
    def sample_rate_hz(self) -> int:
        return self._tts.sample_rate_hz

    async def synthesise(self, text: str) -> AsyncGenerator[SpeechChunk, None]:
        self.spoken.append(text)
        for chunk in self._tts.synthesise(text, threading.Event()):
            await asyncio.sleep(0.001)
            yield chunk


class TurnByTurnAsr(ScriptedAsr):
    """Understands a given text in each turn."""

    def __init__(self, *texts: str) -> None:
        super().__init__()
        self._texts = list(texts)
        self._turn = -1

    def start(self, on_partial: Callable[[str], None]) -> None:
        self._turn += 1
        super().start(on_partial)

    def _text(self) -> str:
        return self._texts[min(self._turn, len(self._texts) - 1)]


@dataclass
class Talk:
    conversation: Conversation
    voice: Voice
    llm: ScriptedLlm


@pytest.fixture
def hold_conversation(virtual_time: Run, tmp_path: Path) -> Callable[..., Talk]:
    def hold(
        language: str, *intrusions: tuple[float, float, str], llm: ScriptedLlm | None = None
    ) -> Talk:
        script = SCRIPTS[language]
        settings = Settings(language=language)
        build = tts_factory(StageChoice("espeak", "espeak-ng"), settings, ModelStore(tmp_path))
        voice = Voice(build())
        llm = llm or ScriptedLlm({script.asked: script.reply}, default="…")
        talk = virtual_time(
            converse(
                [(0.5, speech(1.0)), *((at_s, tone(length_s)) for at_s, length_s, _ in intrusions)],
                stages=scripted(
                    asr=TurnByTurnAsr(script.heard, *(text for _, _, text in intrusions)),
                    llm=llm,
                    tts=voice,
                ),
                rules=session_rules(settings),
                history=new_history(settings),
                listen_s=25.0,
            )
        )
        return Talk(talk, voice, llm)

    return hold


@EVERY_LANGUAGE
def test_a_question_is_answered_in_its_language(
    hold_conversation: Callable[..., Talk], language: str
) -> None:
    script, known = SCRIPTS[language], LANGUAGES[language]
    talk = hold_conversation(language)
    (closed,) = talk.conversation.closed
    assert closed.outcome is Outcome.ANSWERED
    assert closed.heard == closed.reply == script.reply
    messages = talk.llm.asked[-1]
    assert messages[0].content == known.system_prompt
    assert messages[-1].content == script.asked
    assert talk.voice.spoken[0] == script.first_clause
    spoken = " ".join(talk.voice.spoken)
    assert all(words in spoken for words in script.spoken)
    assert not any(character.isdigit() for character in spoken)
    sounded_s = sum(end_s - start_s for start_s, end_s in talk.conversation.bot_spans)
    assert 0.2 < sounded_s / len(spoken.split()) < 0.7


@EVERY_LANGUAGE
def test_an_acknowledgement_lets_the_reply_go_on(
    hold_conversation: Callable[..., Talk], language: str
) -> None:
    script = SCRIPTS[language]
    talk = hold_conversation(language, (4.5, 0.4, script.acknowledgement))
    acknowledgement, question = talk.conversation.closed
    assert acknowledgement.outcome is Outcome.ACKNOWLEDGED
    assert question.heard == script.reply
    assert talk.conversation.of(ReplyResumed)


@EVERY_LANGUAGE
@pytest.mark.parametrize("at_s", [3.7, 5.1, 6.3, 7.7])
def test_what_was_heard_before_an_interruption_is_in_the_models_words(
    hold_conversation: Callable[..., Talk], language: str, at_s: float
) -> None:
    script = SCRIPTS[language]
    talk = hold_conversation(language, (at_s, 0.5, script.interruption))
    question = talk.conversation.closed[0]
    assert talk.conversation.of(BargedIn)
    heard = question.heard
    assert 0 < len(heard) < len(script.reply)
    assert script.reply.startswith(heard)
    assert script.reply[len(heard)].isspace(), "it ends with a word"
    for written in script.written:
        start = script.reply.index(written)
        assert not start < len(heard) < start + len(written), "all of it was heard, or nothing"


@EVERY_LANGUAGE
def test_it_owns_up_in_its_language(hold_conversation: Callable[..., Talk], language: str) -> None:
    known = LANGUAGES[language]
    failing = ScriptedLlm(fail_at=FailAt(1, EngineError("the language model is out of wit")))
    talk = hold_conversation(language, llm=failing)
    assert " ".join(talk.voice.spoken) == known.apology
    silent = hold_conversation(language, llm=ScriptedLlm(default="…"))
    assert " ".join(silent.voice.spoken) == known.no_answer

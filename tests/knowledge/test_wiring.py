"""From the settings to a language model that knows and is guarded; and from the command line."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from voicebot.builders.knowledge import match_rules, with_knowledge_and_guard
from voicebot.choice import choose_profile, chosen_encoder
from voicebot.cli.main import run
from voicebot.config import GuardSettings, KnowledgeSettings, Settings
from voicebot.engines.protocols import Message, Prefilled, TextPiece
from voicebot.errors import KnowledgeError, ModelMissingError
from voicebot.knowledge.matching import SENTENCE_RULES, SPELLING_RULES
from voicebot.models.store import ModelStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voicebot.engines.protocols import StopFlag

MUSEUM = Path(__file__).parent / "museum"
FAQ = "question,answer\nWas kostet eine Karte?,Vierzehn Kronen.\n"


class PlainLlm:
    def generate(
        self, messages: Sequence[Message], stop: StopFlag
    ) -> Iterator[Prefilled | TextPiece]:
        yield Prefilled(None, 1, 0)
        yield TextPiece(messages[-1].content, 1)

    def prepare(
        self, messages: Sequence[Message], stop: StopFlag, write_tokens: int = 0
    ) -> Prefilled | None:
        return Prefilled(None, 1, 0)

    def close(self) -> None:
        pass


def built(tmp_path: Path, **settings: Any) -> Any:
    return with_knowledge_and_guard(PlainLlm, Settings(**settings), ModelStore(tmp_path))()


def said(llm: Any, words: str) -> str:
    pieces = llm.generate([Message("user", words)], threading.Event())
    return "".join(one.text for one in pieces if isinstance(one, TextPiece)).strip()


def test_nothing_is_wrapped_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert isinstance(built(tmp_path), PlainLlm)
    assert "all-minilm-l6-v2" not in choose_profile(Settings()).models
    code = (
        "import sys; from voicebot.builders import engine_factories; "
        "print(*(n for n in sys.modules if n.startswith(('voicebot.knowledge', 'voicebot.guard'))"
        " or n == 'voicebot.engines.embeddings'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    "sections",
    [
        {"knowledge": KnowledgeSettings(folder=MUSEUM)},
        {"guard": GuardSettings(enabled=True)},
        {"guard": GuardSettings(words_file=MUSEUM / "town.txt")},
    ],
)
def test_the_encoder_is_fetched_with_the_other_models(
    tmp_path: Path, sections: dict[str, Any]
) -> None:
    assert choose_profile(Settings(**sections)).models[-1] == "all-minilm-l6-v2"
    with pytest.raises(ModelMissingError):
        built(tmp_path, **sections)
    german = Settings(language="de", **sections)
    assert not chosen_encoder(german)
    off = Settings(guard=GuardSettings(enabled=True, classifier=False))
    assert "all-minilm-l6-v2" not in choose_profile(off).models


def test_a_german_folder_is_searched_by_spelling(tmp_path: Path) -> None:
    folder = tmp_path / "wissen"
    folder.mkdir()
    (folder / "faq.csv").write_text(FAQ)
    words = tmp_path / "words.txt"
    words.write_text("konkurrenz\n")
    llm = built(
        tmp_path,
        language="de",
        knowledge=KnowledgeSettings(folder=folder, only=True, cache_dir=tmp_path / "cache"),
        guard=GuardSettings(words_file=words, emergency_text="Rufen Sie 5550."),
    )
    try:
        assert said(llm, "Was kostet eine Karte?") == "Vierzehn Kronen."
        assert said(llm, "Wo wohnt der Papst?") == "Darüber weiß ich leider nichts."
        assert said(llm, "Was macht die Konkurrenz?") == "Darüber spreche ich hier nicht."
        assert said(llm, "Hilfe, er atmet nicht!") == "Rufen Sie 5550."
        assert len(list((tmp_path / "cache").iterdir())) == 1  # the guard has no examples
    finally:
        llm.close()


def test_the_operators_mistakes_show_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="no folder"):
        built(tmp_path, language="de", knowledge=KnowledgeSettings(folder=tmp_path / "none"))
    with pytest.raises(KnowledgeError, match="cannot be read"):
        built(tmp_path, language="de", guard=GuardSettings(words_file=tmp_path / "none"))


def test_thresholds_can_be_set() -> None:
    assert match_rules(Settings()) != SENTENCE_RULES  # nothing is asked for
    folder = KnowledgeSettings(folder=MUSEUM)
    assert match_rules(Settings(knowledge=folder)) == SENTENCE_RULES
    assert match_rules(Settings(language="de", knowledge=folder)) == SPELLING_RULES
    own = KnowledgeSettings(folder=MUSEUM, sure_question=2.0, loose_score=0.0)
    assert match_rules(Settings(knowledge=own)).sure_question == 2.0
    assert match_rules(Settings(knowledge=own)).loose == 0.0


def test_the_command_asks_reads_and_measures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "faq.csv").write_text(FAQ)
    questions = tmp_path / "questions.txt"
    questions.write_text(
        "question,file,phrase\nwas kostet denn eine karte,faq.csv,Kronen\nwie alt ist rom,,\n"
    )
    common = ["--folder", str(tmp_path), "--set", "language=de"]
    common += ["--set", f"knowledge.cache_dir={tmp_path / 'cache'}"]
    questions = questions.rename(tmp_path / "questions.labels")
    assert run(["knowledge", "index", *common]) == 0
    assert "1 passages of 1 files" in capsys.readouterr().out
    assert run(["knowledge", "ask", *common, "Was", "kostet", "eine", "Karte?"]) == 0
    assert "Sure, spoken as it stands: Vierzehn Kronen." in capsys.readouterr().out
    assert run(["knowledge", "ask", *common, "xyz"]) == 0
    assert "Nothing fits: the language model answers freely." in capsys.readouterr().out
    assert run(["knowledge", "evaluate", str(questions), *common]) == 0
    out = capsys.readouterr().out
    assert "BM25  Recall@1 1.00" in out
    assert "these questions call for" in out
    assert run(["knowledge", "ask", "x"]) == 2
    assert "knowledge.folder is not set" in capsys.readouterr().err

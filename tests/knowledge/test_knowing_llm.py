"""What is answered from the folder, and what the wrapped model gets to see."""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from knowledge_folders import knowledge_of, write

from voicebot.engines.local_llm import LocalLlm
from voicebot.engines.protocols import Message, Prefilled, TextPiece
from voicebot.knowledge.knowing_llm import AnsweringRules, KnowingLlm

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voicebot.engines.protocols import StopFlag

FAQ = "question,answer\nWhat does a ticket cost?,Fourteen crowns.\n"
TOWN = 'The river Alder is deep and cold <|im_end|> and has no "bridge" at all.\n'
SYSTEM = Message("system", "Be brief.")
NEVER = threading.Event()


class RecordingLlm:
    """Writes the same words to anything, and remembers what it read."""

    def __init__(self, *words: str) -> None:
        self.words = words or ("My ", "answer.")
        self.generated: list[tuple[Message, ...]] = []
        self.prepared: list[tuple[tuple[Message, ...], int]] = []
        self.is_closed = False

    def generate(
        self, messages: Sequence[Message], stop: StopFlag
    ) -> Iterator[Prefilled | TextPiece]:
        self.generated.append(tuple(messages))
        yield Prefilled(0.9, 10, 0)
        for word in self.words:
            yield TextPiece(word, 1)

    def prepare(
        self, messages: Sequence[Message], stop: StopFlag, write_tokens: int = 0
    ) -> Prefilled | None:
        self.prepared.append((tuple(messages), write_tokens))
        return None if stop.is_set() else Prefilled(0.25, 5, 3)

    def close(self) -> None:
        self.is_closed = True


def knowing(tmp_path: Path, llm: Any = None, **rules: Any) -> tuple[KnowingLlm, Any]:
    knowledge = knowledge_of(write(tmp_path, faq_csv=FAQ, town_txt=TOWN))
    inner = llm or RecordingLlm()
    return KnowingLlm(inner, knowledge.find, AnsweringRules(**rules)), inner


def said(llm: KnowingLlm, *words: str) -> tuple[Prefilled, str]:
    roles = ("user", "assistant")
    messages = [SYSTEM, *(Message(roles[at % 2], one) for at, one in enumerate(words))]  # type: ignore[arg-type]
    first, *rest = llm.generate(messages, NEVER)
    assert isinstance(first, Prefilled)
    return first, "".join(one.text for one in rest if isinstance(one, TextPiece))


def test_a_sure_match_is_spoken_without_the_model_writing(tmp_path: Path) -> None:
    llm, inner = knowing(tmp_path)
    prefilled, text = said(llm, "What does a ticket cost?")
    assert text == "Fourteen crowns."
    assert inner.generated == []
    # The turn's end hangs on how finished the words are: the model's reading of them, and no other.
    assert prefilled.turn_end_probability == 0.25
    assert inner.prepared[0][0][-1] == Message("user", "What does a ticket cost?")


def test_a_loose_match_stands_behind_the_words(tmp_path: Path) -> None:
    llm, inner = knowing(tmp_path)
    prefilled, text = said(llm, "Is the river Alder deep here?")
    assert text == "My answer."
    assert prefilled.turn_end_probability == 0.25
    (messages,) = inner.generated
    assert messages[0] == SYSTEM
    assert messages[-1].content == (
        'Is the river Alder deep here? (Answer from this note: "The river Alder is deep and cold '
        "and has no 'bridge' at all.\")"
    )


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("It is.", " (An", 'swer from this note: "', 'It is.")', " More."), "It is. "),
        (("It is (", "Answer from the ", "book)."), "It is (Answer from the book)."),
        (("It is", " ((", "Answer from this note"), "It is ("),
        (("It is (Ans",), "It is (Ans"),
    ],
)
def test_a_note_of_the_models_own_is_not_read_aloud(
    tmp_path: Path, words: tuple[str, ...], text: str
) -> None:
    llm, _ = knowing(tmp_path, RecordingLlm(*words))
    assert said(llm, "Is the river Alder deep here?")[1] == text


def test_without_a_match_the_model_is_free_or_the_bot_says_so(tmp_path: Path) -> None:
    llm, inner = knowing(tmp_path)
    prefilled, text = said(llm, "Zzz qqq?")
    assert (prefilled.turn_end_probability, text) == (0.9, "My answer.")
    assert inner.generated[0][-1].content == "Zzz qqq?"
    llm, inner = knowing(tmp_path, unknown="I don't know.")
    assert said(llm, "Zzz qqq?")[1] == "I don't know."
    assert inner.generated == []


def test_a_loose_match_can_be_quoted(tmp_path: Path) -> None:
    llm, inner = knowing(tmp_path, quotes=True)
    text = said(llm, "Is the river Alder deep here?")[1]
    assert text == 'The river Alder is deep and cold and has no "bridge" at all.'
    assert inner.generated == []


def test_a_short_question_may_follow_up_the_last(tmp_path: Path) -> None:
    llm, inner = knowing(tmp_path)
    said(llm, "What does a ticket cost?", "Fourteen crowns.", "Zzz?")
    assert "Fourteen crowns." in inner.generated[-1][-1].content
    said(llm, "What does a ticket cost?", "Fourteen crowns.", "Qqq xxx yyy zzz www vvv?")
    assert inner.generated[-1][-1].content == "Qqq xxx yyy zzz www vvv?"


def test_reading_ahead_reads_the_bare_words(tmp_path: Path) -> None:
    llm, inner = knowing(tmp_path)
    bare = (SYSTEM, Message("user", "Is the river Alder deep here?"))
    llm.prepare(bare, NEVER)
    assert inner.prepared == [(bare, 0)]
    llm.prepare((SYSTEM,), NEVER, 4)
    assert inner.prepared[-1] == ((SYSTEM,), 0)


def test_writing_ahead_begins_only_what_the_model_will_say(tmp_path: Path) -> None:
    llm, inner = knowing(tmp_path)
    llm.prepare((SYSTEM, Message("user", "What does a ticket cost?")), NEVER, 4)
    assert [tokens for _, tokens in inner.prepared] == [0]
    inner.prepared.clear()
    llm.prepare((SYSTEM, Message("user", "Is the river Alder deep here?")), NEVER, 4)
    assert [tokens for _, tokens in inner.prepared] == [0, 4]
    assert "note" in inner.prepared[1][0][-1].content
    inner.prepared.clear()
    llm.prepare((SYSTEM, Message("user", "Zzz qqq?")), NEVER, 4)
    assert [tokens for _, tokens in inner.prepared] == [4]


def test_nothing_is_said_once_stopped(tmp_path: Path) -> None:
    llm, _ = knowing(tmp_path)
    stop = threading.Event()
    stop.set()
    messages = (SYSTEM, Message("user", "What does a ticket cost?"))
    assert list(llm.generate(messages, stop)) == []


def test_closing_closes_both(tmp_path: Path) -> None:
    closed: list[bool] = []
    inner = RecordingLlm()
    knowledge = knowledge_of(write(tmp_path, faq_csv=FAQ))
    llm = KnowingLlm(inner, knowledge.find, AnsweringRules(), on_close=lambda: closed.append(True))
    llm.close()
    assert inner.is_closed
    assert closed == [True]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> LocalLlm:
    tool = Path(__file__).parents[2] / "tools" / "make_tiny_llm.py"
    spec = importlib.util.spec_from_file_location("make_tiny_llm", tool)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    path = tmp_path_factory.mktemp("tiny")
    module.write_tiny_llm(path, seed=3)
    return LocalLlm.load(path, threads=1, max_tokens=8, precision="float32")


def test_the_kept_cache_serves_what_was_read_ahead_and_the_next_turn(
    tmp_path: Path, tiny: LocalLlm
) -> None:
    llm, _ = knowing(tmp_path, tiny)
    question = Message("user", "Is the river Alder deep here?")
    llm.prepare([SYSTEM, question], NEVER)
    prefilled, *pieces = llm.generate([SYSTEM, question], NEVER)
    assert isinstance(prefilled, Prefilled)
    assert prefilled.read_tokens == 0  # all of it was read while the user spoke
    assert prefilled.turn_end_probability is not None
    assert pieces
    assert all(isinstance(piece, TextPiece) for piece in pieces)
    # The note was the last turn's alone; everything before it is still of use.
    words = ["Is", "the", "river", "Alder", "deep", "here"]
    before_words = tiny.count_tokens([SYSTEM])
    later = [SYSTEM, question, Message("assistant", "Yes."), Message("user", "Zzz qqq?")]
    following = next(llm.generate(later, NEVER))
    assert isinstance(following, Prefilled)
    assert following.cached_tokens >= before_words + len(words)

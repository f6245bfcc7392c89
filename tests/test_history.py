from __future__ import annotations

from itertools import pairwise

from voicebot.history import History


def roles_and_texts(history: History, user_text: str | None = None) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in history.messages(user_text)]


def test_a_conversation_is_told_in_order() -> None:
    history = History("be brief", max_tokens=1000)
    history.add_user(1, "hello")
    history.set_heard(1, "hi there")
    assert roles_and_texts(history, "how are you") == [
        ("system", "be brief"),
        ("user", "hello"),
        ("assistant", "hi there"),
        ("user", "how are you"),
    ]


def test_asking_for_a_draft_changes_nothing() -> None:
    history = History("", max_tokens=1000)
    history.messages("never committed")
    assert history.exchanges == ()
    assert roles_and_texts(history) == []


def test_what_was_not_heard_does_not_stand() -> None:
    history = History("", max_tokens=1000)
    history.add_user(1, "hello")
    assert roles_and_texts(history) == [("user", "hello")]


def test_a_withdrawn_turn_is_gone_with_its_reply() -> None:
    history = History("", max_tokens=1000)
    history.add_user(1, "hello")
    history.set_heard(1, "hi")
    history.withdraw(1)
    history.set_heard(1, "late")
    assert history.exchanges == ()


def test_examples_stand_in_front_and_are_never_dropped() -> None:
    history = History("s", max_tokens=50, examples=[("q", "a")], write=str.upper)
    for turn in range(20):
        history.add_user(turn, "word " * 5)
        history.set_heard(turn, "word " * 5)
    assert roles_and_texts(history)[:3] == [("system", "s"), ("user", "q"), ("assistant", "a")]
    assert len(history.exchanges) < 4
    assert history.exchanges[-1].turn == 19
    assert roles_and_texts(history, "x")[-1] == ("user", "X")


def test_the_oldest_go_first_and_half_at_once() -> None:
    history = History("", max_tokens=200)
    kept = []
    for turn in range(40):
        history.add_user(turn, "w" * 30)
        kept.append(len(history.exchanges))
    assert max(kept) > min(kept[15:])
    assert any(after < before - 1 for before, after in pairwise(kept))

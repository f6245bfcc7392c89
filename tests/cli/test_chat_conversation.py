"""What a conversation leaves on the terminal."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from voicebot.cli.chat_conversation import ChatConversation, Keeping
from voicebot.errors import EngineError
from voicebot.events import Outcome, StageFailed, TurnClosed
from voicebot.terminal.view_state import ViewState, reduce
from voicebot.timeline import Timeline


class View:
    """As the live view, without a terminal."""

    def __init__(self) -> None:
        self.state = ViewState()
        self.told: list[str] = []

    def show(self, fact: Any) -> None:
        self.state = reduce(self.state, fact)

    def tell(self, line: str) -> None:
        self.told.append(line)


def test_what_a_view_showed_is_printed_when_it_goes() -> None:
    out, notes = io.StringIO(), io.StringIO()
    context: Any = SimpleNamespace(
        console=Console(file=out, width=200), error_console=Console(file=notes, width=200)
    )
    nothing: Any = None
    conversation = ChatConversation(context, nothing, nothing, Keeping(), None)
    view: Any = View()
    conversation._view = view
    conversation.tell("The microphone 'USB' is gone.")
    conversation._notify(StageFailed(1, EngineError("no answer", "see whether the server runs")))
    conversation._notify(
        TurnClosed(1, Outcome.ANSWERED, "hello", "hi", "hi", 0.0, None, Timeline(), 1, 0, 0, None)
    )
    assert view.told == ["The microphone 'USB' is gone."]
    assert out.getvalue() == notes.getvalue() == ""
    conversation._view = None
    conversation._print_what_was_seen()
    assert out.getvalue() == "You: hello\nBot: hi\n"
    assert notes.getvalue().splitlines() == [
        "The microphone 'USB' is gone.",
        "voicebot: no answer: see whether the server runs",
    ]

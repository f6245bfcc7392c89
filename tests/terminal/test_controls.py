"""Keys and lines that steer a conversation, shown live or as lines; in virtual time."""

from __future__ import annotations

import asyncio
import io
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from conversations import RATE_HZ, converse, scripted, speech
from test_session_interruptions import REPLY, TurnByTurnAsr
from voicebot.audio.sinks import VirtualSpeaker
from voicebot.audio.sources import VirtualMicrophone
from voicebot.engines.scripted import ScriptedLlm
from voicebot.errors import EngineError
from voicebot.events import (
    Event,
    Outcome,
    StageFailed,
    StageFellBack,
    TurnClosed,
    TurnCommitted,
)
from voicebot.history import History
from voicebot.input_gate import InputGate
from voicebot.keeping.transcript_keeper import TranscriptKeeper
from voicebot.session import Session, SessionRules
from voicebot.terminal import live_view, plain_lines
from voicebot.terminal.controls import Controls
from voicebot.terminal.keys import Key, Paste, Press
from voicebot.terminal.live_view import LiveView
from voicebot.terminal.plain_lines import PlainLines, line_commands
from voicebot.turns.interruption import BargeInMode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voicebot.audio.samples import Samples

    Run = Callable[[Any], Any]


@dataclass
class Chat:
    """A conversation with its controls."""

    events: list[Event] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    screens: list[str] = field(default_factory=list)
    starts_s: list[float] = field(default_factory=list)
    has_quit: bool = False

    @property
    def closed(self) -> list[TurnClosed]:
        return [event for event in self.events if isinstance(event, TurnClosed)]


async def chat(
    clips: Sequence[tuple[float, Samples]] = (),
    keys: Sequence[tuple[float, Callable[[Controls, Any], object]]] = (),
    *,
    mode: BargeInMode = BargeInMode.INTERRUPT,
    is_push_to_talk: bool = False,
    view: LiveView | None = None,
    until_s: float = 12.0,
) -> Chat:
    loop = asyncio.get_running_loop()
    result = Chat()
    stages = scripted(
        asr=TurnByTurnAsr("count"), llm=ScriptedLlm({"count": REPLY}, default="fine then.")
    )
    microphone = VirtualMicrophone(block_ms=10)
    speaker = VirtualSpeaker(RATE_HZ, block_ms=10, output_latency_ms=20)
    gate = InputGate(microphone)
    transcript = TranscriptKeeper(None, on_failure=lambda _: None)

    def notify(event: Event) -> None:
        result.events.append(event)
        transcript.observe(event)
        if view is not None:
            view.show(event)

    session = Session(
        gate,
        speaker,
        stages,
        history=History("", max_tokens=10_000),
        rules=SessionRules(),
        notify=notify,
    )

    def quit_chat() -> None:
        result.has_quit = True

    controls = Controls(
        session,
        gate,
        transcript,
        barge_in_mode=mode,
        is_push_to_talk=is_push_to_talk,
        tell=result.told.append if view is None else view.tell,
        quit_chat=quit_chat,
    )
    if view is not None:
        gate.add_listener(view.observe_block)
        view.attach(session, controls)
    for start_s, samples in clips:
        result.starts_s.append(microphone.play(samples, not_before_s=start_s))
    running = [asyncio.create_task(session.run())]
    if view is not None:
        running.append(asyncio.create_task(view.run()))
    for at_s, press in keys:
        loop.call_at(at_s, press, controls, view)
    await asyncio.sleep(until_s)
    microphone.close()
    await running[0]
    for task in running[1:]:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    return result


def test_what_is_said_while_muted_is_not_heard(virtual_time: Run) -> None:
    keys = [(0.2, lambda c, _: c.toggle_mute()), (3.0, lambda c, _: c.toggle_mute())]
    talk = virtual_time(chat([(0.5, speech(1.0)), (4.0, speech(1.0))], keys))
    (closed,) = talk.closed
    assert closed.speech_start_s > 3.9


def test_what_was_said_before_muting_is_answered(virtual_time: Run) -> None:
    talk = virtual_time(chat([(0.5, speech(2.0))], [(1.3, lambda c, _: c.toggle_mute())]))
    (closed,) = talk.closed
    assert closed.outcome is Outcome.ANSWERED
    assert closed.speech_end_s == pytest.approx(1.3, abs=0.05)


def test_to_wait_for_the_key_to_talk_is_not_to_be_muted(virtual_time: Run) -> None:
    seen: list[tuple[bool, bool]] = []

    def look(controls: Controls, _: Any) -> None:
        seen.append((controls.is_muted, controls.is_shut))

    def toggle(controls: Controls, _: Any) -> None:
        controls.toggle_talk(asyncio.get_running_loop().time())

    keys = [(0.1, look), (0.2, toggle), (0.3, look), (0.4, lambda c, _: c.toggle_mute())]
    virtual_time(chat([], [*keys, (0.5, look)], is_push_to_talk=True, until_s=1.0))
    assert seen == [(False, True), (False, False), (True, True)]


def test_a_held_key_is_a_turn(virtual_time: Run) -> None:
    def press(controls: Controls, _: Any) -> None:
        controls.press_talk(asyncio.get_running_loop().time())

    def tick(controls: Controls, _: Any) -> None:
        controls.tick(asyncio.get_running_loop().time())

    held = [0.4, *(0.9 + index * 0.04 for index in range(90))]
    keys = [(at_s, press) for at_s in held] + [(index * 0.05, tick) for index in range(200)]
    talk = virtual_time(
        chat([(0.5, speech(1.0, 2.0, 0.5)), (8.5, speech(1.0))], keys, is_push_to_talk=True)
    )
    (closed,) = talk.closed
    assert closed.speech_end_s == pytest.approx(4.0, abs=0.1), "the pause of 2 s ended nothing"
    committed = next(event for event in talk.events if isinstance(event, TurnCommitted))
    assert committed.at_s == pytest.approx(held[-1] + 0.25 + 0.15, abs=0.1)


def test_two_presses_are_a_turn_and_silence_the_bot(virtual_time: Run) -> None:
    def toggle(controls: Controls, _: Any) -> None:
        controls.toggle_talk(asyncio.get_running_loop().time())

    keys = [(at_s, toggle) for at_s in (0.4, 1.6, 3.0, 4.5)]
    talk = virtual_time(chat([(0.5, speech(1.0)), (3.2, speech(1.0))], keys, is_push_to_talk=True))
    first, second = talk.closed
    assert first.heard
    assert len(first.heard) < len(REPLY)
    assert second.outcome is Outcome.ANSWERED


def test_the_space_bar_ends_a_turn_at_once(virtual_time: Run) -> None:
    talk = virtual_time(chat([(0.5, speech(1.0))], [(1.55, lambda c, _: c.press_talk(1.55))]))
    committed = next(event for event in talk.events if isinstance(event, TurnCommitted))
    assert committed.at_s < 1.6


def test_what_cannot_be_done_is_told(
    virtual_time: Run, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keys = [
        (0.1, lambda c, _: c.repeat()),
        (0.2, lambda c, _: c.save()),
        (0.3, lambda c, _: c.stop()),
        (0.4, lambda c, _: c.answer("hello")),
        (6.0, lambda c, _: c.save()),
        (7.0, lambda c, _: c.quit()),
    ]
    talk = virtual_time(chat([], keys))
    repeated, unsaid, saved = talk.told
    assert repeated == "There is no reply to repeat yet."
    assert unsaid == "Nothing was said yet."
    assert "fine then." in (tmp_path / saved.removeprefix("Saved ")).read_text(encoding="utf-8")
    assert talk.has_quit


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> tuple[LiveView, io.StringIO]:
    """A live view that draws into memory, without a keyboard."""
    monkeypatch.setattr(live_view, "is_keyboard_ours", lambda: False)
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, height=24, color_system=None)
    made = LiveView(console, title="tests", is_push_to_talk=False, is_asleep=lambda: False)
    return made, out


def press(*keys: Press) -> Callable[[Controls, LiveView], None]:
    def do(_: Controls, view: LiveView) -> None:
        for key in keys:
            view._press(key)

    return do


def test_the_live_view_follows_a_conversation(
    virtual_time: Run, screen: tuple[LiveView, io.StringIO]
) -> None:
    view, out = screen
    seen: list[str] = []

    def look(_: Controls, shown: LiveView) -> None:
        seen.append(f"{shown.state.activity.value}|{shown.state.heard}")

    async def talk() -> Chat:
        with view:
            return await chat(
                [(0.5, speech(1.0))], [(1.2, look), (3.0, look), (4.0, look)], view=view
            )

    virtual_time(talk())
    hearing, early, late = seen
    assert hearing == "hearing|"
    assert early.startswith("speaking|one two")
    assert len(early) < len(late) < len(REPLY) + len("speaking|")
    assert view.state.turns[0].bot == REPLY
    drawn = out.getvalue()
    for what in ("● hearing", "● thinking", "● speaking", "● listening", "You  count", "p50"):
        assert what in drawn
    assert drawn.rstrip().endswith("\x1b[?25h\x1b[?1049l"), "the screen is given back"


def test_keys_of_the_live_view(virtual_time: Run, screen: tuple[LiveView, io.StringIO]) -> None:
    view, _ = screen

    async def talk() -> Chat:
        with view:
            return await chat(
                [(0.5, speech(1.0))],
                [
                    (3.5, press(Key.ESCAPE)),
                    (4.5, press("r")),
                    (8.0, press("t", *"hi qm there", Key.ENTER)),
                    (10.0, press("?")),
                    (10.1, press(Key.ESCAPE)),
                    (10.2, press("m")),
                    (10.3, press("x", "t", "q", Key.ESCAPE, "q")),
                ],
                view=view,
            )

    done = virtual_time(talk())
    stopped, again, line = done.closed
    assert 0 < len(stopped.heard) < len(REPLY)
    assert again.outcome is Outcome.REPEATED
    assert again.heard == REPLY
    assert line.is_typed
    assert line.transcript == "hi qm there"
    assert done.has_quit
    assert view.state.is_muted
    assert not view.state.shows_help


def at_once(*keys: Press) -> Callable[[Controls, LiveView], None]:
    return lambda _, view: view._take_keys(list(keys))


def test_what_is_pasted_is_typed_and_never_acts(
    virtual_time: Run, screen: tuple[LiveView, io.StringIO]
) -> None:
    view, _ = screen
    lines: list[str | None] = []

    def look(_: Controls, shown: LiveView) -> None:
        lines.append(shown.state.line)

    async def talk() -> Chat:
        with view:
            return await chat(
                [],
                [
                    (0.1, at_once("?")),
                    (0.2, at_once(Paste("quit me"))),
                    (0.3, look),
                    (0.4, at_once(Key.ESCAPE)),
                    (0.5, at_once(*"question", Key.ENTER, *"quit", Key.ENTER)),
                    (0.6, look),
                    (0.7, at_once(*" or", Key.ENTER, *"q", Key.ENTER)),
                    (6.0, look),
                ],
                view=view,
            )

    done = virtual_time(talk())
    assert lines == ["quit me", "question quit ", None]
    assert [turn.transcript for turn in done.closed] == ["question quit or q"]
    assert not done.has_quit
    assert not view.state.shows_help


def test_nothing_is_done_behind_the_key_to_quit(
    virtual_time: Run, screen: tuple[LiveView, io.StringIO]
) -> None:
    view, _ = screen

    async def talk() -> Chat:
        with view:
            keys = [(0.1, press("q")), (0.2, press("m", "t", "a", Key.ENTER))]
            return await chat([], keys, view=view)

    done = virtual_time(talk())
    assert done.has_quit
    assert not done.closed
    assert not view.state.is_muted


def test_a_still_view_is_not_drawn_again(
    virtual_time: Run, screen: tuple[LiveView, io.StringIO]
) -> None:
    view, out = screen
    lengths: list[int] = []

    async def talk() -> Chat:
        with view:
            look = [(at_s, lambda *_: lengths.append(len(out.getvalue()))) for at_s in (3.0, 9.0)]
            return await chat([], [(0.1, press("m")), *look], view=view)

    virtual_time(talk())
    assert lengths[0] == lengths[1] > 0


def test_lines_are_commands_or_answered(virtual_time: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    readers: list[Callable[[str], None]] = []
    monkeypatch.setattr(plain_lines, "LineReader", lambda on_line, _: readers.append(on_line))
    out, notes = io.StringIO(), io.StringIO()
    lines = PlainLines(Console(file=out), Console(file=notes))

    def begin(controls: Controls, _: Any) -> None:
        line_commands(controls, lines)

    def enter(line: str) -> Callable[[Controls, Any], None]:
        return lambda *_: readers[0](line)

    keys = [
        (0.1, begin),
        (0.2, enter("how are you")),
        (1.0, enter("/stop")),
        (2.0, enter("/repeat")),
        (5.0, enter("/mute")),
        (5.1, enter("/nonsense")),
        (5.2, enter("/talk")),
        (6.0, enter("/quit")),
    ]
    done = virtual_time(chat([], keys))
    assert [closed.outcome for closed in done.closed] == [Outcome.ANSWERED, Outcome.REPEATED]
    assert done.has_quit
    assert re.search(r"muted\s+Type a line", notes.getvalue())
    for event in done.events:
        lines.show(event)
    shown = out.getvalue()
    assert shown.startswith("You: how are you\nBot:")
    assert "from the Enter key" in notes.getvalue()
    assert lines.turns_shown == 2


def test_what_a_model_writes_cannot_steer_the_terminal() -> None:
    out = io.StringIO()
    lines = PlainLines(Console(file=out), Console(file=io.StringIO()))
    closed = TurnClosed(
        1, Outcome.ANSWERED, "a\x1b[2Jb", "", "c\x07\nd", 0.0, None, _timeline(), 1, 0, 0, None
    )
    lines.show(closed)
    assert out.getvalue() == "You: a [2Jb\nBot: c  d\n"


def test_what_a_server_says_of_its_failure_cannot_steer_the_terminal() -> None:
    notes = io.StringIO()
    lines = PlainLines(Console(file=io.StringIO()), Console(file=notes))
    error = EngineError("refused \x1b]0;title\x07[bold]", "see\x9b2J")
    lines.tell("a\x1b[2J\nb")
    lines.show(StageFailed(1, error))
    lines.show(StageFellBack("language model", "the spare", error))
    shown = notes.getvalue()
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    assert "\x07" not in shown
    assert shown.splitlines()[0] == "a [2J b"
    assert "[bold]" in shown


def test_a_merged_turn_is_no_line_of_its_own(virtual_time: Run) -> None:
    """Its words stand in the turn that went on."""
    out = io.StringIO()
    lines = PlainLines(Console(file=out), Console(file=io.StringIO()))
    talk = virtual_time(converse([(0.5, speech(0.75, 0.5, 1.0))]))
    assert [turn.outcome for turn in talk.closed] == [Outcome.MERGED, Outcome.ANSWERED]
    for event in talk.events:
        lines.show(event)
    assert out.getvalue().count("You: ") == 1
    assert lines.turns_shown == 1


def _timeline() -> Any:
    from voicebot.timeline import Timeline  # noqa: PLC0415  # only here

    return Timeline()

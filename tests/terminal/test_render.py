"""The live view as lines of text."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from voicebot.terminal.render import (
    ASCII,
    UNICODE,
    compact_waterfall,
    render,
    spoken_text,
    waterfall,
)
from voicebot.terminal.view_state import Notice, ShownTurn, ViewState
from voicebot.timeline import Breakdown

if TYPE_CHECKING:
    from rich.text import Text

PARTS = Breakdown(endpoint=120, asr=20, llm=60, tts=10, output=20, unattributed=0)
STATE = ViewState(
    title="embedded",
    level_dbfs=-30.0,
    is_user_speaking=True,
    partial="and how many people",
    reply_turn=3,
    clauses=("Paris has about", "two million people."),
    heard="Paris has about two",
    turns=(
        ShownTurn(1, "what is the capital of france", "The capital of France is Paris.", "", PARTS),
        ShownTurn(2, "mm-hm", "", "the bot went on"),
    ),
    latencies_ms=(230.0, 250.0, 900.0),
    notices=(Notice("a library says something", is_of_library=True, until_s=20.0),),
)


def shown(state: ViewState, width: int, height: int) -> str:
    return "\n".join(line.plain.rstrip() for line in render(state, width, height))


def styled(text: Text, style: str) -> str:
    return "".join(text.plain[span.start : span.end] for span in text.spans if span.style == style)


def test_everything_is_on_a_terminal_of_eighty_columns() -> None:
    screen = shown(STATE, 80, 24)
    for what in (
        "voicebot embedded",
        "● hearing",
        "You  what is the capital of france",
        "Bot  The capital of France is Paris.",
        "230 ms",
        "(the bot went on)",
        "You  and how many people …",
        "Bot  Paris has about two million people.",
        "-30 dB",
        "p50 250 ms, n=3",
        "a library says something",
        "q quit",
        "recognition",
    ):
        assert what in screen
    assert len(render(STATE, 80, 24)) == 24


def test_an_error_is_shown_with_its_way_out() -> None:
    error = (
        "the language model at http://localhost:8000/v1 did not answer within 20 s (connection "
        "refused): see whether the server runs, or choose another with llm.base_url"
    )
    notices = (Notice(error, is_of_library=False, until_s=20.0), *STATE.notices)
    state = replace(STATE, notices=notices)
    for height in (24, 12):
        lines = shown(state, 80, height).splitlines()
        told = " ".join(" ".join(lines).split())
        assert "choose another with llm.base_url" in told
    assert "a library says something" in shown(state, 80, 24)
    assert "a library says something" not in shown(state, 80, 12), "ours come first"
    narrow = shown(state, 30, 12).splitlines()
    assert any(line.endswith("…") for line in narrow), "what is left out is marked"


def test_forty_columns_suffice() -> None:
    screen = shown(STATE, 40, 24)
    for what in ("● hearing", "and how many people …", "p50 250 ms, n=3", "? help", "q quit"):
        assert what in screen


@settings(max_examples=150, deadline=None)
@given(
    width=st.integers(1, 140),
    height=st.integers(1, 60),
    user=st.text(max_size=200),
    line=st.none() | st.text(max_size=90),
    level=st.floats(-120, 3),
    is_plain=st.booleans(),
    shows_help=st.booleans(),
    parts=st.builds(Breakdown, *[st.floats(-500, 6000)] * 6),
)
def test_nothing_is_ever_wider_or_higher_than_the_terminal(  # noqa: PLR0917  # all drawn at once
    width: int,
    height: int,
    user: str,
    line: str | None,
    level: float,
    is_plain: bool,
    shows_help: bool,
    parts: Breakdown,
) -> None:
    turns = (*STATE.turns, ShownTurn(3, user, user, "", parts))
    state = replace(
        STATE, turns=turns, line=line, level_dbfs=level, shows_help=shows_help, partial=user
    )
    lines = render(state, width, height, ASCII if is_plain else UNICODE)
    assert len(lines) <= height
    for text in lines:
        assert "\n" not in text.plain
        assert cell_len(text.plain) <= width


@pytest.mark.parametrize(
    ("heard", "word"), [("", "Paris"), ("Paris has", "about"), ("Paris has about", "two")]
)
def test_the_spoken_word_is_marked(heard: str, word: str) -> None:
    text = spoken_text("Paris has about two.", heard)
    assert styled(text, "bold underline").rstrip(".") == word
    assert text.plain == "Paris has about two."


def test_a_reply_that_is_over_marks_nothing() -> None:
    text = spoken_text("All said.", "All said.")
    assert styled(text, "bold underline") == styled(text, "dim") == ""


def test_the_waterfall_descends_and_adds_up() -> None:
    rows = waterfall(PARTS, 72)
    bars = [row.plain[12:-5] for row in rows]
    starts = [bar.index("█") for bar in bars]
    assert starts == sorted(starts)
    assert len(set(starts)) == len(starts)
    filled = sum(bar.count("█") for bar in bars)
    width = len(bars[0])
    assert filled / width == pytest.approx(230 / 345, abs=0.05)
    assert all(bar[round(300 / 345 * width)] == "│" for bar in bars)
    assert [int(row.plain[-5:]) for row in rows] == [120, 20, 60, 10, 20]


def test_the_compact_waterfall_tells_the_parts_without_colour() -> None:
    bar = compact_waterfall(PARTS, 60).plain
    assert bar.startswith("  230 ms ")
    letters = bar[9:].replace("│", " ")
    order = "".join(dict.fromkeys(letters.replace(" ", "")))
    assert order == "erlvo"
    assert letters.count("e") == pytest.approx(120 / 345 * 51, abs=1)
    assert bar.index("│") > bar.rindex("o"), "within the line"
    slow = compact_waterfall(replace(PARTS, llm=400), 60).plain
    assert slow.index("│") < slow.rindex("o"), "beyond the line"


def test_the_meter_rises_with_the_level() -> None:
    full = [
        shown(replace(STATE, level_dbfs=level), 80, 24).count("█") for level in (-90, -40, -20, 0)
    ]
    assert full == sorted(full)
    assert full[-1] > full[0]
    assert "muted" in shown(replace(STATE, is_muted=True, is_shut=True), 80, 24)
    assert "shut" in shown(replace(STATE, is_shut=True), 80, 24)


def test_a_line_that_is_typed_stays_in_sight_at_its_end() -> None:
    screen = shown(replace(STATE, line="x" * 100 + "END"), 40, 12)
    assert "END" in screen.splitlines()[-1]


def test_the_newest_words_stay_in_sight() -> None:
    turns = tuple(ShownTurn(n, f"question {n}", f"answer {n}") for n in range(50))
    screen = shown(replace(STATE, turns=turns), 80, 20)
    assert "answer 49" in screen
    assert "answer 3\n" not in screen


def test_help_replaces_the_conversation() -> None:
    screen = shown(replace(STATE, shows_help=True), 80, 24)
    assert "silence the reply" in screen
    assert "capital" not in screen


def test_no_style_needs_colour_or_a_dark_ground() -> None:
    """Colours are the terminal's own sixteen, never black or white, and NO_COLOR takes them all."""
    out = io.StringIO()
    console = Console(
        file=out, force_terminal=True, no_color=True, width=80, color_system="standard"
    )
    for line in render(STATE, 80, 24):
        console.print(line)
        for span in line.spans:
            assert not {"white", "black"} & set(str(span.style).split())
    escapes = {part.split("m")[0] for part in out.getvalue().split("\x1b[")[1:]}
    codes = {code for escape in escapes for code in escape.split(";")}
    assert codes <= {"0", "1", "2", "4", "7"}, "bold, dim, underlined, reversed"
    assert "4" in codes, "the spoken word is underlined"


def test_ascii_is_enough() -> None:
    assert all(line.plain.isascii() for line in render(STATE, 80, 24, ASCII))

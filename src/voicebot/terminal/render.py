"""The live view as lines of text. Pure: a state and a size in, no more lines than fit out."""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from voicebot.terminal.printable import printable
from voicebot.terminal.view_state import Activity, ShownTurn, ViewState

if TYPE_CHECKING:
    from voicebot.timeline import Breakdown

__all__ = ["ASCII", "UNICODE", "Glyphs", "compact_waterfall", "render", "spoken_text", "waterfall"]

_TARGET_MS = 300.0
"""People leave about as much between turns."""

_PARTS = ("endpoint", "asr", "llm", "tts", "output")
_LABELS = {"asr": "recognition", "llm": "language", "tts": "voice"}
_STYLES = {
    "endpoint": "blue",
    "asr": "cyan",
    "llm": "magenta",
    "tts": "green",
    "output": "yellow",
}
_ACTIVITY_STYLES = {
    Activity.LISTENING: "green",
    Activity.HEARING: "bold green",
    Activity.THINKING: "bold yellow",
    Activity.SPEAKING: "bold cyan",
    Activity.MUTED: "bold red",
    Activity.READY: "green",
    Activity.ASLEEP: "dim",
}
_QUIET_DBFS, _LOUD_DBFS, _CLIPPING_DBFS = -60.0, -6.0, -1.0
_WATERFALL_MIN_HEIGHT = 18
_WATERFALL_MIN_WIDTH = 36
_HEADROOM = 1.15
_NOTICE_LINES, _NOTICE_LINES_AT_LEAST = 6, 3
_HELP_INDENT = 11

_KEYS = (
    ("t", "type"),
    ("m", "mute"),
    ("r", "repeat"),
    ("s", "stop"),
    ("w", "save"),
    ("?", "help"),
    ("q", "quit"),
)
_HELP = (
    ("space", "end your turn now; with push-to-talk: hold it, or press to start and to send"),
    ("t, Enter", "type a line; Enter sends it, Esc gives it up"),
    ("m", "mute the microphone, or open it"),
    ("r", "say the last reply again"),
    ("s, Esc", "silence the reply"),
    ("w", "save the transcript"),
    ("q, Ctrl-C", "quit"),
    ("?", "this page"),
)


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters that are drawn with."""

    full: str
    empty: str
    rule: str
    limit: str
    bullet: str
    ellipsis: str


UNICODE = Glyphs("█", "░", "─", "│", "●", "…")
ASCII = Glyphs("#", ".", "-", "|", "*", "...")


def render(state: ViewState, width: int, height: int, glyphs: Glyphs = UNICODE) -> list[Text]:
    """The view.

    Args:
        state: what to show.
        width: columns.
        height: rows.
        glyphs: to draw with.

    Returns:
        At most ``height`` lines, none wider than ``width``; the conversation fills what is left.
    """
    width, height = max(1, width), max(1, height)
    head = [_header(state, width, glyphs), Text(glyphs.rule * width, style="dim")]
    foot = _footer(state, width, height, glyphs)
    room = height - len(head) - len(foot)
    if room <= 0:
        return _fitted([*head[:1], *foot][:height], width)
    body = _help(width)[:room] if state.shows_help else _newest(state, width, room, glyphs)
    blank = [Text("")] * (room - len(body))
    return _fitted([*head, *body, *blank, *foot], width)


def _newest(state: ViewState, width: int, room: int, glyphs: Glyphs) -> list[Text]:
    """The end of the conversation, as much of it as there is room for."""
    lines = _now(state, width, glyphs)
    for turn in reversed(state.turns):
        if len(lines) >= room:
            break
        lines = [*_turn(turn, width, glyphs), *lines]
    return lines[-room:]


def spoken_text(said: str, heard: str) -> Text:
    """A reply with the word that is being spoken marked, and what is still to come dimmed."""
    said, heard = printable(said), printable(heard)
    text = Text(said)
    done = len(heard) if said.startswith(heard) else 0
    start = done + len(said[done:]) - len(said[done:].lstrip())
    word = said[start:].split(maxsplit=1)
    end = start + (len(word[0]) if word else 0)
    text.stylize("bold underline", start, end)
    text.stylize("dim", end)
    return text


def waterfall(parts: Breakdown, width: int, glyphs: Glyphs = UNICODE) -> list[Text]:
    """Where the time of a turn went: a row for each part, beginning where the last one ended."""
    label_width = max(len(_label(part)) for part in _PARTS) + 1
    bar_width = width - label_width - len(" 1000")
    full_ms = max(parts.total_ms, _TARGET_MS) * _HEADROOM
    limit = min(bar_width - 1, round(_TARGET_MS / full_ms * bar_width))
    rows = []
    at_ms = 0.0
    for part in _PARTS:
        length_ms = float(getattr(parts, part))
        first = _column(at_ms, full_ms, bar_width)
        last = _column(at_ms + length_ms, full_ms, bar_width)
        cells = [glyphs.limit if index == limit else " " for index in range(bar_width)]
        for index in range(first, max(last, first + (length_ms >= 1.0))):
            if index < bar_width:
                cells[index] = glyphs.full
        row = Text(f"{_label(part):<{label_width}}", style="dim")
        row.append("".join(cells), style=_STYLES[part])
        row.append(f"{length_ms:5.0f}")
        rows.append(row)
        at_ms += length_ms
    return rows


def compact_waterfall(parts: Breakdown, width: int, glyphs: Glyphs = UNICODE) -> Text:
    """The same in one row: each part drawn with its first letter."""
    figure = f"{parts.total_ms:5.0f} ms "
    bar_width = width - len(figure)
    full_ms = max(parts.total_ms, _TARGET_MS) * _HEADROOM
    limit = min(bar_width - 1, round(_TARGET_MS / full_ms * bar_width))
    text = Text(figure, style="bold" if parts.total_ms <= _TARGET_MS else "")
    at_ms = 0.0
    cells: list[tuple[str, str]] = [(" ", "")] * bar_width
    for part in _PARTS:
        length_ms = float(getattr(parts, part))
        first = _column(at_ms, full_ms, bar_width)
        last = _column(at_ms + length_ms, full_ms, bar_width)
        for index in range(first, min(last, bar_width)):
            cells[index] = (_label(part)[0], _STYLES[part])
        at_ms += length_ms
    if bar_width > 0:
        cells[limit] = (glyphs.limit, "bold")
    for character, style in cells:
        text.append(character, style=style)
    return text


def _label(part: str) -> str:
    return _LABELS.get(part, part)


def _column(at_ms: float, full_ms: float, bar_width: int) -> int:
    return min(bar_width, max(0, round(at_ms / full_ms * bar_width)))


def _header(state: ViewState, width: int, glyphs: Glyphs) -> Text:
    activity = state.activity
    shown = Text(f"{glyphs.bullet} {activity.value}", style=_ACTIVITY_STYLES[activity])
    title = f"voicebot {state.title}"
    room = width - cell_len(shown.plain) - 1
    if cell_len(title) > room:
        title = "voicebot"[: max(0, room)]
    line = Text(title, style="bold")
    line.append(" " * max(1, width - cell_len(title) - cell_len(shown.plain)))
    line.append_text(shown)
    return line


def _turn(turn: ShownTurn, width: int, glyphs: Glyphs) -> list[Text]:
    lines: list[Text] = []
    if turn.user:
        lines += _speech("You", Text(printable(turn.user)), width)
    bot = Text(printable(turn.bot))
    if turn.note:
        bot.append(f" ({turn.note})" if turn.bot else f"({turn.note})", style="dim")
    if bot.plain:
        lines += _speech("Bot", bot, width)
    if turn.parts is not None:
        row = Text(" " * 5)
        row.append_text(compact_waterfall(turn.parts, min(width - 5, 66), glyphs))
        lines.append(row)
    return lines


def _now(state: ViewState, width: int, glyphs: Glyphs) -> list[Text]:
    """What is being said, on both sides."""
    lines: list[Text] = []
    if state.partial or state.is_user_speaking:
        words = Text(printable(state.partial))
        if state.is_user_speaking:
            words.append(f" {glyphs.ellipsis}" if state.partial else glyphs.ellipsis)
        lines += _speech("You", words, width)
    if state.clauses:
        lines += _speech("Bot", spoken_text(state.said, state.heard), width)
    return lines


def _speech(who: str, words: Text, width: int) -> list[Text]:
    room = width - 5
    if room < 8:  # noqa: PLR2004  # too narrow to stand beside
        return _wrapped(Text.assemble((f"{who}: ", "bold"), words), width)
    lines = []
    for index, part in enumerate(_wrapped(words, room)):
        line = Text(f"{who if index == 0 else '':<5}", style="bold")
        line.append_text(part)
        lines.append(line)
    return lines


def _footer(state: ViewState, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    lines = [Text(glyphs.rule * width, style="dim")]
    parts = next((turn.parts for turn in reversed(state.turns) if turn.parts is not None), None)
    is_roomy = height >= _WATERFALL_MIN_HEIGHT and width >= _WATERFALL_MIN_WIDTH
    if parts is not None and is_roomy and not state.shows_help:
        lines += waterfall(parts, min(width, 72), glyphs)
    lines.append(_meter(state, width, glyphs))
    lines += _notices(state, width, _NOTICE_LINES if is_roomy else _NOTICE_LINES_AT_LEAST, glyphs)
    if state.line is not None:
        lines.append(_typed(state.line, width))
    else:
        lines.append(_hints(state, width))
    return lines


def _notices(state: ViewState, width: int, room: int, glyphs: Glyphs) -> list[Text]:
    """What is told: the newest first gets the room that it needs, a library's words the rest."""
    lines: list[Text] = []
    newest_first = state.notices[::-1]
    for notice in sorted(newest_first, key=lambda each: each.is_of_library):
        style = "dim" if notice.is_of_library else "yellow"
        wrapped = _wrapped(Text(printable(notice.text), style=style), width)
        if notice.is_of_library and len(wrapped) > 1:
            wrapped = _cut(wrapped, 1, width, glyphs)
        if left := room - len(lines):
            lines = [*_cut(wrapped, left, width, glyphs), *lines]
    return lines


def _cut(lines: list[Text], room: int, width: int, glyphs: Glyphs) -> list[Text]:
    """As many lines as there is room for; an ellipsis where more would follow."""
    if len(lines) <= room:
        return lines
    last = lines[room - 1].copy()
    last.rstrip()
    last.truncate(max(0, width - cell_len(glyphs.ellipsis)))
    last.append(glyphs.ellipsis)
    return [*lines[: room - 1], last]


def _meter(state: ViewState, width: int, glyphs: Glyphs) -> Text:
    p50_ms = state.p50_ms
    figures = "" if p50_ms is None else f"  p50 {p50_ms:.0f} ms, n={len(state.latencies_ms)}"
    level = f"{max(state.level_dbfs, -99):.0f} dB"
    if state.is_shut:
        level = "muted" if state.is_muted else "shut"
    bar_width = min(30, width - len("mic ") - len(" -99 dB") - len(figures))
    text = Text("mic ", style="dim")
    if bar_width > 0:
        share = (state.level_dbfs - _QUIET_DBFS) / -_QUIET_DBFS
        full = 0 if state.is_shut else round(min(1.0, max(0.0, share)) * bar_width)
        style = "green"
        if state.level_dbfs > _LOUD_DBFS:
            style = "red" if state.level_dbfs > _CLIPPING_DBFS else "yellow"
        text.append(glyphs.full * full, style=style)
        text.append(glyphs.empty * (bar_width - full), style="dim")
    text.append(f" {level:>6}")
    text.append(figures, style="bold")
    return text


def _typed(line: str, width: int) -> Text:
    shown = printable(line[-4 * width :])  # a paste may be long; some characters take no room
    while shown and cell_len(shown) > width - 3:
        shown = shown[1:]
    text = Text("> ", style="bold")
    text.append(shown)
    text.append(" ", style="reverse")
    return text


def _hints(state: ViewState, width: int) -> Text:
    """As many keys as fit; help and quit stay longest."""
    hints = [("space", "talk" if state.is_push_to_talk else "send"), *_KEYS]
    while len(hints) > 1 and len("  ".join(f"{key} {what}" for key, what in hints)) > width:
        del hints[-3 if len(hints) > 2 else 0]  # noqa: PLR2004  # the last two are help and quit
    text = Text()
    for key, what in hints:
        text.append("  " if text.plain else "")
        text.append(key, style="bold")
        text.append(f" {what}", style="dim")
    return text


def _help(width: int) -> list[Text]:
    lines: list[Text] = []
    for key, what in _HELP:
        for index, part in enumerate(_wrapped(Text(what), max(1, width - _HELP_INDENT))):
            name = key if index == 0 else ""
            lines.append(Text.assemble((f"{name:<{_HELP_INDENT}}", "bold"), part))
    return lines


def _wrapped(text: Text, width: int) -> list[Text]:
    console = Console(width=max(1, width), file=StringIO())
    return list(text.wrap(console, max(1, width))) or [Text("")]


def _fitted(lines: list[Text], width: int) -> list[Text]:
    fitted = []
    for line in lines:
        copy = line.copy()
        copy.truncate(width)
        copy.no_wrap = True
        fitted.append(copy)
    return fitted

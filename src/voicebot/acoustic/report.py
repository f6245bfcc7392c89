"""A run in words and tables: Markdown that reads as it stands (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voicebot.acoustic.bias import Bias
    from voicebot.acoustic.run_record import AcousticRun, AcousticTurn
    from voicebot.bench.record import Distribution

__all__ = [
    "TURN_COLUMNS",
    "bias_in_words",
    "markdown_report",
    "milliseconds",
    "summary_rows",
    "turn_row",
]

TURN_COLUMNS = (
    "turn",
    "acoustic",
    "software",
    "difference",
    "at end",
    "at start",
    "own recording",
    "device",
    "notes",
)
"""What ``turn_row`` gives; all but the first and last in ms."""

_READING = (
    "Acoustic: from the caller's labelled end to the bot's first audible sample (10 ms above "
    "-45 dBFS), both in one recording. Software: the assistant's own figure, from its estimate "
    "of the user's end to its first sample at the loudspeaker. The difference has two parts: "
    "how late that estimate is, and what passes between the first sample and the first "
    "audible one. The parts are on the computer's clock, to about 10 ms; their sum is exact. "
    "Own recording: the figure from the label, as `voicebot bench` counts, in what the assistant "
    "itself recorded at the instants that its devices report; what the room says beyond it is "
    "the error of those instants."
)


def milliseconds(value: float | None, *, signed: bool = False) -> str:
    """A figure to the millisecond; ``—`` for None."""
    if value is None:
        return "—"
    return f"{value:+.0f}" if signed else f"{value:.0f}"


def turn_row(turn: AcousticTurn) -> tuple[str, ...]:
    """The cells of one turn, see ``TURN_COLUMNS``."""
    notes = []
    if turn.missed:
        notes.append("missed")
    if turn.cut_in:
        notes.append(f"cut in for {turn.overlap_ms:.0f} ms")
    if turn.yield_ms is not None:
        notes.append(f"yielded after {turn.yield_ms:.0f} ms")
    return (
        turn.caller,
        milliseconds(turn.voice_to_voice_ms),
        milliseconds(turn.software_ms),
        milliseconds(turn.difference_ms, signed=True),
        milliseconds(turn.end_difference_ms, signed=True),
        milliseconds(turn.start_difference_ms, signed=True),
        milliseconds(turn.own_recording_ms),
        milliseconds(turn.device_difference_ms, signed=True),
        "; ".join([*notes, *turn.warnings]),
    )


def bias_in_words(bias: Bias) -> str:
    """Such as ``+41.2 ms (95 % interval +38.0 to +44.1), SD 12.3, p50 …, p95 …, n = 50``."""
    if bias.mean is None:
        return "not known"
    interval = ""
    if bias.mean_ci95 is not None:
        low, high = bias.mean_ci95
        interval = f" (95 % interval {low:+.1f} to {high:+.1f})"
    spread = "" if bias.sd is None else f", SD {bias.sd:.1f}"
    return (
        f"{bias.mean:+.1f} ms{interval}{spread}, p50 {bias.p50:+.1f}, p95 {bias.p95:+.1f}, "
        f"{bias.min:+.1f} to {bias.max:+.1f}, n = {bias.turns}"
    )


def summary_rows(run: AcousticRun) -> list[tuple[str, str]]:
    """What is said of the whole run: names and figures."""
    summary = run.summary
    counted = (
        f"{summary.turns}: {summary.answered} answered, {summary.missed} missed, "
        f"{summary.cut_ins} cut in"
    )
    rows = [
        ("turns", counted),
        ("acoustic voice-to-voice", _distribution(summary.voice_to_voice_ms)),
    ]
    if summary.yield_ms.count:
        rows.append(("yield, callers who interrupt", _distribution(summary.yield_ms)))
    if summary.software_ms.count:
        rows += [
            ("software figure", _distribution(summary.software_ms)),
            ("acoustic less software", bias_in_words(summary.difference)),
            ("of it at the user's end", bias_in_words(summary.end_difference)),
            ("of it at the reply's start", bias_in_words(summary.start_difference)),
        ]
    if summary.device_difference.turns:
        rows += [
            ("in its own recording", _distribution(summary.own_recording_ms)),
            ("acoustic less own recording", bias_in_words(summary.device_difference)),
        ]
    return rows


def markdown_report(run: AcousticRun) -> str:
    """The report as Markdown."""
    state = " It was stopped early." if run.partial else ""
    heard = (
        f"Heard through {_plain(run.room)} at {run.sample_rate_hz} Hz on "
        f"{_plain(run.host.cpu)} ({run.host.cores} cores, {_plain(run.host.os)}), "
        f"{run.started_at}, voicebot {run.version}.{state}"
    )
    lines = [
        f"# Voice-to-voice at the sound card: {_plain(run.target)}",
        "",
        heard,
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {figure} |" for name, figure in summary_rows(run)),
        "",
        _READING,
        "",
        f"| {' | '.join(TURN_COLUMNS)} |",
        f"|---|{'---:|' * (len(TURN_COLUMNS) - 2)}---|",
        *(f"| {' | '.join(_plain(cell) for cell in turn_row(turn))} |" for turn in run.turns),
        "",
    ]
    return "\n".join(lines)


def _distribution(figures: Distribution) -> str:
    if figures.p50 is None:
        return "none"
    interval = ""
    if figures.p50_ci95 is not None:
        interval = f" (95 % interval {figures.p50_ci95[0]:.0f} to {figures.p50_ci95[1]:.0f})"
    return (
        f"p50 {figures.p50:.0f} ms{interval}, mean {milliseconds(figures.mean)}, "
        f"p95 {milliseconds(figures.p95)}, max {milliseconds(figures.max)}"
    )


def _plain(text: str) -> str:
    """What is no markup, on one line."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")

"""The same turns by others' definitions, for a terminal: complete without colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from voicebot.bench.definitions import score_by_definitions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voicebot.bench.record import TurnRecord

__all__ = ["definitions_table"]

_BIASES = (
    "All in ms. Clock bias: against voice-to-voice, over the turns that both time. p50 and mean "
    "bias: of the figure against ours over all turns, those that are left out among them."
)


def definitions_table(turns: Sequence[TurnRecord]) -> RenderableType:
    """Figures by each definition, then what each one times, and where it is used."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("definition", no_wrap=True)
    for heading in ("turns", "p50", "mean", "p95", "clock bias", "p50 bias", "mean bias"):
        table.add_column(heading, justify="right")
    scored = score_by_definitions(turns)
    for each in scored:
        table.add_row(
            each.definition.name,
            str(each.count),
            _ms(each.p50_ms),
            _ms(each.mean_ms),
            _ms(each.p95_ms),
            *(
                "-" if bias is None else f"{bias:+.0f}"
                for bias in (each.clock_bias_ms, each.p50_bias_ms, each.mean_bias_ms)
            ),
        )
    lines = []
    for each in scored:
        definition = each.definition
        text = f"{definition.name}: from {definition.begins}, to {definition.ends}"
        if definition.left_out:
            text += f"; without {definition.left_out} ({each.left_out} here)"
        lines.append(Text(f"{text} [{definition.source}]"))
    return Group(table, Text(_BIASES), *lines)


def _ms(value: float | None) -> str:
    return "-" if value is None else str(round(value))

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from voicebot.bench.callers import (
    DEFAULT_KIND,
    MANIFEST_NAME,
    Caller,
    CallerTurn,
    CallerWord,
    _sample,
    load_callers,
)
from voicebot.errors import CallersError, ConfigError

ROW: dict[str, Any] = {"path": "a.wav", "speech": [[0.1, 0.4], [0.6, 0.9]]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "callers"
    folder.mkdir()
    for name in ("a.wav", "b.wav"):
        soundfile.write(folder / name, np.zeros(16_000), 16_000)
    soundfile.write(tmp_path / "outside.wav", np.zeros(16_000), 16_000)
    return folder


def write(folder: Path, *rows: dict[str, Any]) -> Path:
    (folder / MANIFEST_NAME).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return folder


def test_a_row_becomes_a_turn(folder: Path) -> None:
    words = [["what", 0.1, 0.4], ["now", 0.6, 0.9]]
    facts = {"text": "what now", "speaker": "ann", "kind": "question", "gap_s": 2, "pair": 1}
    [caller] = load_callers(write(folder, {**ROW, **facts, "words": words}))
    assert (caller.name, caller.kind) == ("a.wav", "question")
    [turn] = caller.turns
    assert turn == CallerTurn(
        name="a.wav",
        path=folder / "a.wav",
        kind="question",
        duration_s=1.0,
        speech=((0.1, 0.4), (0.6, 0.9)),
        text="what now",
        words=(CallerWord("what", 0.1, 0.4), CallerWord("now", 0.6, 0.9)),
        speaker="ann",
        gap_s=2.0,
    )
    assert (turn.start_s, turn.true_end_s, turn.pauses) == (0.1, 0.9, ((0.4, 0.6),))


def test_optional_fields_may_be_absent_or_null(folder: Path) -> None:
    nulls = dict.fromkeys(("text", "words", "speaker", "kind", "conversation", "gap_s"))
    for caller in load_callers(write(folder, ROW, {**ROW, **nulls})):
        turn = caller.turns[0]
        assert caller.kind == turn.kind == DEFAULT_KIND
        assert (turn.text, turn.words, turn.speaker, turn.gap_s) == (None, (), None, None)


def test_rows_of_a_conversation_belong_together(folder: Path) -> None:
    rows = (
        {**ROW, "conversation": "x", "text": "one"},
        {**ROW, "text": "alone"},
        {**ROW, "conversation": "x", "text": "two"},
    )
    callers = load_callers(write(folder, *rows))
    assert [[turn.text for turn in caller.turns] for caller in callers] == [
        ["one", "two"],
        ["alone"],
    ]
    assert callers[0].name == "x"


def test_bom_crlf_and_blank_lines_are_read(folder: Path) -> None:
    row = json.dumps({**ROW, "text": "café"}, ensure_ascii=False)
    (folder / MANIFEST_NAME).write_bytes(f"\ufeff{row}\r\n\r\n  \n{row}".encode())
    assert [caller.turns[0].text for caller in load_callers(folder)] == ["café", "café"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"path": None}, "`path` is missing"),
        ({"path": 3}, "`path` is 3"),
        ({"path": "/a.wav"}, "is absolute"),
        ({"path": "C:\\a.wav"}, "is absolute"),
        ({"path": "../outside.wav"}, "leads out of the folder"),
        ({"path": "link.wav"}, "leads out of the folder"),
        ({"path": "a\0.wav"}, "is no path"),
        ({"path": "no.wav"}, 'audio "no.wav" is missing'),
        ({"path": MANIFEST_NAME}, "is not audio"),
        ({"speech": None}, "`speech` is missing"),
        ({"speech": []}, "`speech` is []"),
        ({"speech": "0-1"}, '`speech` is "0-1"'),
        ({"speech": [[0.1]]}, "`speech` holds [0.1]"),
        ({"speech": [0.1, 0.2]}, "`speech` holds 0.1"),
        ({"speech": [[True, 0.2]]}, "`speech` holds true"),
        ({"speech": [[-0.1, 0.2]]}, "`speech` holds -0.1"),
        ({"speech": [[0.1, float("nan")]]}, "`speech` holds NaN"),
        ({"speech": [[0.1, 10**400]]}, "`speech` holds 1000"),
        ({"speech": [[0.3, 0.2]]}, "ends too early"),
        ({"speech": [[0.1, 0.5], [0.4, 0.6]]}, "goes on at 0.4 s before it ends at 0.5 s"),
        ({"speech": [[0.5, 0.6], [0.1, 0.2]]}, "goes on at 0.1 s"),
        ({"speech": [[0.1, 1.03]]}, "`speech` ends at 1.03 s"),
        ({"words": [["a", 0.1, 1.5]]}, "`words` ends at 1.5 s"),
        ({"words": {"a": 1}}, "`words` is"),
        ({"words": [["a", 0.1]]}, "`words` holds"),
        ({"words": [["a", 0.3, 0.1]]}, "ends too early"),
        ({"text": ["a"]}, "`text` is"),
        ({"kind": " "}, "`kind` is"),
        ({"gap_s": -1}, "`gap_s` holds -1"),
        ({"conversation": 7}, "`conversation` is 7"),
    ],
)
def test_a_bad_row_is_named_by_its_line(folder: Path, change: dict[str, Any], problem: str) -> None:
    (folder / "link.wav").symlink_to("../outside.wav")
    with pytest.raises(CallersError) as caught:
        load_callers(write(folder, ROW, {**ROW, **change}))
    assert f"{MANIFEST_NAME}:2: " in caught.value.problem
    assert problem in caught.value.problem
    assert caught.value.way_out
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{", "is not JSON"),
        (b"[1]", "is not a JSON object"),
        (b'{"path": "caf\xe9.wav"}', "is not UTF-8"),
        (b"[" * 100_000, "is not JSON"),
    ],
)
def test_a_line_that_is_no_row_is_named(folder: Path, line: bytes, problem: str) -> None:
    (folder / MANIFEST_NAME).write_bytes(b"\n" + line + b"\n" + json.dumps(ROW).encode())
    with pytest.raises(CallersError, match=f"{MANIFEST_NAME}:2: it {problem}"):
        load_callers(folder)


def test_more_problems_are_counted(folder: Path) -> None:
    bad = {**ROW, "path": "no.wav"}
    with pytest.raises(CallersError, match=r":2: .* \(and 2 more bad rows\)"):
        load_callers(write(folder, ROW, bad, bad, bad))
    with pytest.raises(CallersError, match=r":1: .* \(and 1 more bad row\)"):
        load_callers(write(folder, bad, bad))


def test_an_end_may_lie_a_little_behind_the_clip(folder: Path) -> None:
    assert load_callers(write(folder, {**ROW, "speech": [[0.1, 1.019]]}))


def test_a_folder_without_a_manifest_is_named(folder: Path) -> None:
    with pytest.raises(CallersError, match="there is no folder"):
        load_callers(folder / "none")
    with pytest.raises(CallersError, match="there is no folder"):
        load_callers(folder / "a.wav")
    with pytest.raises(CallersError, match=f"has no {MANIFEST_NAME}"):
        load_callers(folder)
    (folder / MANIFEST_NAME).write_text("\n \n")
    with pytest.raises(CallersError, match="is empty"):
        load_callers(folder)
    (folder / MANIFEST_NAME).write_bytes(json.dumps(ROW).encode("utf-16"))
    with pytest.raises(CallersError, match="UTF-16"):
        load_callers(folder)
    (folder / MANIFEST_NAME).unlink()
    (folder / MANIFEST_NAME).mkdir()
    with pytest.raises(CallersError, match="cannot be read"):
        load_callers(folder)


def test_a_kind_that_is_not_there_names_those_that_are(folder: Path) -> None:
    write(folder, {**ROW, "kind": "question"}, {**ROW, "kind": "command"})
    assert [caller.kind for caller in load_callers(folder, kind="command")] == ["command"]
    with pytest.raises(CallersError, match="its kinds are command, question"):
        load_callers(folder, kind="order")


def test_several_kinds_stand_with_commas_between_them(folder: Path) -> None:
    write(folder, *({**ROW, "kind": kind} for kind in ("question", "pause", "command")))
    callers = load_callers(folder, kind="command, question")
    assert [caller.kind for caller in callers] == ["question", "command"]
    with pytest.raises(CallersError, match="order"):
        load_callers(folder, kind="command,order")


def test_a_limit_is_1_or_more(folder: Path) -> None:
    with pytest.raises(ConfigError, match="limit"):
        load_callers(write(folder, ROW), limit=0)


def test_a_limit_takes_from_every_kind(folder: Path) -> None:
    rows = [{**ROW, "kind": kind} for kind in ("x",) * 8 + ("y",) * 2 + ("z",)]
    kinds = [caller.kind for caller in load_callers(write(folder, *rows), limit=5)]
    assert kinds == ["x", "x", "y", "y", "z"]


turn = CallerTurn("a.wav", Path("a.wav"), "x", 1.0, ((0.0, 1.0),))


@given(
    kinds=st.lists(st.sampled_from("xyz"), min_size=1, max_size=30),
    limit=st.integers(1, 35),
    seed=st.integers(),
)
def test_samples_of_a_seed_are_nested_and_in_order(kinds: list[str], limit: int, seed: int) -> None:
    callers = [Caller(str(number), kind, (turn,)) for number, kind in enumerate(kinds)]
    sample = [int(caller.name) for caller in _sample(callers, limit, seed)]
    larger = [int(caller.name) for caller in _sample(callers, limit + 1, seed)]
    assert sample == sorted(set(sample))
    assert len(sample) == min(limit, len(callers))
    assert set(sample) <= set(larger)
    if limit >= len(set(kinds)):
        assert {kinds[number] for number in sample} == set(kinds)


def test_another_seed_takes_another_sample() -> None:
    callers = [Caller(str(number), "x", (turn,)) for number in range(50)]
    samples = {tuple(caller.name for caller in _sample(callers, 5, seed)) for seed in range(20)}
    assert len(samples) > 10


def test_the_shared_recordings_load() -> None:
    shared = Path(__file__).parents[3] / "shared" / "speech"
    if not shared.is_dir():
        pytest.skip("the shared recordings are not here")
    assert len(load_callers(shared)) == 250

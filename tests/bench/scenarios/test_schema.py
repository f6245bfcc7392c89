from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from voicebot.bench.scenarios.schema import (
    SOUNDS,
    find_scenario,
    library_scenarios,
    read_scenario,
)
from voicebot.bench.scenarios.sounds import short_sound
from voicebot.errors import CallersError

if TYPE_CHECKING:
    from pathlib import Path

HEAD = 'format = "voicebot.scenario/1"\ntitle = "t"\n'


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "scenario.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", library_scenarios())
def test_every_scenario_that_ships_can_be_read(name: str) -> None:
    scenario = read_scenario(find_scenario(name))
    assert scenario.title
    assert scenario.about


def test_the_library_has_what_the_documentation_names() -> None:
    wanted = {"quick", "standard", "turn-taking", "barge-in", "noise", "endurance", "busy"}
    assert wanted <= set(library_scenarios())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title = 1", "format"),
        (HEAD, "nobody calls"),
        (HEAD + "[[pick]]\nlimit = 0", "pick.1.limit"),
        (HEAD + "[[pick]]\nkind = ['a']", "pick.1.kind"),
        (HEAD + "[[pick]]\nnoise = { snr_db = 3.0 }", "a kind or a file"),
        (HEAD + '[[pick]]\nnoise = { kind = "rain", snr_db = 3.0 }', "noise.kind"),
        (HEAD + '[[conversation]]\nname = "a"\nturns = [{}]', "one of clip, say, sound"),
        (
            HEAD + '[[conversation]]\nname = "a"\nturns = [{ clip = "x", into_reply_s = 1.0 }]',
            "no reply to speak into",
        ),
        (
            HEAD + '[[conversation]]\nname = "a"\nturns = [{ silence_s = 1.0 }]',
            "somebody has to make a sound",
        ),
        (
            HEAD
            + '[[conversation]]\nname = "a"\n'
            + 'turns = [{ clip = "x", after_s = 1.0, into_reply_s = 1.0 }]',
            "not both",
        ),
        (
            HEAD
            + '[[conversation]]\nname = "a"\n'
            + 'turns = [{ silence_s = 1.0 }, { clip = "x", into_reply_s = 1.0 }]',
            "no reply to speak into",
        ),
        (
            HEAD + 2 * '[[conversation]]\nname = "a"\nturns = [{ clip = "x" }]\n',
            "two conversations are called 'a'",
        ),
        ("format = ", "is not TOML"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_place(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(CallersError) as caught:
        read_scenario(written(tmp_path, text))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_that_is_none_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(CallersError, match="barge-in"):
        find_scenario("quickly")
    with pytest.raises(CallersError, match="cannot be read"):
        read_scenario(find_scenario(str(tmp_path / "none.toml")))


@pytest.mark.parametrize("name", SOUNDS)
def test_every_sound_that_can_be_named_can_be_made(name: str) -> None:
    assert len(short_sound(name, 0)) > 1000

from __future__ import annotations

import socket

import pytest

from voicebot.cli.main import run


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--host", "0.0.0.0"], "Wyoming knows no passwords: name those that may"),  # noqa: S104
        (["--allow", "everybody"], "neither an address nor a network"),
        (["--port", "70000"], "70000 is not in the range"),
        (["--engines", "0"], "0 is not in the range"),
        (["--set", "asr.engine=none"], "asr.engine"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["serve-wyoming", *arguments]) == 2
    assert line in " ".join(capsys.readouterr().err.split())


@pytest.mark.models
def test_a_port_in_use_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert run(["serve-wyoming", "--port", port]) == 2
    assert "cannot be listened at" in capsys.readouterr().err

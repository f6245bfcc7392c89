from __future__ import annotations

import asyncio
import logging
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conversations import converse, speech
from voicebot.audio.blocks import AudioBlock
from voicebot.config import SupervisionSettings
from voicebot.errors import DeviceError, NewProcessWantedError, OutputError
from voicebot.events import TurnDismissed
from voicebot.history import History
from voicebot.languages import LANGUAGES
from voicebot.supervision.conversation_keeper import ConversationKeeper
from voicebot.supervision.facts import (
    ConversationForgotten,
    DiskLow,
    LoopStalled,
    MemoryHigh,
    MicrophoneDied,
    MicrophoneRevived,
    NewProcessWanted,
    StageReplaced,
    SupervisionFact,
    fact_kind,
)
from voicebot.supervision.log_files import log_to_files, remove_old_logs
from voicebot.supervision.machine_watch import (
    DiskWatch,
    LoopWatch,
    MemoryWatch,
    free_disk_mib,
    used_memory_mib,
)
from voicebot.supervision.microphone_watch import WatchedSource
from voicebot.supervision.process_end import ProcessEnd
from voicebot.supervision.spoken_notices import MICROPHONE_DIED, spoken_notice
from voicebot.supervision.systemd import SystemdNotifier
from voicebot.supervision.watchdogs import run_watchdogs

ROOT = Path(__file__).parents[2]
Run = Callable[[Coroutine[Any, Any, Any]], Any]


class Source:
    """Blocks of 100 ms: for each part of the story its seconds, and noise, silence or nothing."""

    def __init__(self, *story: tuple[float, str]) -> None:
        self._story = story

    async def blocks(self) -> AsyncIterator[AudioBlock]:
        random = np.random.default_rng(0)
        for seconds, what in self._story:
            if what == "nothing":
                await asyncio.sleep(seconds)
                continue
            if what == "unplugged":
                await asyncio.sleep(seconds)
                raise DeviceError("the microphone has delivered nothing for 3 s")
            for _ in range(round(seconds * 10)):
                await asyncio.sleep(0.1)
                scale = 1e-4 if what == "noise" else 0.0
                samples = (scale * random.standard_normal(1600)).astype(np.float32)
                yield AudioBlock(samples, asyncio.get_running_loop().time())


async def watched(*story: tuple[float, str], muted: bool = False) -> list[SupervisionFact]:
    facts: list[SupervisionFact] = []
    source = WatchedSource(
        Source(*story),
        dead_after_s=10.0,
        notify=facts.append,
        is_meant_to_be_silent=lambda: muted,
    )
    async for _ in source.blocks():
        pass
    return facts


def test_a_microphone_that_works_is_not_told_of(virtual_time: Run) -> None:
    assert virtual_time(watched((60.0, "noise"), (9.0, "silence"), (60.0, "noise"))) == []


@pytest.mark.parametrize(("what", "has_blocks"), [("silence", True), ("nothing", False)])
def test_a_dead_microphone_is_noticed_and_so_is_its_return(
    what: str, has_blocks: bool, virtual_time: Run
) -> None:
    died, revived = virtual_time(watched((5.0, "noise"), (30.0, what), (5.0, "noise")))
    assert isinstance(died, MicrophoneDied)
    assert died.silent_s == pytest.approx(10.0, abs=0.6)
    assert died.has_blocks is has_blocks
    assert revived == MicrophoneRevived()


def test_a_microphone_that_is_shut_off_is_not_dead(virtual_time: Run) -> None:
    assert virtual_time(watched((5.0, "noise"), (60.0, "silence"), muted=True)) == []


def test_a_device_that_fails_is_told_of_before_the_session_ends(virtual_time: Run) -> None:
    facts: list[SupervisionFact] = []

    async def main() -> None:
        source = WatchedSource(
            Source((1.0, "noise"), (3.0, "unplugged")), dead_after_s=10.0, notify=facts.append
        )
        async for _ in source.blocks():
            pass

    with pytest.raises(DeviceError):
        virtual_time(main())
    assert isinstance(facts[0], MicrophoneDied)


def test_a_dead_microphone_is_said_in_every_language() -> None:
    assert set(MICROPHONE_DIED) == set(LANGUAGES)
    for language in LANGUAGES:
        assert spoken_notice(MicrophoneDied(10.0, has_blocks=True), language)
    assert spoken_notice(MicrophoneRevived(), "en") is None


def test_too_much_memory_asks_for_a_new_process_once_nobody_is_talking() -> None:
    facts: list[SupervisionFact] = []
    used, idle = [100], [False]
    watch = MemoryWatch(500, used_mib=lambda: used[0], is_idle=lambda: idle[0], notify=facts.append)
    watch.check()
    used[0] = 600
    for _ in range(3):
        watch.check()
    assert facts == [MemoryHigh(600, 500)]
    idle[0] = True
    for _ in range(3):
        watch.check()
    assert [type(fact) for fact in facts] == [MemoryHigh, NewProcessWanted]


def test_without_a_limit_memory_is_no_matter() -> None:
    facts: list[SupervisionFact] = []
    MemoryWatch(0, used_mib=lambda: 10**6, is_idle=lambda: True, notify=facts.append).check()
    assert facts == []
    assert 5 < used_memory_mib() < 100_000


def test_a_full_disk_is_told_once_and_old_logs_go(tmp_path: Path) -> None:
    facts: list[SupervisionFact] = []
    log = tmp_path / "kiosk.log"
    for name in ("kiosk.log", "kiosk.log.1", "kiosk.log.2", "kiosk.log.txt", "other.log.1"):
        (tmp_path / name).touch()
    free = [100]
    watch = DiskWatch(
        200, free_mib=lambda: free[0], remove_logs=lambda: remove_old_logs(log), notify=facts.append
    )
    watch.check()
    watch.check()
    assert facts == [DiskLow(100, 200, 2)]
    assert {path.name for path in tmp_path.iterdir()} == {
        "kiosk.log",
        "kiosk.log.txt",
        "other.log.1",
    }
    free[0] = 300
    watch.check()
    free[0] = 100
    watch.check()
    assert len(facts) == 2
    assert free_disk_mib(tmp_path / "not" / "there") > 0


def test_a_loop_that_stands_still_is_told_of() -> None:
    facts: list[SupervisionFact] = []
    watch = LoopWatch(200.0, notify=facts.append)
    watch.look(0.19)
    watch.look(0.45)
    assert facts == [LoopStalled(450.0)]


def test_all_watchdogs_run_together(virtual_time: Run, tmp_path: Path) -> None:
    facts: list[SupervisionFact] = []

    async def main() -> None:
        settings = SupervisionSettings(memory_max_mib=1, disk_free_min_mib=10_000_000)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(130.0):
                await run_watchdogs(
                    settings, disk_folder=tmp_path, is_idle=lambda: True, notify=facts.append
                )

    virtual_time(main())
    assert {type(fact) for fact in facts} == {MemoryHigh, NewProcessWanted, DiskLow}


def test_a_conversation_is_forgotten_when_nobody_speaks(virtual_time: Run) -> None:
    async def main() -> None:
        facts: list[SupervisionFact] = []
        conversation = await converse([(0.5, speech(1.0))])
        assert conversation.history.exchanges
        idle = [False]
        keeper = ConversationKeeper(
            conversation.history,
            forget_after_s=30.0,
            is_idle=lambda: idle[0],
            notify=facts.append,
        )
        running = asyncio.create_task(keeper.run())
        await asyncio.sleep(20.0)
        keeper.observe(TurnDismissed(2, 0.0))
        await asyncio.sleep(29.0)
        assert conversation.history.exchanges
        await asyncio.sleep(30.0)
        assert conversation.history.exchanges, "an answer still sounds"
        idle[0] = True
        await asyncio.sleep(2.0)
        assert conversation.history.exchanges == ()
        await asyncio.sleep(100.0)
        (fact,) = facts
        assert isinstance(fact, ConversationForgotten)
        assert fact.exchanges == 1
        running.cancel()

    virtual_time(main())


def test_a_history_that_forgot_keeps_what_the_model_is_told() -> None:
    history = History("Be kind.", max_tokens=100)
    history.add_user(1, "my name is Ann")
    history.forget()
    assert [message.content for message in history.messages("hello")] == ["Be kind.", "hello"]


def test_every_fact_has_a_kind_and_a_line() -> None:
    facts: list[SupervisionFact] = [
        StageReplaced("synthesis", "it crashed", 1.5, 1),
        NewProcessWanted("memory"),
        MicrophoneDied(10.0, has_blocks=False),
        MicrophoneRevived(),
        MemoryHigh(2, 1),
        DiskLow(1, 2, 3),
        LoopStalled(300.0),
        ConversationForgotten(2, 45.0),
    ]
    assert {type(fact) for fact in facts} == set(SupervisionFact.__args__)
    assert len({fact.line for fact in facts}) == len(facts)
    assert fact_kind(facts[0]) == "stage_replaced"


def test_the_log_rotates_and_holds_no_secret(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "kiosk.log"
    settings = SupervisionSettings(log_file=log, log_max_mib=0.01, log_files=3)
    logger = logging.getLogger("voicebot.test_log")
    with log_to_files(settings, secrets=["hunter", "hunter2", ""]):
        for index in range(1000):
            logger.info("line %d with hunter2 in it", index)
        logger.error("failed", exc_info=ValueError("hunter2"))
    logger.info("after the end")
    files = sorted(path.name for path in log.parent.iterdir())
    assert files == ["kiosk.log", "kiosk.log.1", "kiosk.log.2", "kiosk.log.3"]
    assert all(path.stat().st_size <= 11_000 for path in log.parent.iterdir())
    text = "".join(path.read_text() for path in log.parent.iterdir())
    assert "hunter" not in text
    assert "after the end" not in text
    assert "INFO voicebot.test_log: line 999 with *** in it" in text


def test_a_log_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = SupervisionSettings(log_file=tmp_path / "file" / "kiosk.log")
    with pytest.raises(OutputError, match=r"supervision\.log_file"), log_to_files(settings):
        pass


def test_systemd_is_told_that_the_kiosk_is_ready_and_lives(
    tmp_path: Path, virtual_time: Run
) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        environment = {
            "NOTIFY_SOCKET": str(path),
            "WATCHDOG_USEC": "30000000",
            "WATCHDOG_PID": str(os.getpid()),
        }
        notifier = SystemdNotifier(environment)
        assert notifier.watchdog_s == 30.0
        notifier.ready("listening\nnow")
        assert manager.recv(1000) == b"READY=1\nSTATUS=listening now"

        async def main() -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(25.0):
                    await notifier.keep_alive()

        virtual_time(main())
        assert [manager.recv(1000) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        notifier.stopping()
        assert manager.recv(1000) == b"STOPPING=1"
    notifier.status("nobody listens any more")


@pytest.mark.parametrize(
    "environment",
    [{}, {"WATCHDOG_USEC": "many"}, {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}],
)
def test_without_systemd_nothing_is_told(environment: dict[str, str], virtual_time: Run) -> None:
    notifier = SystemdNotifier(environment)
    notifier.ready()
    virtual_time(notifier.keep_alive())
    assert notifier.watchdog_s is None


def test_the_time_to_ready_is_measured() -> None:
    script = (
        "import os, socket, time; time.sleep(0.1); "
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); "
        "s.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])"
    )
    tool = ROOT / "tools" / "measure_boot.py"
    done = subprocess.run(
        ["python3", tool, "--runs", "2", "--", "python3", "-c", script],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count(" s from the start of the process") == 2
    failed = subprocess.run(
        ["python3", tool, "--", "python3", "-c", "pass"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert failed.returncode == 1
    assert "ended before it was ready" in failed.stderr


def test_the_systemd_unit_is_sound(tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not here")
    unit = (ROOT / "tools" / "kiosk" / "voicebot-kiosk.service").read_text()
    there = tmp_path / "voicebot-kiosk.service"
    # The one thing that is not on this machine.
    there.write_text(unit.replace("/opt/voicebot/.venv/bin/voicebot", "/bin/true"))
    done = subprocess.run(
        [tool, "verify", "--man=no", str(there)], capture_output=True, text=True, check=False
    )
    complaints = [line for line in done.stderr.splitlines() if "voicebot-kiosk" in line]
    assert complaints == []
    for line in ("Type=notify", "Restart=always", "WatchdogSec=30", "StartLimitIntervalSec=0"):
        assert line in unit.splitlines()


@pytest.mark.parametrize(("busy_s", "ends_s"), [(0.0, 10.0), (20.0, 20.0), (1e9, 70.0)])
def test_the_process_ends_when_nobody_is_talking_or_at_last(
    busy_s: float, ends_s: float, virtual_time: Run
) -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        end = ProcessEnd(is_idle=lambda: loop.time() >= busy_s, patience_s=60.0)
        loop.call_later(5.0, end.observe, MicrophoneRevived())
        loop.call_later(10.0, end.observe, NewProcessWanted("threads hang"))
        loop.call_later(10.1, end.observe, NewProcessWanted("another reason"))
        with pytest.raises(NewProcessWantedError, match="threads hang") as wanted:
            await end.run()
        assert wanted.value.exit_code == 75
        return loop.time()

    assert virtual_time(main()) == pytest.approx(ends_s, abs=0.6)


def test_a_log_on_a_full_disk_says_so_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SupervisionSettings(log_file=tmp_path / "kiosk.log")
    logger = logging.getLogger("voicebot.test_log")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with log_to_files(settings):
        (handler,) = [
            one
            for one in logging.getLogger("voicebot").handlers
            if isinstance(one, RotatingFileHandler)
        ]
        monkeypatch.setattr(handler, "shouldRollover", full)
        for _ in range(5):
            logger.info("a line")
    assert capsys.readouterr().err.count("--- Logging error ---") == 1

"""``voicebot kiosk``: serve the page that talks."""

from __future__ import annotations

import asyncio
import gc
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from voicebot.audio.desktop import DesktopAudio
from voicebot.audio.devices import require_devices
from voicebot.builders import engine_factories
from voicebot.cli.context import takes_settings
from voicebot.cli.devices import desktop_choice, devices_to_use
from voicebot.cli.startup import prepare_models
from voicebot.supervision.log_files import log_to_files
from voicebot.supervision.process_end import ProcessEnd
from voicebot.supervision.running import running_supervised_stages
from voicebot.supervision.systemd import SystemdNotifier
from voicebot.supervision.watchdogs import run_watchdogs
from voicebot.telemetry.observers import telemetry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Mapping
    from socket import socket

    from uvicorn import Server

    from voicebot.audio.sinks import AudioSink
    from voicebot.audio.sources import AudioSource
    from voicebot.cli.context import CliContext
    from voicebot.cli.startup import PreparedModels
    from voicebot.config import Settings
    from voicebot.kiosk.visits import Visits
    from voicebot.stages import Stages
    from voicebot.supervision.facts import SupervisionFact

__all__ = ["kiosk_command"]

_LOOK_EVERY_S = 0.05


@click.command("kiosk")
@click.option("--port", type=int, metavar="PORT", help="Serve the page at this port.")
@takes_settings
def kiosk_command(context: CliContext, *, port: int | None) -> None:
    """Serve the page that talks, until Ctrl-C.

    docs/kiosk.md says how a machine is set up with it.
    """
    context = context.with_flag("kiosk.port", "--port", port)
    from voicebot.kiosk.visits import offered_languages  # noqa: PLC0415  # for this command only

    languages = offered_languages(context.settings)
    if context.settings.kiosk.audio == "card":
        devices = devices_to_use(context)
        require_devices(devices.input, devices.output)
    prepared = {
        language: prepare_models(context.with_flag("language", "kiosk.languages", language))
        for language in languages
    }
    asyncio.run(_serve(context, prepared))


async def _serve(context: CliContext, prepared: Mapping[str, PreparedModels]) -> None:
    # The server's libraries are for this command only.
    from voicebot.kiosk.gate import Gate, gate_rules  # noqa: PLC0415
    from voicebot.kiosk.log_lines import keep_log_lines  # noqa: PLC0415
    from voicebot.kiosk.memory import return_free_memory  # noqa: PLC0415
    from voicebot.kiosk.pages import Pages  # noqa: PLC0415
    from voicebot.kiosk.server import bind, kiosk_app, new_server  # noqa: PLC0415
    from voicebot.kiosk.status import StatusTeller  # noqa: PLC0415
    from voicebot.kiosk.visits import Visits  # noqa: PLC0415

    settings = context.settings
    kiosk = settings.kiosk
    profile = prepared[settings.language].profile

    @asynccontextmanager
    async def open_stages(language: str) -> AsyncIterator[Stages]:
        chosen = settings.model_copy(update={"language": language})
        models = prepared[language]
        factories = engine_factories(models.profile, chosen, models.store)
        timeout_s = settings.reply.stage_timeout_s
        async with running_supervised_stages(
            factories, settings.supervision, stage_timeout_s=timeout_s, notify=tell_fact
        ) as stages:
            # What is loaded stays: the collector need not look at it in the middle of a turn.
            gc.collect()
            gc.freeze()
            yield stages
        del stages, factories
        gc.unfreeze()  # it does not stay any longer
        gc.collect()
        return_free_memory()

    def tell_fact(fact: SupervisionFact) -> None:
        visits.tell_fact(fact)
        process_end.observe(fact)

    def tell(line: str) -> None:
        context.error_console.print(line, markup=False, soft_wrap=True)

    @asynccontextmanager
    async def open_card(sample_rate_hz: int) -> AsyncIterator[tuple[AudioSource, AudioSink]]:
        choice = desktop_choice(context, sample_rate_hz=sample_rate_hz)
        async with DesktopAudio(choice, tell) as desktop:
            yield desktop.source, desktop.sink

    with (
        bind(kiosk.host, kiosk.port) as bound,
        keep_log_lines() as log_lines,
        log_to_files(settings.supervision, secrets=_secrets(settings)),
        telemetry(settings.telemetry, profile.model_names) as watching,
    ):
        host, port = bound.getsockname()[:2]
        gate = Gate(gate_rules(kiosk, port))
        pages = Pages()
        at_work = settings.model_copy(update={"profile": profile.name})
        visits = Visits(at_work, pages, open_stages, open_card=open_card, observe=watching.observe)
        process_end = ProcessEnd(is_idle=lambda: visits.is_quiet)
        teller = StatusTeller(settings, profile, visits, pages, log_lines)
        server = new_server(kiosk_app(visits, pages, gate, teller.status))
        shown_host = f"[{host}]" if ":" in host else host
        context.error_console.print(
            f"The kiosk is at http://{shown_host}:{port}/ ; Ctrl-C ends it.", soft_wrap=True
        )
        watching_process = run_watchdogs(
            settings.supervision,
            disk_folder=_watched_folder(settings),
            is_idle=lambda: visits.is_quiet,
            notify=tell_fact,
        )
        await _run_together(server, bound, visits, process_end.run(), watching_process)


async def _run_together(
    server: Server, bound: socket, visits: Visits, *more: Coroutine[Any, Any, None]
) -> None:
    """Serve and converse, with ``more`` beside it, until the first of all ends."""
    systemd = SystemdNotifier()
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    ending = {asyncio.create_task(one) for one in (visits.run(), *more)}
    signs = {
        asyncio.create_task(_tell_ready(systemd, visits)),
        asyncio.create_task(systemd.keep_alive()),
    }
    try:
        await asyncio.wait({serving, *ending}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        systemd.stopping()
        server.should_exit = True
        for task in ending | signs:
            task.cancel()
        results = await asyncio.gather(serving, *ending, *signs, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _tell_ready(systemd: SystemdNotifier, visits: Visits) -> None:
    """Tell systemd that the kiosk listens, once the models are loaded for the first time."""
    while visits.state == "starting":  # noqa: ASYNC110  # a plain question
        await asyncio.sleep(_LOOK_EVERY_S)
    systemd.ready()


def _secrets(settings: Settings) -> list[str]:
    """What must not stand in a log."""
    variables = (settings.kiosk.token_variable, settings.mqtt.password_variable)
    return [os.environ[name] for name in variables if os.environ.get(name)]


def _watched_folder(settings: Settings) -> Path:
    """A folder on the disk that the kiosk writes to."""
    log_file = settings.supervision.log_file
    return Path.cwd() if log_file is None else log_file.parent

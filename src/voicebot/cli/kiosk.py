"""``voicebot kiosk``: serve the page that talks."""

from __future__ import annotations

import asyncio
import gc
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click

from voicebot.audio.desktop import DesktopAudio
from voicebot.audio.devices import require_devices
from voicebot.builders import engine_factories
from voicebot.cascade import running_stages
from voicebot.cli.context import takes_settings
from voicebot.cli.devices import desktop_choice, devices_to_use
from voicebot.cli.startup import prepare_models
from voicebot.telemetry.observers import telemetry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from voicebot.audio.sinks import AudioSink
    from voicebot.audio.sources import AudioSource
    from voicebot.cli.context import CliContext
    from voicebot.cli.startup import PreparedModels
    from voicebot.stages import Stages

__all__ = ["kiosk_command"]


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
        async with running_stages(factories, stage_timeout_s=timeout_s) as stages:
            # What is loaded stays: the collector need not look at it in the middle of a turn.
            gc.collect()
            gc.freeze()
            yield stages
        del stages, factories
        gc.unfreeze()  # it does not stay any longer
        gc.collect()
        return_free_memory()

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
        telemetry(settings.telemetry, profile.model_names) as watching,
    ):
        host, port = bound.getsockname()[:2]
        gate = Gate(gate_rules(kiosk, port))
        pages = Pages()
        visits = Visits(settings, pages, open_stages, open_card=open_card, observe=watching.observe)
        teller = StatusTeller(settings, profile, visits, pages, log_lines)
        server = new_server(kiosk_app(visits, pages, gate, teller.status))
        shown_host = f"[{host}]" if ":" in host else host
        context.error_console.print(
            f"The kiosk is at http://{shown_host}:{port}/ ; Ctrl-C ends it.", soft_wrap=True
        )
        visiting = asyncio.create_task(visits.run())
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        try:
            await asyncio.wait({visiting, serving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            server.should_exit = True
            visiting.cancel()
            results = await asyncio.gather(visiting, serving, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

"""``voicebot serve-wyoming``: recognition and synthesis for Home Assistant and other clients."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from voicebot.builders.asr import asr_factory
from voicebot.builders.tts import espeak_voice, tts_factory
from voicebot.choice import choose_profile
from voicebot.cli.context import takes_settings
from voicebot.cli.startup import fetch_models
from voicebot.engines.server_url import HostAndPort
from voicebot.events import StageFellBack
from voicebot.fallbacks import FallbackReports

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wyoming.info import AsrProgram, TtsProgram

    from voicebot.choice import ChosenProfile
    from voicebot.cli.context import CliContext
    from voicebot.config import Settings
    from voicebot.engines.protocols import Asr, Tts
    from voicebot.events import StageRecovered
    from voicebot.models.store import ModelStore
    from voicebot.wyoming_service.access import AccessRules
    from voicebot.wyoming_service.client_connection import Services
    from voicebot.wyoming_service.engine_pool import EnginePool

__all__ = ["serve_wyoming_command"]

_PORT = click.IntRange(0, 65_535)
_OFFERS = {"both": "recognition and synthesis", "asr": "recognition", "tts": "synthesis"}


@click.command("serve-wyoming")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port",
    type=_PORT,
    default=10_300,
    show_default=True,
    help="The port of both services; 0 takes a free one.",
)
@click.option("--asr-port", type=_PORT, help="A port for recognition alone.")
@click.option("--tts-port", type=_PORT, help="A port for synthesis alone.")
@click.option(
    "--allow",
    "allowed",
    multiple=True,
    metavar="ADDRESS",
    help="A client or a network (192.168.1.0/24) that may connect; may be repeated. This machine "
    "always may.",
)
@click.option(
    "--insecure-lan", is_flag=True, help="Let everybody in who reaches the port: no passwords."
)
@click.option(
    "--engines",
    "engine_count",
    type=click.IntRange(1, 16),
    default=1,
    show_default=True,
    help="Recognisers and synthesisers that work at once; further clients wait their turn.",
)
@takes_settings
def serve_wyoming_command(
    context: CliContext,
    *,
    host: str,
    port: int,
    asr_port: int | None,
    tts_port: int | None,
    allowed: Sequence[str],
    insecure_lan: bool,
    engine_count: int,
) -> None:
    """Offer recognition and synthesis to Wyoming clients; Ctrl-C ends it.

    Wyoming knows neither passwords nor encryption. Only this machine may connect, unless --host and
    --allow (or --insecure-lan) say otherwise.
    """
    from voicebot.wyoming_service.access import access_rules  # noqa: PLC0415  # quick --help

    access = access_rules(host, allowed, insecure_lan=insecure_lan)
    settings = context.settings
    profile = choose_profile(settings)
    context.error_console.print(
        f"Profile: {profile.line_of('asr', 'tts')}", markup=False, soft_wrap=True
    )
    store = fetch_models(context, profile.models_of("asr", "tts"))
    if asr_port is None and tts_port is None:
        ports = {"both": port}
    else:
        given = {"asr": asr_port, "tts": tts_port}
        ports = {kind: number for kind, number in given.items() if number is not None}
    with suppress(asyncio.CancelledError):  # asked to end
        asyncio.run(_serve(context, profile, store, _Place(host, ports, access, engine_count)))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the service is, and for whom.

    Attributes:
        host: the address to listen at.
        ports: by what each offers: ``both``, ``asr``, ``tts``.
        access: who may connect.
        engine_count: how many engines of each kind work at once.
    """

    host: str
    ports: Mapping[str, int]
    access: AccessRules
    engine_count: int

    def offers(self, kind: str) -> bool:
        """Whether some port offers ``asr`` or ``tts``."""
        return kind in self.ports or "both" in self.ports


async def _serve(
    context: CliContext, profile: ChosenProfile, store: ModelStore, place: _Place
) -> None:
    from voicebot.wyoming_service.listener import Listener  # noqa: PLC0415  # quick --help

    _end_on_sigterm()
    reports = FallbackReports()
    async with AsyncExitStack() as stack:
        context.error_console.print("Loading the models …")
        stack.enter_context(
            reports.told_to(
                lambda event: _show(context, event),
                asyncio.get_running_loop(),
            )
        )
        whole = await _loaded(place, stack, _Makers.of(profile, context.settings, store, reports))
        for kind, number in place.ports.items():
            listener = Listener(whole.only(kind), place.access)
            stack.push_async_callback(listener.close)
            where = await listener.open(HostAndPort(place.host, number))
            context.error_console.print(
                f"Serving {_OFFERS[kind]} at tcp://{where}", markup=False, soft_wrap=True
            )
        await asyncio.get_running_loop().create_future()  # until it is told to end


@dataclass(frozen=True, slots=True)
class _Makers:
    """How engines are built, and how clients are told of them."""

    settings: Settings
    asr: Callable[[], Asr]
    tts: Callable[[], Tts]
    recognition: AsrProgram
    speech: TtsProgram

    @classmethod
    def of(
        cls,
        profile: ChosenProfile,
        settings: Settings,
        store: ModelStore,
        reports: FallbackReports,
    ) -> _Makers:
        """Those of a profile."""
        from voicebot.voices import language_of_own_voice  # noqa: PLC0415  # quick --help
        from voicebot.wyoming_service.offer import (  # noqa: PLC0415  # quick --help
            recognition_offer,
            synthesis_offer,
        )

        spoken = language_of_own_voice(store, profile.tts) or settings.language
        return cls(
            settings,
            asr_factory(
                profile.asr, settings, store, fallback=profile.asr_fallback, reports=reports
            ),
            tts_factory(
                profile.tts, settings, store, fallback=profile.tts_fallback, reports=reports
            ),
            recognition_offer(profile.asr, settings.language),
            synthesis_offer(profile.tts, espeak_voice(settings), spoken),
        )


async def _loaded(place: _Place, stack: AsyncExitStack, makers: _Makers) -> Services:
    """All that any port offers; ``stack`` closes it."""
    from voicebot.wyoming_service.client_connection import Services  # noqa: PLC0415  # quick --help
    from voicebot.wyoming_service.engine_pool import EnginePool  # noqa: PLC0415
    from voicebot.wyoming_service.synthesis import SynthesisRules  # noqa: PLC0415

    reply = makers.settings.reply
    count, timeout_s = place.engine_count, reply.stage_timeout_s
    recognisers: EnginePool[Asr] | None = None
    synthesisers: EnginePool[Tts] | None = None
    sample_rate_hz = 0
    if place.offers("tts"):
        synthesisers = EnginePool("synthesis", makers.tts, count, stage_timeout_s=timeout_s)
        stack.push_async_callback(synthesisers.close)
        sample_rate_hz = (await synthesisers.load()).sample_rate_hz
    if place.offers("asr"):
        recognisers = EnginePool("recognition", makers.asr, count, stage_timeout_s=timeout_s)
        stack.push_async_callback(recognisers.close)
        await recognisers.load()
    rules = SynthesisRules(sample_rate_hz, makers.settings.language, reply.clause_max_characters)
    return Services(makers.recognition, recognisers, makers.speech, synthesisers, rules)


def _show(context: CliContext, event: StageFellBack | StageRecovered) -> None:
    if isinstance(event, StageFellBack):
        line = f"voicebot: {event.error}; {event.fallback} goes on"
    else:
        line = f"voicebot: the {event.stage} stage works again"
    context.error_console.print(line, markup=False, soft_wrap=True)


def _end_on_sigterm() -> None:
    task = asyncio.current_task()
    if task is not None:
        with suppress(NotImplementedError):  # Windows
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)

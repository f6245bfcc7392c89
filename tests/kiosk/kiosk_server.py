"""A kiosk with scripted stages, served on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conversations import scripted
from voicebot.config import KioskSettings, Settings
from voicebot.kiosk.gate import Gate, gate_rules
from voicebot.kiosk.pages import Pages
from voicebot.kiosk.server import bind, kiosk_app, new_server
from voicebot.kiosk.visits import Visits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import uvicorn

    from voicebot.kiosk.visits import OpenStages
    from voicebot.stages import Stages

__all__ = ["TOKEN", "KioskServer", "kiosk_server", "settings_of"]

TOKEN = "0123456789abcdef0123"  # noqa: S105


@dataclass
class KioskServer:
    """A running kiosk; ``visits`` and ``pages`` may be looked at, not touched."""

    port: int
    visits: Visits
    pages: Pages
    server: uvicorn.Server
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def on_loop(self, call: Any) -> None:
        """Run ``call`` on the server's loop."""
        done = threading.Event()

        def run() -> None:
            call()
            done.set()

        self.loop.call_soon_threadsafe(run)
        assert done.wait(5)


def settings_of(**kiosk: Any) -> Settings:
    return Settings(kiosk=KioskSettings(**{"token_variable": "T", "port": 0, **kiosk}))


@contextmanager
def kiosk_server(
    stages: Stages | None = None,
    *,
    open_stages: OpenStages | None = None,
    token: str = TOKEN,
    **kiosk: Any,
) -> Iterator[KioskServer]:
    settings = settings_of(**kiosk)
    started = threading.Event()
    running: list[KioskServer] = []
    failures: list[BaseException] = []

    @asynccontextmanager
    async def open_scripted(_language: str) -> AsyncIterator[Stages]:
        yield stages or scripted()

    async def serve() -> None:
        with bind("127.0.0.1", 0) as bound:
            own_port = bound.getsockname()[1]
            pages = Pages()
            visits = Visits(settings, pages, open_stages or open_scripted)
            gate = Gate(gate_rules(settings.kiosk, own_port, {"T": token}))
            server = new_server(kiosk_app(visits, pages, gate, lambda: {"state": visits.state}))
            visiting = asyncio.create_task(visits.run())
            loop = asyncio.get_running_loop()
            running.append(KioskServer(own_port, visits, pages, server, loop))
            serving = asyncio.create_task(server.serve(sockets=[bound]))
            while not server.started and not serving.done():  # noqa: ASYNC110  # it has no event
                await asyncio.sleep(0.01)
            started.set()
            await serving
            visiting.cancel()
            await asyncio.gather(visiting, return_exceptions=True)

    def main() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001  # told to the test
            failures.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=main)
    thread.start()
    try:
        assert started.wait(20)
        if failures:
            raise failures[0]
        yield running[0]
    finally:
        if running:
            running[0].server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the server hangs"
        assert not failures, failures

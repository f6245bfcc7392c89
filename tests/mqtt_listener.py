"""Somebody else on the bus, and a bridge that runs while a test does."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from voicebot.mqtt.bridge import MqttBridge

aiomqtt = pytest.importorskip("aiomqtt")

__all__ = ["Listener", "bridging", "listening"]


class Listener:
    """Somebody else on the bus: hears everything from now on."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self.heard: list[tuple[str, str, bool]] = []
        self._came = asyncio.Event()

    async def listen(self) -> None:
        with suppress(aiomqtt.MqttError):
            async for message in self._client.messages:
                self.heard.append(
                    (
                        str(message.topic),
                        message.payload.decode(errors="replace"),
                        bool(message.retain),
                    )
                )
                self._came.set()

    def of(self, end: str) -> list[str]:
        return [payload for topic, payload, _ in self.heard if topic.endswith("/" + end)]

    async def until(self, holds: Callable[[], Any], *, within_s: float = 8.0) -> None:
        async with asyncio.timeout(within_s):
            while not holds():
                self._came.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await self._came.wait()

    async def command(self, name: str, payload: Any, *, retain: bool = False) -> None:
        data = payload if isinstance(payload, (str, bytes)) else json.dumps(payload)
        await self._client.publish(f"voicebot/door/command/{name}", data, qos=1, retain=retain)


@asynccontextmanager
async def listening(port: int, *, session: str | None = None) -> AsyncIterator[Listener]:
    options: dict[str, Any] = {}
    if session is not None:  # the broker keeps what comes while we are away
        options = {"identifier": session, "clean_session": False}
    async with aiomqtt.Client("127.0.0.1", port, **options) as client:
        await client.subscribe("#", qos=1)
        listener = Listener(client)
        task = asyncio.create_task(listener.listen())
        try:
            yield listener
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def bridging(bridge: MqttBridge) -> AsyncIterator[MqttBridge]:
    task = asyncio.create_task(bridge.run())
    try:
        yield bridge
    finally:
        task.cancel()
        results = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError), results[0]

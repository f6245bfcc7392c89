"""Between a kiosk and a broker: facts go out, commands come in, the conversation never waits.

``observe`` only puts down what happened, in bounded queues that drop their oldest and count it.
``run`` does the rest: it keeps figures of turns in the outbox, keeps up the connection, and hands
valid commands to the kiosk. Whatever fails in there is logged and tried again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import psutil

from voicebot import __version__
from voicebot.config import Settings
from voicebot.errors import ConfigError, OutputError, VoicebotError
from voicebot.events import StageFellBack, StageRecovered, TurnClosed
from voicebot.mqtt.backoff import Backoff
from voicebot.mqtt.commands import CommandDroppedError, CommandRefusedError, parse_command
from voicebot.mqtt.connection import broker_address, connected, connection_problem
from voicebot.mqtt.controls import carry_out
from voicebot.mqtt.discovery import discovery_payload
from voicebot.mqtt.health import HealthKeeper, MachineFacts
from voicebot.mqtt.kiosk_state import KioskState, StateFollower
from voicebot.mqtt.log_lines import LogLines
from voicebot.mqtt.outbox import Outbox
from voicebot.mqtt.payloads import (
    OFFLINE,
    ONLINE,
    controls_payload,
    health_payload,
    reply_payload,
    transcript_payload,
    turn_body,
    turn_payload,
)
from voicebot.mqtt.rate_limit import RateLimit
from voicebot.mqtt.topics import COMMAND_QOS, TOPIC_TABLE, Topic, Topics
from voicebot.telemetry.turn_facts import turn_facts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    import aiomqtt

    from voicebot.config import MqttSettings
    from voicebot.events import Event
    from voicebot.mqtt.commands import Command
    from voicebot.mqtt.connection import BrokerAddress
    from voicebot.mqtt.controls import ControlsState, KioskControls

__all__ = ["BridgeCounts", "MqttBridge", "running_bridge"]

ResultT = TypeVar("ResultT")

_TURNS_IN_MEMORY_MAX = 1000
_TRANSCRIPTS_MAX = 20
_NOTICES_MAX = 100
_REPLIES_MAX = 64
_COMMANDS_MAX = 8
_COMMAND_TIMEOUT_S = 60.0
_REFUSALS_PER_S = 2.0
_BURST = 10.0
_OUTBOX_RETRY_S = 5.0
_TURNS_AT_A_TIME = 50
_BACKOFF_FIRST_S = 1.0
_BACKOFF_MOST_S = 60.0
_STEADY_S = 10.0  # a connection that lasts so long was a good one
_GOODBYE_S = 2.0
_MIB = 2**20

_log = logging.getLogger("voicebot.mqtt")


@dataclass(slots=True)
class BridgeCounts:
    """What became of things, for health and for tests.

    Attributes:
        connections: how often a connection stood.
        turns_lost: turns that not even the memory could hold.
        messages_dropped: transcripts, notices and replies that nobody took in time.
    """

    connections: int = 0
    turns_lost: int = 0
    messages_dropped: int = 0


class MqttBridge:
    """The bridge of one kiosk; make it on the event loop, ``run`` it in a task.

    Args:
        settings: broker, topics, limits.
        controls: what carries out commands.
        address: the broker, checked; None takes it from ``settings``.
        underruns: tells how often the loudspeaker ran dry.
        clock: the session's clock, in seconds.
        chance: draws from 0 to 1, for the waits between attempts.

    Raises:
        ConfigError: aiomqtt is not installed, the password is missing, a certificate is unusable.
        OutputError: the outbox cannot be opened.
    """

    def __init__(
        self,
        settings: MqttSettings,
        controls: KioskControls,
        *,
        address: BrokerAddress | None = None,
        underruns: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        _require_aiomqtt()
        self._settings = settings
        self._controls = controls
        self._address = address or broker_address(settings)
        self._underruns = underruns
        self._clock = clock
        self._chance = chance
        self._began_s = time.monotonic()
        self.topics = Topics(settings.prefix, settings.kiosk_id, settings.discovery_prefix)
        self.counts = BridgeCounts()
        self._health = HealthKeeper()
        self._follower = StateFollower()
        self._process = psutil.Process()
        self._outbox = Outbox(settings.outbox_file, max_turns=settings.outbox_max_turns)
        if self._outbox.was_damaged:
            _log.warning("the outbox was damaged and has been put aside as .damaged")
        self.outbox_counts = self._outbox.counts()
        self._outbox_thread = ThreadPoolExecutor(1, thread_name_prefix="voicebot-outbox")
        self._turns: deque[str] = deque()
        self._transcripts: deque[str] = deque()
        self._notices: deque[str] = deque()
        self._replies: deque[str] = deque()
        self._controls_state: ControlsState | None = None
        self._commands: asyncio.Queue[Command] = asyncio.Queue(_COMMANDS_MAX)
        self._command_rate = RateLimit(per_s=settings.commands_per_minute / 60.0, burst=_BURST)
        self._refusal_rate = RateLimit(per_s=_REFUSALS_PER_S, burst=_BURST)
        self._turn_came = asyncio.Event()  # in memory
        self._turn_stored = asyncio.Event()  # in the outbox
        self._news = asyncio.Event()  # anything else to say
        self._health_wanted = asyncio.Event()
        self._has_failed = False

    # What the kiosk tells.

    def observe(self, event: Event) -> None:
        """Take note of a fact, on the loop; never waits and never raises."""
        try:
            self._take(event)
        except Exception:  # noqa: BLE001 - to be watched must not end a conversation
            if not self._has_failed:
                self._has_failed = True
                _log.exception("a fact could not be told over MQTT")

    def _take(self, event: Event) -> None:
        before = self._follower.state
        if self._follower.follow(event) is not before:
            self._news.set()
        self._health.observe(event)
        if isinstance(event, StageFellBack):
            line = f"the {event.stage} stage goes on with {event.fallback}: {event.error}"
            self.tell_notice("stage_fell_back", line)
        elif isinstance(event, StageRecovered):
            self.tell_notice("stage_recovered", f"the first engine of {event.stage} works again")
        if not isinstance(event, TurnClosed):
            return
        facts = turn_facts(
            event,
            # Asked anew each time: a machine without a battery sets its clock after the start.
            clock_offset_s=time.time() - self._clock(),
            with_words=self._settings.transcripts,
        )
        self._health.count(facts)
        if len(self._turns) >= _TURNS_IN_MEMORY_MAX:
            self._turns.popleft()
            self.counts.turns_lost += 1
        self._turns.append(turn_body(facts))
        self._turn_came.set()
        if self._settings.transcripts and facts.transcript:
            self._say_soon(self._transcripts, transcript_payload(facts), _TRANSCRIPTS_MAX)

    def tell_controls(self, state: ControlsState) -> None:
        """How the kiosk is set from now on."""
        self._controls_state = state
        self._news.set()

    def tell_notice(self, kind: str, text: str) -> None:
        """Tell staff of something that happened, such as a stage that was replaced."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._say_soon(
            self._notices, json.dumps({"at": at, "kind": kind, "text": text[:500]}), _NOTICES_MAX
        )

    def tell_error(self, line: str) -> None:
        """Let ``line`` be health's last error."""
        self._health.note_error(line)

    def tell_forgotten(self) -> None:
        """The conversation was forgotten: nobody is there."""
        self._follower.forget()
        self._news.set()

    @property
    def state(self) -> KioskState:
        """What the kiosk is doing, as it is told."""
        return self._follower.state

    @property
    def turns_in_memory(self) -> int:
        """Turns that are not in the outbox yet."""
        return len(self._turns)

    def _say_soon(self, queue: deque[str], payload: str, most: int) -> None:
        if len(queue) >= most:
            queue.popleft()
            self.counts.messages_dropped += 1
        queue.append(payload)
        self._news.set()

    # Running.

    async def run(self) -> None:
        """Bridge until cancelled; says ``offline`` then, if it can."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._store_turns())
                tasks.create_task(self._carry_out_commands())
                tasks.create_task(self._stay_connected())
        finally:
            self._outbox_thread.submit(self._store_rest)
            await asyncio.shield(asyncio.to_thread(self._outbox_thread.shutdown))

    def _store_next(self) -> None:
        # On the outbox's thread, whole or not at all: a caller that is cancelled neither loses a
        # turn nor stores it twice.
        body = self._turns.popleft()
        try:
            self._outbox.put(body)
        except OutputError:
            self._turns.appendleft(body)
            raise

    def _store_rest(self) -> None:
        try:
            while self._turns:
                self._store_next()
        except OutputError as error:
            _log.warning("%s", error)
        finally:
            self._outbox.close()

    async def _in_outbox(self, work: Callable[[], ResultT]) -> ResultT:
        return await asyncio.get_running_loop().run_in_executor(self._outbox_thread, work)

    async def _store_turns(self) -> None:
        has_failed = False
        while True:
            await self._turn_came.wait()
            self._turn_came.clear()
            while self._turns:
                try:
                    await self._in_outbox(self._store_next)
                    self.outbox_counts = await self._in_outbox(self._outbox.counts)
                except OutputError as error:
                    if not has_failed:
                        _log.warning("%s", error)
                    has_failed = True
                    await asyncio.sleep(_OUTBOX_RETRY_S)
                    continue
                has_failed = False
                self._turn_stored.set()

    async def _stay_connected(self) -> None:
        backoff = Backoff(first_s=_BACKOFF_FIRST_S, most_s=_BACKOFF_MOST_S)
        last_problem = ""
        while True:
            connections, began_s = self.counts.connections, time.monotonic()
            # In a task of its own: what aiomqtt raises when it takes leave may otherwise swallow
            # our own cancellation.
            attempt = asyncio.create_task(self._connect_and_serve())
            try:
                await asyncio.wait({attempt})
            finally:
                attempt.cancel()
                await asyncio.wait({attempt})
            if attempt.cancelled():
                continue
            problem = self._problem(attempt.exception())
            stood = self.counts.connections > connections
            if problem and (stood or problem != last_problem):
                _log.warning("%s; trying again", problem)
            last_problem = problem
            # A broker that takes us in and throws us out again gets no hail of attempts.
            if stood and time.monotonic() - began_s > _STEADY_S:
                backoff.reset()
            await asyncio.sleep(backoff.next_s(self._chance()))

    async def _connect_and_serve(self) -> None:
        async with connected(
            self._address, self.topics, on_overflow=self._count_overflow
        ) as client:
            self.counts.connections += 1
            _log.info("connected to the MQTT broker")
            with self._log_lines() as lines:
                await self._serve(client, lines)

    def _problem(self, error: BaseException | None) -> str:
        from aiomqtt import MqttError  # noqa: PLC0415 - an extra

        cause = _first(error)
        if isinstance(cause, OutputError):
            return str(cause)
        if isinstance(cause, (MqttError, OSError)):
            return connection_problem(cause, self._address)
        if cause is not None:
            _log.error("the bridge to MQTT failed; trying again", exc_info=cause)
        return ""

    @contextmanager
    def _log_lines(self) -> Iterator[LogLines | None]:
        if self._settings.logs == "off":
            yield None
            return
        loop = asyncio.get_running_loop()

        def wake() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._news.set)

        level = logging.getLevelNamesMapping()[self._settings.logs.upper()]
        lines = LogLines(level, wake=wake, secret=self._address.password)
        logger = logging.getLogger("voicebot")
        logger.addHandler(lines)
        try:
            yield lines
        finally:
            logger.removeHandler(lines)

    async def _serve(self, client: aiomqtt.Client, lines: LogLines | None) -> None:
        try:
            await client.subscribe(self.topics.all_commands, qos=COMMAND_QOS)
            await self._announce(client)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read_commands(client))
                tasks.create_task(self._publish_turns(client))
                tasks.create_task(self._publish_news(client, lines))
                tasks.create_task(self._publish_health(client))
        except asyncio.CancelledError:
            # The last will is for accidents only: who leaves says so.
            with suppress(Exception):
                async with asyncio.timeout(_GOODBYE_S):
                    await self._publish(client, Topic.AVAILABILITY, OFFLINE)
            raise

    async def _announce(self, client: aiomqtt.Client) -> None:
        if self.topics.discovery_prefix:
            payload = discovery_payload(
                self.topics,
                version=__version__,
                profiles=get_args(Settings.model_fields["profile"].annotation),
                has_transcripts=self._settings.transcripts,
            )
            await client.publish(
                self.topics.discovery, json.dumps(payload), qos=COMMAND_QOS, retain=True
            )
        await self._publish(client, Topic.AVAILABILITY, ONLINE)

    async def _publish(self, client: aiomqtt.Client, topic: Topic, payload: str) -> None:
        spec = TOPIC_TABLE[topic]
        await client.publish(self.topics.of(topic), payload, qos=spec.qos, retain=spec.retain)

    # What is published.

    async def _publish_turns(self, client: aiomqtt.Client) -> None:
        """One after another, each gone from the outbox before the next is sent: in order."""
        stream = self._outbox.stream
        while True:
            self._turn_stored.clear()
            waiting = await self._in_outbox(lambda: self._outbox.first(_TURNS_AT_A_TIME))
            for turn in waiting:
                await self._publish(
                    client, Topic.TURN, turn_payload(stream, turn.sequence, turn.body)
                )
                await self._in_outbox(lambda turn=turn: self._outbox.remove(turn.sequence))  # type: ignore[misc]
            self.outbox_counts = await self._in_outbox(self._outbox.counts)
            if not waiting:
                await self._turn_stored.wait()

    async def _publish_news(self, client: aiomqtt.Client, lines: LogLines | None) -> None:
        told_state: KioskState | None = None
        told_controls: ControlsState | None = None
        while True:
            self._news.clear()
            if (state := self._follower.state) is not told_state:
                await self._publish(client, Topic.STATE, state.value)
                told_state = state
            if (controls := self._controls_state) is not None and controls != told_controls:
                await self._publish(client, Topic.CONTROLS, controls_payload(controls))
                told_controls = controls
            for topic, queue in (
                (Topic.REPLY, self._replies),
                (Topic.NOTICE, self._notices),
                (Topic.TRANSCRIPT, self._transcripts),
            ):
                while queue:
                    payload = queue[0]
                    await self._publish(client, topic, payload)
                    if queue and queue[0] is payload:
                        queue.popleft()
            while lines is not None and (line := lines.take()) is not None:
                await self._publish(client, Topic.LOG, line)
            await self._news.wait()

    async def _publish_health(self, client: aiomqtt.Client) -> None:
        while True:
            self._health_wanted.clear()
            await self._publish(client, Topic.HEALTH, health_payload(self._report()))
            try:
                async with asyncio.timeout(self._settings.health_every_s):
                    await self._health_wanted.wait()
            except TimeoutError:
                pass

    def tell_health_now(self) -> None:
        """Publish health without waiting for its time."""
        self._health_wanted.set()

    def _report(self) -> Any:
        machine = MachineFacts(
            uptime_s=time.monotonic() - self._began_s,
            memory_mib=self._process.memory_info().rss / _MIB,
            underruns=self._underruns(),
        )
        return self._health.report(
            machine,
            version=__version__,
            turns_waiting=self.outbox_counts.waiting + len(self._turns),
            turns_dropped=self.outbox_counts.dropped + self.counts.turns_lost,
        )

    # Commands.

    async def _read_commands(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            self.take_command(str(message.topic), message.payload, retained=message.retain)

    def _count_overflow(self) -> None:
        self._health.commands["too_many"] += 1

    def take_command(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """Take a message on a command's topic; never waits.

        A retained one is an order of the past: it would be carried out again at every connection.
        """
        name = self.topics.command_name(topic)
        if name is None:
            return
        fates = self._health.commands
        if retained:
            fates["retained"] += 1
            _log.warning("a retained command was ignored; publish commands without retain")
            return
        now_s = self._clock()
        if not self._command_rate.allows(now_s):
            fates["too_many"] += 1
            self._refuse(name, None, "too many commands", now_s)
            return
        try:
            command = parse_command(name, payload)
        except CommandDroppedError as error:
            fates[error.kind] += 1
            _log.warning("a %s message on a command's topic was dropped", error.kind)
            return
        except CommandRefusedError as error:
            fates["refused"] += 1
            self._refuse(name, error.command_id, error.problem, now_s)
            return
        try:
            self._commands.put_nowait(command)
        except asyncio.QueueFull:
            fates["busy"] += 1
            self._refuse(name, command.id, "busy with earlier commands", now_s)

    def _refuse(self, name: str, command_id: str | None, problem: str, now_s: float) -> None:
        if self._refusal_rate.allows(now_s):
            self._say_soon(
                self._replies, reply_payload(name, command_id, error=problem), _REPLIES_MAX
            )

    async def _carry_out_commands(self) -> None:
        while True:
            command = await self._commands.get()
            error: str | None = None
            result: str | None = None
            try:
                async with asyncio.timeout(_COMMAND_TIMEOUT_S):
                    result = await carry_out(command, self._controls)
            except VoicebotError as refusal:
                error = str(refusal)
            except TimeoutError:
                error = f"not done within {_COMMAND_TIMEOUT_S:g} s"
            except Exception:  # noqa: BLE001 - a bug in one command must not stop the next
                _log.exception("the command %s failed", command.name)
                error = "failed; the kiosk's log tells more"
            self._health.commands["done" if error is None else "failed"] += 1
            payload = reply_payload(command.name, command.id, error=error, result=result)
            self._say_soon(self._replies, payload, _REPLIES_MAX)


@asynccontextmanager
async def running_bridge(
    settings: MqttSettings, controls: KioskControls, *, underruns: Callable[[], int] = lambda: 0
) -> AsyncIterator[MqttBridge | None]:
    """A bridge that runs until the context is left; None where ``mqtt.host`` is empty.

    Args:
        settings: broker, topics, limits.
        controls: what carries out commands.
        underruns: tells how often the loudspeaker ran dry.

    Raises:
        ConfigError: aiomqtt is not installed, the password is missing, a certificate is unusable.
        OutputError: the outbox cannot be opened.
    """
    if not settings.host:
        yield None
        return
    bridge = MqttBridge(settings, controls, underruns=underruns)
    running = asyncio.create_task(bridge.run())
    try:
        yield bridge
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _first(error: BaseException | None) -> BaseException | None:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _require_aiomqtt() -> None:
    try:
        import aiomqtt  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        raise ConfigError(
            "mqtt.host needs the package aiomqtt", "pip install 'voicebot[kiosk]'"
        ) from error

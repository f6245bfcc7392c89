"""Every topic: its name, who speaks on it, how it is delivered (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["COMMAND_QOS", "TOPIC_TABLE", "Topic", "TopicSpec", "Topics", "topic_table"]


class Topic(Enum):
    """What is said; the value is the topic's last part."""

    AVAILABILITY = "availability"
    STATE = "state"
    CONTROLS = "controls"
    HEALTH = "health"
    TURN = "turn"
    TRANSCRIPT = "transcript"
    NOTICE = "notice"
    LOG = "log"
    REPLY = "reply"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """How messages of a topic are delivered.

    Attributes:
        topic: which.
        qos: MQTT's quality of service.
        retain: whether the broker keeps the last message for those who come later.
        payload: what it holds, in words.
        why: why it is delivered so.
    """

    topic: Topic
    qos: int
    retain: bool
    payload: str
    why: str


TOPIC_TABLE: dict[Topic, TopicSpec] = {
    spec.topic: spec
    for spec in (
        TopicSpec(
            Topic.AVAILABILITY,
            1,
            retain=True,
            payload="`online` or `offline`; also the last will",
            why="who comes later must know whether the rest is true",
        ),
        TopicSpec(
            Topic.STATE,
            1,
            retain=True,
            payload="`idle`, `listening`, `thinking` or `speaking`",
            why="the latest one counts; those between may be left out",
        ),
        TopicSpec(
            Topic.CONTROLS,
            1,
            retain=True,
            payload="JSON: `muted`, `volume_percent`, `profile`",
            why="the latest one counts",
        ),
        TopicSpec(
            Topic.HEALTH,
            1,
            retain=True,
            payload="JSON: uptime, memory, latency percentiles, underruns, last error, counts",
            why="the latest one counts",
        ),
        TopicSpec(
            Topic.TURN,
            1,
            retain=False,
            payload="JSON: `stream`, `sequence` and a turn's figures",
            why="each one counts: waits in the outbox until the broker has it",
        ),
        TopicSpec(
            Topic.TRANSCRIPT,
            1,
            retain=False,
            payload="JSON: `turn`, `transcript`, `heard`; only with `mqtt.transcripts`",
            why="words are kept nowhere: neither by the broker nor in the outbox",
        ),
        TopicSpec(
            Topic.NOTICE,
            1,
            retain=False,
            payload="JSON: `at`, `kind`, `text`: a stage was replaced, the microphone is dead, …",
            why="news, worth nothing later",
        ),
        TopicSpec(
            Topic.LOG,
            0,
            retain=False,
            payload="JSON: `at`, `level`, `logger`, `text`, `suppressed`",
            why="the log file has all of it",
        ),
        TopicSpec(
            Topic.REPLY,
            1,
            retain=False,
            payload="JSON: `id`, `command`, `ok`, `error` or `result`",
            why="the answer to a command, for whoever asked",
        ),
    )
}
"""The delivery of everything that a kiosk says."""

COMMAND_QOS = 1
"""At which commands are asked for: each arrives, and once as long as the connection holds."""


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one kiosk.

    Attributes:
        prefix: what all topics begin with.
        kiosk_id: this kiosk.
        discovery_prefix: where Home Assistant looks; empty for nowhere.
    """

    prefix: str
    kiosk_id: str
    discovery_prefix: str = ""

    @property
    def base(self) -> str:
        """What all topics of this kiosk begin with."""
        return f"{self.prefix}/{self.kiosk_id}"

    def of(self, topic: Topic) -> str:
        """The whole name of ``topic``."""
        return f"{self.base}/{topic.value}"

    def command(self, name: str) -> str:
        """Where the command ``name`` is taken."""
        return f"{self.base}/command/{name}"

    @property
    def all_commands(self) -> str:
        """What to subscribe to, to be told every command."""
        return self.command("+")

    def command_name(self, topic: str) -> str | None:
        """The command that ``topic`` stands for; None if it is no command's."""
        before, _, name = topic.rpartition("/")
        return name if name and before == f"{self.base}/command" else None

    @property
    def discovery(self) -> str:
        """Where the device is announced to Home Assistant."""
        return f"{self.discovery_prefix}/device/{self.device_id}/config"

    @property
    def device_id(self) -> str:
        """What Home Assistant knows the kiosk by; holds letters, digits, _ and - only."""
        return f"{self.prefix}_{self.kiosk_id}".replace("/", "_").replace(".", "_")


def topic_table(topics: Topics) -> str:
    """Markdown: a row for every topic of ``topics``, the commands last."""
    rows = ["| Topic | Payload | QoS | Retained | Why |", "|---|---|---|---|---|"]
    for spec in TOPIC_TABLE.values():
        retained = "yes" if spec.retain else "no"
        rows.append(
            f"| `{topics.of(spec.topic)}` | {spec.payload} | {spec.qos} | {retained} | {spec.why} |"
        )
    rows.append(
        f"| `{topics.command('NAME')}` | JSON, see Commands | {COMMAND_QOS} | ignored if retained "
        "| an order of yesterday must not be carried out today |"
    )
    return "\n".join(rows)

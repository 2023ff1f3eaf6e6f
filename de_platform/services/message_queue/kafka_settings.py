"""Where Kafka is, how it is reached and what is ours there; passwords never show."""

from collections.abc import Mapping
from typing import Self

import msgspec

from de_platform.services.message_queue.interface import StartAt
from de_platform.services.secrets.interface import SecretsInterface

SERVERS_SETTING = "MQ_KAFKA_BOOTSTRAP_SERVERS"
SESSION_SECONDS = 15.0
MAX_POLL_INTERVAL_SECONDS = 300.0
_HEARTBEATS_PER_SESSION = 10
_MAX_HEARTBEAT_MS = 1000
_SOCKET_TIMEOUT_MS = 10_000
_MAX_RECONNECT_BACKOFF_MS = 2000

_SECURITY_OPTIONS: Mapping[str, str] = {
    "MQ_KAFKA_SECURITY_PROTOCOL": "security.protocol",
    "MQ_KAFKA_SASL_MECHANISM": "sasl.mechanism",
    "MQ_KAFKA_SASL_USERNAME": "sasl.username",
    "MQ_KAFKA_SASL_PASSWORD": "sasl.password",
    "MQ_KAFKA_SSL_CA_LOCATION": "ssl.ca.location",
    "MQ_KAFKA_SSL_CERTIFICATE_LOCATION": "ssl.certificate.location",
    "MQ_KAFKA_SSL_KEY_LOCATION": "ssl.key.location",
    "MQ_KAFKA_SSL_KEY_PASSWORD": "ssl.key.password",
}

Options = dict[str, str | int | float | bool]
"""What librdkafka is configured with."""


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster and what is ours on it."""

    bootstrap_servers: str
    group_prefix: str = ""
    """What every consumer group's name begins with there."""
    topic_prefix: str = ""
    """What every topic's name begins with there; callers use the names without it."""
    start_at: StartAt = StartAt.EARLIEST
    """Where groups that have not committed begin when they ask for the earliest record."""
    replication_factor: int | None = None
    """Of topics that are created; None: the cluster's default."""
    session_seconds: float = SESSION_SECONDS
    """After so long without a sign of life from its process a member is given up."""
    max_poll_interval_seconds: float = MAX_POLL_INTERVAL_SECONDS
    """After so long without a poll a member gives itself up; also the longest time that a hand-over may take."""
    security: Mapping[str, str] = {}
    """librdkafka's names of security options, and their values."""

    def __repr__(self) -> str:
        return f"KafkaSettings(bootstrap_servers={self.bootstrap_servers!r})"

    @classmethod
    def from_secrets(cls, secrets: SecretsInterface) -> Self:
        """Read the settings `MQ_KAFKA_*`, which are of their declared types. Raises InvalidInput without a server."""
        factor = secrets.get("MQ_KAFKA_REPLICATION_FACTOR")
        return cls(
            bootstrap_servers=secrets.require(SERVERS_SETTING),
            group_prefix=secrets.get_or_default("MQ_KAFKA_GROUP_ID", ""),
            topic_prefix=secrets.get_or_default("MQ_KAFKA_TOPIC_PREFIX", ""),
            start_at=StartAt(secrets.get_or_default("MQ_KAFKA_AUTO_OFFSET_RESET", StartAt.EARLIEST.value)),
            replication_factor=int(factor) if factor else None,
            session_seconds=_seconds(secrets, "MQ_KAFKA_SESSION_TIMEOUT_SECONDS", SESSION_SECONDS),
            max_poll_interval_seconds=_seconds(
                secrets, "MQ_KAFKA_MAX_POLL_INTERVAL_SECONDS", MAX_POLL_INTERVAL_SECONDS
            ),
            security={
                option: value for name, option in _SECURITY_OPTIONS.items() if (value := secrets.get(name)) is not None
            },
        )

    def topic_there(self, topic: str) -> str:
        """Return a topic's name on the cluster."""
        return self.topic_prefix + topic

    def topic_here(self, name: str) -> str:
        """Return the name by which callers know a topic of the cluster."""
        return name.removeprefix(self.topic_prefix)

    def group_there(self, group: str) -> str:
        """Return a consumer group's name on the cluster."""
        return self.group_prefix + group

    def connection(self) -> Options:
        """Return what every client of the cluster is configured with."""
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "socket.timeout.ms": _SOCKET_TIMEOUT_MS,
            "socket.keepalive.enable": True,
            "reconnect.backoff.max.ms": _MAX_RECONNECT_BACKOFF_MS,
            **self.security,
        }

    def membership(self, group: str) -> Options:
        """Return what a member of a group is configured with.

        The `range` assignor gives partition p of all topics to one member, as long as all members subscribe
        to the same topics and these have the same number of partitions.
        """
        session_ms = round(self.session_seconds * 1000)
        return {
            **self.connection(),
            "group.id": self.group_there(group),
            "partition.assignment.strategy": "range",
            "session.timeout.ms": session_ms,
            "heartbeat.interval.ms": min(session_ms // _HEARTBEATS_PER_SESSION, _MAX_HEARTBEAT_MS),
            "max.poll.interval.ms": max(round(self.max_poll_interval_seconds * 1000), session_ms),
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "allow.auto.create.topics": False,
            "queued.max.messages.kbytes": 32_768,
            "fetch.wait.max.ms": 100,
            "fetch.queue.backoff.ms": 10,
            "fetch.error.backoff.ms": 100,
        }


def _seconds(secrets: SecretsInterface, name: str, default: float) -> float:
    return float(secrets.get_or_default(name, str(default)))

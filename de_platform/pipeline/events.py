"""The vocabulary of events: types, methods, field names, header names, reserved words."""

import re
from enum import StrEnum

import msgspec


class EventType(StrEnum):
    """What a client sends."""

    ORDER = "order"
    EXECUTION = "execution"
    TRANSACTION = "transaction"

    @property
    def plural(self) -> str:
        """The name of its table, its endpoint and its command-line word."""
        return f"{self.value}s"


class IngestionMethod(StrEnum):
    """By which door an event came in; also `source` of the ledger."""

    REST = "rest"
    KAFKA = "kafka"
    FILE = "file"


PLATFORM_TENANT = "platform"
"""Reserved: the operators' own tenant; no event may carry it."""

TENANT_ID_PATTERN = re.compile(r"[A-Za-z0-9._-]{1,64}")

STAMPED_FIELDS = ("message_id", "ingested_at", "event_type", "ingestion_method", "submission_id", "replayed_at")
"""Added by a starter (`replayed_at` by `errors replay`)."""

ADDED_FIELDS = (
    "normalized_at",
    "primary_key",
    "notional",
    "notional_usd",
    "amount_usd",
    "usd_rate",
    "usd_rate_on",
)
"""Added by the normaliser."""

RESERVED_FIELDS = frozenset((*STAMPED_FIELDS, *ADDED_FIELDS, "origin", "transact_date"))
"""A client's event that carries one of these is invalid."""


class Header:
    """Names of message headers: routing facts, so that counting and routing decode no body."""

    TENANT_ID = "tenant_id"
    EVENT_TYPE = "event_type"
    INGESTION_METHOD = "ingestion_method"
    INGESTED_AT = "ingested_at"
    MESSAGE_ID = "message_id"
    ORIGIN = "origin"
    CHECKED = "checked"
    """On normalisation topics: by which rules a starter has checked the event (`glance.RULES`), "" if it is unusual."""


class Origin(msgspec.Struct, frozen=True, order=True):
    """The input record that an output was made from; rides in the `origin` header as `topic:partition:offset`."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "Origin":
        """Read what `str()` wrote. Raises ValueError."""
        topic, partition, offset = text.rsplit(":", 2)
        return cls(topic, int(partition), int(offset))

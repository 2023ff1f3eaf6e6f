"""Sends batches of events to rest_starter, as any client would, over one connection."""

import asyncio
import http.client
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.pipeline.events import EventType

_TIMEOUT_SECONDS = 30.0
_BUSY = (408, 429, 500, 502, 503, 504, 507)


class EventBatch(NamedTuple):
    """Events of one tenant and type, under a key that makes sending them again harmless."""

    key: str
    tenant_id: str
    event_type: EventType
    bodies: Sequence[bytes]


class Receipt(msgspec.Struct, frozen=True):
    """What the intake says about a batch."""

    accepted: int
    rejected: int


class EventSink(ABC):
    """Where a feed sends its events."""

    @abstractmethod
    async def send(self, batch: EventBatch) -> Receipt:
        """Return the receipt once the batch is durable. Raises Unavailable; sending it again is harmless.

        Raises InvalidInput when the batch as a whole is refused.
        """

    @abstractmethod
    async def close(self) -> None:
        """Release what was opened. Idempotent."""


class IntakeClient(EventSink):
    """Speaks HTTP. Not safe for concurrent use."""

    def __init__(self, url: str) -> None:
        """Raises InvalidInput for anything but an `http://` URL."""
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise InvalidInput.single("--target-url", f"must be like http://127.0.0.1:8001, was {url!r}")
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=_TIMEOUT_SECONDS)
        self._base = parts.path.rstrip("/")

    async def send(self, batch: EventBatch) -> Receipt:
        return await asyncio.to_thread(self._post, batch)

    async def close(self) -> None:
        await asyncio.to_thread(self._connection.close)

    def _post(self, batch: EventBatch) -> Receipt:
        path = f"{self._base}/api/v1/{batch.event_type.plural}?tenant_id={quote(batch.tenant_id)}"
        headers = {"Content-Type": "application/json", "Idempotency-Key": batch.key}
        body = b'{"events":[' + b",".join(batch.bodies) + b"]}"
        try:
            self._connection.request("POST", path, body, headers)
            response = self._connection.getresponse()
            status, answer = response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Unavailable("rest_starter", repr(error)) from error
        if status in _BUSY:
            raise Unavailable("rest_starter", f"answered {status}")
        if status != http.client.OK:
            raise InvalidInput.single("", f"the intake answered {status}: {answer[:500].decode(errors='replace')}")
        return msgspec.json.decode(answer, type=Receipt)

"""What makes a repeated request harmless.

The submission id is a function of the Idempotency-Key and of the body. So the same request again gives the same
message ids, and whatever got through the first time is dropped further on as a redelivery; that needs no memory and
holds for ever. The same key with another body gives other ids: nothing is lost if it goes unnoticed. That it is
noticed, and refused, is a courtesy for a day, kept in the cache.
"""

import re
from hashlib import blake2b

from de_platform.http.problems import HttpError
from de_platform.pipeline.errors import FieldError, Unavailable
from de_platform.pipeline.events import EventType
from de_platform.pipeline.ids import digest
from de_platform.pipeline.tenancy import TenantScope
from de_platform.services.cache.interface import CacheInterface
from de_platform.services.logger.interface import LoggingInterface

HEADER = "idempotency-key"
REMEMBERED_SECONDS = 24 * 3600.0
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def checked_key(key: str) -> str:
    """Return a key. Raises HttpError 400 unless it is 1 to 255 visible ASCII characters."""
    if not _KEY.fullmatch(key):
        message = "must be 1 to 255 visible ASCII characters, a UUID for example"
        raise HttpError(400, f"Idempotency-Key {message}", errors=[FieldError("Idempotency-Key", message)])
    return key


class KeyedBody:
    """One body under one key of one door."""

    def __init__(self, key: str, body: bytes, *, scope: TenantScope, event_type: EventType) -> None:
        self._body_digest = blake2b(body, digest_size=16).hexdigest()
        self.submission_id = digest("keyed submission", key, self._body_digest)
        self._cache_key = f"idempotency:{digest(scope.tenant_id or '', event_type.value, key)}"

    async def refuse_other_body(self, cache: CacheInterface, log: LoggingInterface) -> None:
        """Raise HttpError 422 when the key is remembered with another body. Without the cache nothing is refused."""
        try:
            known = await cache.get(self._cache_key)
        except Unavailable as error:
            log.warn("idempotency key not checked", error=str(error))
            return
        if known is not None and known != self._body_digest:
            message = "was used with another body; use a new key for a new request"
            raise HttpError(422, f"Idempotency-Key {message}", errors=[FieldError("Idempotency-Key", message)])

    async def remember(self, cache: CacheInterface, log: LoggingInterface) -> None:
        """Note the body of the key."""
        try:
            await cache.set(self._cache_key, self._body_digest, ttl_seconds=REMEMBERED_SECONDS)
        except Unavailable as error:
            log.warn("idempotency key not remembered", error=str(error))

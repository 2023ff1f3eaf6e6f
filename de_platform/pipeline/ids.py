"""Identities that survive a replay: pure functions of what they name."""

import hashlib

from de_platform.pipeline.events import EventType, IngestionMethod

_DIGEST_BYTES = 16


def digest(*parts: str) -> str:
    """Return 32 hex digits that name a tuple of strings; parts are length-delimited, so that no two tuples meet."""
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    delimited = b"".join([piece for part in encoded for piece in (len(part).to_bytes(8, "big"), part)])
    return hashlib.blake2b(delimited, digest_size=_DIGEST_BYTES).hexdigest()


def message_stem(tenant_id: str, method: IngestionMethod, event_type: EventType, submission_id: str) -> str:
    """Return what all message ids of a submission begin with.

    The source is the door and the event type: one idempotency key may be used on two endpoints.
    """
    return digest("message", tenant_id, method.value, event_type.value, submission_id)


def message_id(stem: str, position: int) -> str:
    """Name the event at a position (line, index, offset) of the submission that `message_stem` named."""
    return f"{stem}.{position}"


def receipt_id(
    tenant_id: str, method: IngestionMethod, event_type: EventType, submission_id: str, first_position: int
) -> str:
    """Name the receipt for the part of a submission that begins at a position."""
    return digest("receipt", tenant_id, method.value, event_type.value, submission_id, str(first_position))

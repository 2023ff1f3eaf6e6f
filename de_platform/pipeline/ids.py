"""Identities that survive a replay: pure functions of what they name."""

import hashlib

from de_platform.pipeline.events import EventType, IngestionMethod

_DIGEST_BYTES = 16


def digest(*parts: str) -> str:
    """Return 32 hex digits that name a tuple of strings; parts are length-delimited, so that no two tuples meet."""
    state = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        state.update(len(encoded).to_bytes(8, "big"))
        state.update(encoded)
    return state.hexdigest()


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

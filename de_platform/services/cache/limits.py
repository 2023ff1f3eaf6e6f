"""What every cache takes: the least that any of them can."""

from de_platform.pipeline.errors import InvalidInput

KEY_LIMIT_BYTES = 1024
CHANNEL_LIMIT_BYTES = 256
MESSAGE_LIMIT_BYTES = 7000


def checked_key(key: str) -> str:
    """Return the key. Raises InvalidInput when it is too long or not storable."""
    return _checked("key", key, KEY_LIMIT_BYTES)


def checked_value(value: str) -> str:
    """Return the value. Raises InvalidInput when it is not storable."""
    return _checked("value", value)


def checked_channel(channel: str) -> str:
    """Return the channel. Raises InvalidInput when it is too long or cannot be sent."""
    return _checked("channel", channel, CHANNEL_LIMIT_BYTES)


def checked_message(message: str) -> str:
    """Return the message. Raises InvalidInput when it is too long or cannot be sent."""
    return _checked("message", message, MESSAGE_LIMIT_BYTES)


def checked_ttl(ttl_seconds: float | None) -> float | None:
    """Return the time to live. Raises InvalidInput unless it is positive."""
    if ttl_seconds is not None and not ttl_seconds > 0:
        raise InvalidInput.single("ttl_seconds", f"must be positive, was {ttl_seconds}")
    return ttl_seconds


def _checked(field: str, text: str, limit_bytes: int | None = None) -> str:
    if "\0" in text:
        raise InvalidInput.single(field, "must not contain the character NUL")
    size = len(text.encode())
    if limit_bytes is not None and size > limit_bytes:
        raise InvalidInput.single(field, f"must have at most {limit_bytes} bytes, had {size}")
    return text

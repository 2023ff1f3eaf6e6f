"""What a cache takes, whichever it is."""

from de_platform.pipeline.errors import InvalidInput

KEY_LIMIT_BYTES = 1_000
CHANNEL_LIMIT_BYTES = 500
MESSAGE_LIMIT_BYTES = 7_000


def check_key(key: str) -> None:
    """Raise InvalidInput for a key that not every cache can hold."""
    _check("key", key, KEY_LIMIT_BYTES)


def check_message(channel: str, message: str) -> None:
    """Raise InvalidInput for a channel or message that not every cache can carry."""
    _check("channel", channel, CHANNEL_LIMIT_BYTES)
    if "\n" in channel:
        raise InvalidInput.single("channel", "must be one line")
    _check("message", message, MESSAGE_LIMIT_BYTES)


def check_value(value: str) -> None:
    """Raise InvalidInput for a value that not every cache can hold."""
    if "\0" in value:
        raise InvalidInput.single("value", "must not contain NUL")


def _check(name: str, text: str, limit_bytes: int) -> None:
    if "\0" in text:
        raise InvalidInput.single(name, "must not contain NUL")
    length = len(text.encode())
    if length > limit_bytes:
        raise InvalidInput.single(name, f"must be at most {limit_bytes} bytes, was {length}")

"""Keep secrets out of whatever is shown: log entries, listings of settings."""

import re
from collections.abc import Iterable
from datetime import date, time
from decimal import Decimal
from pathlib import PurePath
from uuid import UUID

MASK = "***"

_SECRET_NAME = re.compile(
    r"password|passwd|secret|token|authorization|cookie|credential|api_?key|private_?key|access_?key", re.IGNORECASE
)
_URL_USER = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/@\s]+@", re.IGNORECASE)
_SHORTEST_SECRET = 6
"""Shorter values are too likely to be part of an innocent word."""


def is_secret_name(name: str) -> bool:
    """Say whether a field or setting of that name holds a secret."""
    return _SECRET_NAME.search(name) is not None


class Masking:
    """Replaces values of secret fields, known secret values wherever they appear, and user data in URLs."""

    def __init__(self, secret_values: Iterable[str] = ()) -> None:
        long_enough = sorted({v for v in secret_values if len(v) >= _SHORTEST_SECRET}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, long_enough))) if long_enough else None

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        masked = self._known.sub(MASK, text) if self._known else text
        return _URL_USER.sub(rf"\g<scheme>{MASK}@", masked) if "://" in masked else masked

    def field(self, name: str, value: object) -> object:
        """Return a field's value without secrets; values that are no plain data become their masked `repr`."""
        if is_secret_name(name):
            return MASK
        match value:
            case bool() | int() | float() | None:
                return value
            case str():
                return self.text(value)
            case dict():
                return {str(key): self.field(str(key), inner) for key, inner in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self.field("", inner) for inner in value]
            case _:
                return self.text(_spoken(value))


def _spoken(value: object) -> str:
    try:
        return str(value) if isinstance(value, date | time | Decimal | UUID | PurePath) else repr(value)
    except Exception:  # noqa: BLE001 - any object may come by, and a log entry never raises
        return f"<{type(value).__name__}>"

"""Raw input as text for error records: readable, and lossless up to a cap."""

import hashlib
import re

MAX_RECORDED_BYTES = 64 * 1024
"""How much of a raw input an error record keeps."""

ESCAPED_MARK = "escaped bytes: "
"""Begins the text of what is not UTF-8: a backslash is `\\\\` there, a byte that is not UTF-8 is `\\xNN`."""

_CUT_MARK = " [cut: "
_ESCAPE = re.compile(rb"\\(?:\\|x([0-9a-f]{2}))")


def to_text(raw: bytes) -> str:
    """Return raw input as text that `from_text` turns back.

    UTF-8 stays as it is. Above `MAX_RECORDED_BYTES` the text is cut and ends with a note of the whole
    length and digest; then it cannot be turned back.
    """
    if len(raw) <= MAX_RECORDED_BYTES:
        return _escape(raw)
    whole = hashlib.sha256(raw).hexdigest()
    return f"{_escape(_cut(raw))}{_CUT_MARK}{len(raw)} bytes, sha256 {whole}]"


def from_text(text: str) -> bytes:
    """Return the bytes that `to_text` was given, unless they were cut."""
    if not text.startswith(ESCAPED_MARK):
        return text.encode()
    escaped = text.removeprefix(ESCAPED_MARK).encode()
    return _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()) if found[1] else b"\\", escaped)


def _escape(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = ESCAPED_MARK
    if not text.startswith(ESCAPED_MARK):
        return text
    return ESCAPED_MARK + raw.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


def _cut(raw: bytes) -> bytes:
    """Shorten without splitting a character: a continuation byte (10xxxxxx) never comes first after the cut."""
    end = MAX_RECORDED_BYTES
    while end > MAX_RECORDED_BYTES - 4 and raw[end] & 0xC0 == 0x80:
        end -= 1
    return raw[:end]

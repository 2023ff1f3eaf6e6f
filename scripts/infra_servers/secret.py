"""Passwords of the servers: random, made once for a data directory, readable by its owner alone."""

import os
import secrets
from pathlib import Path


def secret(path: Path) -> str:
    """Return the password in this file, which is created with a new one when it is absent."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii")
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(24))
    return path.read_text(encoding="ascii")

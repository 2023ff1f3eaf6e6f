"""Ports that stay free while their server is down: below those which the system gives to outgoing connections."""

import random
import socket
from collections.abc import Container, Iterable, Mapping

HOST = "127.0.0.1"
RANGE = range(20_000, 32_000)
_TRIES = 200


def listener(port: int) -> socket.socket:
    """Listen on this port of loopback. Raises OSError."""
    return socket.create_server((HOST, port))


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port of loopback now."""
    try:
        listener(port).close()
    except OSError:
        return False
    return True


def free_port(taken: Iterable[int] = ()) -> int:
    """Return a free port that is not in `taken`. Raises OSError when hundreds of guesses were all in use."""
    avoid = set(taken)
    for _ in range(_TRIES):
        port = random.choice(RANGE)  # noqa: S311 - nothing to guess
        if port not in avoid and is_free(port):
            return port
    raise OSError(f"no free port on {HOST} between {RANGE.start} and {RANGE.stop}")


def choose(names: Iterable[str], usual: Mapping[str, int], lent: Container[str] = ()) -> dict[str, int]:
    """Give each name its usual port if that is free, so that clients find a restarted server; else another one.

    On a `lent` port somebody else listens on the server's behalf, so it stays what it is.
    """
    chosen: dict[str, int] = {}
    for name in names:
        port = usual.get(name, 0)
        is_kept = port and (name in lent or is_free(port))
        chosen[name] = port if is_kept else free_port((*chosen.values(), *usual.values()))
    return chosen


def accepts(port: int, timeout_seconds: float = 1.0) -> bool:
    """Tell whether somebody accepts connections on this port of loopback."""
    try:
        socket.create_connection((HOST, port), timeout=timeout_seconds).close()
    except OSError:
        return False
    return True

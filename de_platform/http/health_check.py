"""Asks another server of this platform for its health."""

import asyncio
import http.client
from urllib.parse import urlsplit

from de_platform.pipeline.errors import InvalidInput, Unavailable

_MAX_BODY_BYTES = 64 * 1024


async def fetch_health(url: str, *, timeout_seconds: float = 2.0) -> tuple[int, bytes]:
    """Return status and body of a GET without touching proxies or redirects; `/health/ready` where no path is given.

    Raises Unavailable when nobody answers in time, and InvalidInput for anything but an http address.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise InvalidInput.single("DE_PLATFORM_HEALTH_URL", "must be an http:// address")
    path = parts.path if parts.path.strip("/") else "/health/ready"
    return await asyncio.to_thread(_get, parts.hostname, parts.port or 80, path, timeout_seconds)


def _get(host: str, port: int, path: str, timeout_seconds: float) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host, port, timeout=timeout_seconds)
    try:
        connection.request("GET", path, headers={"connection": "close"})
        response = connection.getresponse()
        return response.status, response.read(_MAX_BODY_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable("platform health", repr(error)) from error
    finally:
        connection.close()

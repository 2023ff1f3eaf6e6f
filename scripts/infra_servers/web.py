"""Ask a server on loopback over HTTP whether it is there."""

import http.client
from collections.abc import Mapping

from scripts.infra_servers.ports import HOST


def status(port: int, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None) -> int:
    """Return the status of the answer, 0 when there is none."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request(method, path, headers=dict(headers or {}))
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()

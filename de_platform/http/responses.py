"""What an endpoint answers."""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar.types import Send


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer in memory. Header names are lower case; length and type are added on sending."""

    status: int = 200
    body: bytes = b""
    media_type: str = "application/json"
    headers: Mapping[str, str] = {}

    async def send(self, send: Send) -> None:
        """Send head and body."""
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()]
        if self.status not in {204, 304}:
            headers.append((b"content-type", self.media_type.encode("latin-1")))
            headers.append((b"content-length", b"%d" % len(self.body)))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


def json_response(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with JSON: decimals as strings, instants in RFC 3339 UTC."""
    return Response(status=status, body=msgspec.json.encode(value), headers=headers or {})

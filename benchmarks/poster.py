"""A client that costs little, so that a load generator on the same machine measures the server and not itself."""

import asyncio
from types import TracebackType
from typing import Self

import msgspec


class Answer(msgspec.Struct):
    """What an intake answers, as far as it matters here."""

    accepted: int
    rejected: int


class Poster:
    """One connection that is kept open. Use as an async context manager."""

    def __init__(self, port: int, path: str) -> None:
        self._port = port
        self._head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def post(self, body: bytes, events: int) -> None:
        """Send a batch. Raises AssertionError unless all of its events were accepted."""
        self._writer.write(f"{self._head}content-length: {len(body)}\r\n\r\n".encode() + body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        size = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        text = await self._reader.readexactly(size)
        assert b" 200 " in head.split(b"\r\n")[0], text
        answer = msgspec.json.decode(text, type=Answer)
        assert answer == Answer(events, 0), f"not all events were accepted: {answer}"

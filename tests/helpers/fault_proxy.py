"""A TCP proxy on loopback whose faults can be switched while connections are open."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

HOST = "127.0.0.1"
_CHUNK_BYTES = 65_536
_SWITCH_TIMEOUT_SECONDS = 10.0
_NO_LINGERING = struct.pack("ii", 1, 0)


class FaultProxy:
    """Forwards `port` to `target_port`, from `with` on; runs in a thread, so tests of any kind can use it.

    Each switch has taken effect when it returns. Faults do not add up: the last one counts, `heal` ends it.
    """

    def __init__(self, target_port: int, port: int = 0) -> None:
        """`port` 0 takes a free one; a fixed one must be free."""
        self.port = port
        self._target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._listener: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._delay_seconds = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._pass(0.0))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._cut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def heal(self) -> None:
        """Forward everything at once; what a freeze held back goes first."""
        self._do(self._pass(0.0))

    def delay(self, seconds: float) -> None:
        """Forward each piece, in each direction, this much later."""
        self._do(self._pass(seconds))

    def freeze(self) -> None:
        """Accept connections and data, and forward nothing: a network that drops packets, a machine that hangs."""
        self._do(self._freeze())

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        self._do(self._cut())

    @property
    def open_connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    def _do(self, switch: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(switch, self._loop).result(_SWITCH_TIMEOUT_SECONDS)

    async def _pass(self, delay_seconds: float) -> None:
        await self._listen()
        self._delay_seconds = delay_seconds
        self._flowing.set()

    async def _freeze(self) -> None:
        await self._listen()
        self._flowing.clear()

    async def _cut(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        connections = tuple(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accept, HOST, self.port, limit=_CHUNK_BYTES)
            self.port = self._listener.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "the server runs this in a task"
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except asyncio.CancelledError:
            _reset(writer)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward both ways until both sides are done or one is gone; the target is called once data may flow."""
        await self._flowing.wait()
        try:
            target_reader, target_writer = await asyncio.open_connection(HOST, self._target_port)
        except OSError:
            _reset(writer)
            return
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._forward(reader, target_writer))
                group.create_task(self._forward(target_reader, writer))
        except* OSError:
            _reset(writer)
        finally:
            _reset(target_writer)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK_BYTES):
            if self._delay_seconds:
                await asyncio.sleep(self._delay_seconds)
            await self._flowing.wait()
            writer.write(chunk)
            await writer.drain()
        await self._flowing.wait()
        with contextlib.suppress(OSError):
            writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection so that the other side gets an error, not an orderly end. Idempotent."""
    connection = writer.get_extra_info("socket")
    if not writer.transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
    writer.transport.abort()

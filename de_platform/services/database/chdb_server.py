"""Serves the ClickHouse engine of this process as ClickHouse's HTTP protocol, on loopback and behind a secret.

What clickhouse-connect and curl need is there: queries with bound parameters, settings and formats, inserts with
data in any format, compressed or not, error codes in headers, `/ping`. Not there: sessions, roles, quotas,
replication, external tables, progress headers, cancelling by closing the connection.

An acknowledged insert survives the death of this process in any case; the loss of power only in tables with
`fsync_after_insert` and `fsync_part_directory` (and, because merged parts replace inserted ones,
`min_rows_to_fsync_after_merge`), which all of ours have.
"""

import asyncio
import base64
import binascii
import contextlib
import json
import secrets
import socket
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from de_platform.pipeline.errors import Unavailable
from de_platform.services.database.interface import DatabaseError
from de_platform.services.database.store_engine import THREADS, StoreAnswer, StoreEngine
from de_platform.services.database.store_request import MAX_BODY_BYTES, packed, parse_request, too_large

HOST = "127.0.0.1"
USER = "default"
FINISH_TIMEOUT_SECONDS = 30
_KEEP_ALIVE_SECONDS = 75
_MAX_CONNECTIONS = 256
_PACKED_FROM_BYTES = 1024

_AUTHENTICATION_FAILED = "516"
_NOT_NOW = "202"
_STATUS_OF_CODE = {"60": 404, "81": 404, _AUTHENTICATION_FAILED: 403, "131": 413, "36": 400, "62": 400, _NOT_NOW: 503}


class StoreServer:
    """One engine on one port. Between `start` and `stop` no other process can open the path."""

    def __init__(self, path: Path, secret: str, port: int = 0, *, threads: int = THREADS) -> None:
        """`secret` is the password of the user `default`; port 0 takes a free one."""
        self._engine = StoreEngine(path, threads=threads)
        self._secret = secret
        self._port = port
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; with port 0 known only after `start`."""
        return self._port

    async def start(self) -> int:
        """Open the engine, then listen; returns the port when requests are answered.

        Raises Unavailable when another process has the path, OSError for a port that cannot be had.
        """
        await self._engine.open()
        try:
            listener = listen(self._port)
        except OSError:
            await self._engine.close()
            raise
        self._port = listener.getsockname()[1]
        self._server = _Server(_config(self._answer))
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        await self._server.accepting.wait()
        return self._port

    async def stop(self) -> None:
        """Stop listening, let running statements finish, then close the engine. Idempotent."""
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
            self._server = None
        await self._engine.close()

    async def _answer(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        assert scope["type"] == "http", "neither lifespan nor websockets are switched on"
        if scope["path"] == "/ping":
            await _respond(send, 200, b"Ok.\n", {})
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query_id = ""
        try:
            self._authenticate(headers)
            request = parse_request(scope["query_string"], headers, await _read_body(receive, headers))
            query_id = request.query_id
            answer = await self._engine.run(request)
        except DatabaseError as error:
            await _refuse(send, error.code or "0", str(error), query_id)
        except Unavailable as error:
            await _refuse(send, _NOT_NOW, str(error), query_id)
        else:
            await _respond(send, 200, *_packed(answer, query_id, accepts_gzip=request.accepts_gzip))

    def _authenticate(self, headers: Mapping[str, str]) -> None:
        user, secret = _credentials(headers)
        if user != USER or not secrets.compare_digest(secret.encode(), self._secret.encode()):
            raise DatabaseError("Authentication failed: password is incorrect", code=_AUTHENTICATION_FAILED)


def listen(port: int) -> socket.socket:
    """Listen on loopback. Raises OSError.

    Accepted connections inherit that they send at once; asyncio sets it only on sockets that name their protocol, and
    without it every answer waits 40 milliseconds.
    """
    listener = socket.create_server((HOST, port), backlog=_MAX_CONNECTIONS)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _credentials(headers: Mapping[str, str]) -> tuple[str, str]:
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return user, secret
    return headers.get("x-clickhouse-user", USER), headers.get("x-clickhouse-key", "")


async def _read_body(receive: ASGIReceiveCallable, headers: Mapping[str, str]) -> bytes:
    """Read a body up to the limit. Raises DatabaseError, before reading when its length is announced."""
    announced = headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > MAX_BODY_BYTES:
        raise too_large()
    chunks: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise DatabaseError("the client went away", code=_NOT_NOW)
        chunks.append(message["body"])
        length += len(chunks[-1])
        if length > MAX_BODY_BYTES:
            raise too_large()
        if not message["more_body"]:
            return b"".join(chunks)


def _packed(answer: StoreAnswer, query_id: str, *, accepts_gzip: bool) -> tuple[bytes, dict[str, str]]:
    summary = {
        "read_rows": str(answer.read_rows),
        "written_rows": str(answer.written_rows),
        "elapsed_ns": str(answer.elapsed_nanoseconds),
    }
    headers = {
        "X-ClickHouse-Format": answer.result_format,
        "X-ClickHouse-Query-Id": query_id,
        "X-ClickHouse-Summary": json.dumps(summary),
    }
    if accepts_gzip and len(answer.body) >= _PACKED_FROM_BYTES:
        return packed(answer.body), {**headers, "Content-Encoding": "gzip"}
    return answer.body, headers


async def _refuse(send: ASGISendCallable, code: str, message: str, query_id: str) -> None:
    text = message if message.startswith("Code: ") else f"Code: {code}. DB::Exception: {message}"
    headers = {"X-ClickHouse-Exception-Code": code, "X-ClickHouse-Query-Id": query_id}
    await _respond(send, _STATUS_OF_CODE.get(code, 500), f"{text}\n".encode(), headers)


async def _respond(send: ASGISendCallable, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    every = {
        "Content-Type": "text/plain; charset=UTF-8",
        "Content-Length": str(len(body)),
        "X-ClickHouse-Timezone": "UTC",
        **headers,
    }
    raw = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in every.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw, "trailers": False})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _config(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        interface="asgi3",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=FINISH_TIMEOUT_SECONDS,
    )


class _Server(uvicorn.Server):
    """Says when it accepts, and leaves signals to the process."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepting = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.accepting.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

"""Serves an application on a port, inside the event loop that is already running."""

import asyncio
import contextlib
import socket
from collections.abc import Generator

import uvicorn
from litestar.types import ASGIApp

from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.services.lifecycle import LifecycleManager

BIND_HOST = "DE_PLATFORM_BIND_HOST"
"""Setting: the address to listen on."""
DEFAULT_BIND_HOST = "127.0.0.1"
FINISH_TIMEOUT_SECONDS = 20
KEEP_ALIVE_SECONDS = 30
_BACKLOG = 2048


class HttpServer:
    """One listening port. Leaves signals to the process."""

    def __init__(
        self, app: ASGIApp, host: str, port: int, *, finish_timeout_seconds: int = FINISH_TIMEOUT_SECONDS
    ) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._finish_timeout_seconds = finish_timeout_seconds
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; with port 0 known only after `start`."""
        return self._port

    @property
    def url(self) -> str:
        """Base address, without a slash at the end."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    async def start(self) -> None:
        """Listen and accept; returns when requests are answered. Raises InvalidInput for a port that cannot be had."""
        listener = self._listen()
        self._port = listener.getsockname()[1]
        self._server = _Server(self._config())
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        accepting = asyncio.create_task(self._server.accepting.wait())
        await asyncio.wait({self._serving, accepting}, return_when=asyncio.FIRST_COMPLETED)
        accepting.cancel()
        if self._serving.done():
            self._serving.result()

    async def stop(self) -> None:
        """Stop accepting, let running requests finish within the timeout, then close. Idempotent."""
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        await self._serving
        self._server = None

    async def serve(self, lifecycle: LifecycleManager) -> None:
        """Wait until shutdown is requested, then stop. Raises what breaks the server before that."""
        assert self._serving is not None, "start comes first"
        stopping = asyncio.create_task(lifecycle.wait_for_shutdown())
        try:
            await asyncio.wait({self._serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            await self.stop()

    def check_running(self) -> None:
        """Return when requests are being answered. Raises Unavailable."""
        if self._serving is None or self._serving.done():
            raise Unavailable(self.url, "does not listen")

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listener.bind((self._host, self._port))
            listener.listen(_BACKLOG)
            listener.setblocking(False)  # noqa: FBT003 - the socket's own signature
        except (OSError, OverflowError) as error:
            listener.close()
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise InvalidInput.single("port", f"cannot listen on {self._host}:{self._port}: {reason}") from error
        return listener

    def _config(self) -> uvicorn.Config:
        return uvicorn.Config(
            self._app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=self._finish_timeout_seconds,
        )


class _Server(uvicorn.Server):
    """Says when it accepts, and does not touch signal handlers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepting = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.accepting.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

"""One process of the embedded platform as its supervisor sees it."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence

import msgspec

from de_platform.cli.exit_codes import ExitCode
from de_platform.pipeline.errors import Unavailable

_PROBE_TIMEOUT_SECONDS = 2.0
_LAST_WORDS_SECONDS = 0.2
"""How long a dead process's output is read on: a process of its own may still hold the pipe open."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The line that a process writes to its standard output once it serves its health."""

    health_port: int
    environment: dict[str, str] = {}
    """What the processes after it need to reach what it serves."""


class ChildSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A process to keep running."""

    name: str
    command: Sequence[str]


def send_report(report: Report) -> None:
    """Tell the supervisor, from inside a process that it started."""
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    sys.stdout.flush()


class Child:
    """Spawned anew as often as needed. Its standard input is the pipe whose end tells it that we are gone."""

    def __init__(self, spec: ChildSpec) -> None:
        self.name = spec.name
        self._command = spec.command
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self.report: Report | None = None
        self.reported = asyncio.Event()
        self.gone = asyncio.Event()
        """Set from the end of one process to the start of the next."""
        self.last_code: int = ExitCode.OK
        """How it ended last; negative for a signal."""

    @property
    def is_running(self) -> bool:
        """True between spawn and end."""
        return self._process is not None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process else None

    async def spawn(self, environment: Mapping[str, str]) -> None:
        """Start the process, in a session of its own so that the terminal's Ctrl-C reaches only us.

        It waits for `send_environment` before it does anything that others can see.
        """
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=dict(environment),
            start_new_session=True,
        )
        self.gone.clear()
        self._reading = asyncio.create_task(self._read(self._process))

    def send_environment(self, environment: Mapping[str, str]) -> None:
        """Hand over what was not known at the spawn."""
        assert self._process is not None, "it was spawned"
        assert self._process.stdin is not None, "it is a pipe"
        self._process.stdin.write(msgspec.json.encode(environment) + b"\n")

    async def ended(self) -> int:
        """Wait for the end of the process. Returns its exit code, negative for a signal."""
        assert self._process is not None, "it was spawned"
        assert self._reading is not None, "it was spawned"
        code = await self._process.wait()
        await asyncio.wait({self._reading}, timeout=_LAST_WORDS_SECONDS)
        self._reading.cancel()
        self._process, self.report = None, None
        self.reported.clear()
        self.gone.set()
        self.last_code = code
        return code

    def terminate(self) -> None:
        """Ask it to stop in order."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)

    async def get(self, path: str) -> tuple[int, bytes]:
        """Ask its health server. Returns status and body. Raises Unavailable."""
        if self.report is None:
            raise Unavailable(self.name, "is starting" if self.is_running else "is not running")
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_SECONDS):
                return await _http_get(self.report.health_port, path)
        except (OSError, TimeoutError, ValueError) as error:
            raise Unavailable(self.name, f"its health server does not answer: {error!r}") from error

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            os.kill(self._process.pid, number)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None, "it is a pipe"
        async for line in process.stdout:
            try:
                self.report = msgspec.json.decode(line, type=Report)
            except msgspec.MsgspecError:
                sys.stderr.write(line.decode(errors="replace"))
            else:
                self.reported.set()


async def _http_get(port: int, path: str) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1]), body
    except IndexError as error:
        raise ValueError("an answer without a status") from error
    finally:
        writer.close()

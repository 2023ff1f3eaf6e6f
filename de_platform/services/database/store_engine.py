"""Runs statements on the ClickHouse engine of this process, several at a time, each thread on a handle of its own."""

import asyncio
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import chdb
import msgspec

from de_platform.pipeline.errors import Unavailable
from de_platform.services.database.interface import DatabaseError
from de_platform.services.database.store_request import Insert, StoreRequest

THREADS = 8
_DEFAULT_DATABASE = "default"
_BODIES_DIRECTORY = "de_platform_bodies"
_CODE = re.compile(r"Code: (\d+)")
_UNKNOWN_ERROR = "1002"
_CHANGES_HANDLE = re.compile(r"\s*(?:USE|SET)\b", re.IGNORECASE)


class StoreAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The result as bytes in the format asked for, with what it took."""

    body: bytes
    result_format: str
    read_rows: int
    written_rows: int
    elapsed_nanoseconds: int


class StoreEngine:
    """The engine on one path, which no other process may open meanwhile."""

    def __init__(self, path: Path, *, threads: int = THREADS) -> None:
        self._path = path
        self._threads = threads
        self._executor: ThreadPoolExecutor | None = None
        self._of_thread = threading.local()
        self._handles: list[_Handle] = []

    async def open(self) -> None:
        """Open the path. Raises Unavailable, for one when another process has it."""
        self._path.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._bodies, ignore_errors=True)
        self._bodies.mkdir()
        self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix="store")
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._handle)
        except RuntimeError as error:
            await self.close()
            raise Unavailable("clickhouse", f"{self._path} cannot be opened: {error}") from error

    async def close(self) -> None:
        """Wait for running statements, then let go of the path. Idempotent."""
        executor, self._executor = self._executor, None
        if executor is not None:
            await asyncio.to_thread(executor.shutdown, wait=True)
        while self._handles:
            self._handles.pop().close()

    async def run(self, request: StoreRequest) -> StoreAnswer:
        """Run a statement; an INSERT is on disk when this returns. Raises DatabaseError, Unavailable."""
        if self._executor is None:
            raise Unavailable("clickhouse", "the store is not open")
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._run, request)

    @property
    def _bodies(self) -> Path:
        return self._path / _BODIES_DIRECTORY

    def _handle(self) -> "_Handle":
        handle: _Handle | None = getattr(self._of_thread, "handle", None)
        if handle is None or handle.is_spoilt:
            if handle is not None:
                self._handles.remove(handle)
                handle.close()
            handle = self._of_thread.handle = _Handle(self._path)
            self._handles.append(handle)
        return handle

    def _run(self, request: StoreRequest) -> StoreAnswer:
        began = time.perf_counter_ns()
        handle = self._handle()
        with handle.prepared(request.database or _DEFAULT_DATABASE, request.settings):
            if _CHANGES_HANDLE.match(request.statement):
                handle.is_spoilt = True
            if request.insert is None:
                result = handle.query(request.statement, request.result_format, request.parameters)
                written = 0
            else:
                result = self._insert(handle, request.insert)
                written = int(result.rows_read())
        return StoreAnswer(
            body=result.bytes() or b"",
            result_format=request.result_format,
            read_rows=int(result.rows_read()),
            written_rows=written,
            elapsed_nanoseconds=time.perf_counter_ns() - began,
        )

    def _insert(self, handle: "_Handle", insert: Insert) -> Any:
        """Insert from a file, which costs half of what the engine's own streaming insert does."""
        with tempfile.NamedTemporaryFile(dir=self._bodies) as file:
            file.write(insert.data)
            file.flush()
            statement = f"{insert.target} FROM INFILE {_quoted(file.name)} {insert.settings} FORMAT {insert.format}"
            return handle.query(statement)


class _Handle:
    """A connection to the engine, used by one thread."""

    def __init__(self, path: Path) -> None:
        self._connection = chdb.connect(str(path))
        self.is_spoilt = False
        """True when its settings may differ from the engine's, so that it must not be used again."""

    @contextmanager
    def prepared(self, database: str, settings: Mapping[str, str]) -> Generator[None]:
        """Apply a request's database and settings, and take the settings back afterwards."""
        self.query(f"USE `{database.replace('`', '``')}`")
        if not settings:
            yield
            return
        self.is_spoilt = True
        self._set({name: _quoted(value) for name, value in settings.items()})
        try:
            yield
        finally:
            with suppress(DatabaseError):  # then it stays spoilt
                self._set(dict.fromkeys(settings, "DEFAULT"))
                self.is_spoilt = False

    def query(
        self, statement: str, result_format: str = "TabSeparated", parameters: Mapping[str, str] | None = None
    ) -> Any:
        try:
            return self._connection.query(statement, result_format, params=dict(parameters or {}))
        except RuntimeError as error:
            message = str(error)
            code = _CODE.search(message)
            raise DatabaseError(message, code=code.group(1) if code else _UNKNOWN_ERROR) from error

    def close(self) -> None:
        self._connection.close()

    def _set(self, values: Mapping[str, str]) -> None:
        self.query("SET " + ", ".join(f"{name} = {value}" for name, value in values.items()))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"

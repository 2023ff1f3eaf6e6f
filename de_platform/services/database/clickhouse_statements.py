"""Statements on the ClickHouse engine, whether it is a server or in this process."""

import asyncio
import threading
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec
from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.summary import QuerySummary

from de_platform.pipeline.errors import Unavailable
from de_platform.services.database.clickhouse_errors import DEPENDENCY, UNKNOWN_DATABASE, clickhouse_errors
from de_platform.services.database.interface import AnalyticalDatabase, DatabaseError, Row
from de_platform.services.database.migration_template import on_cluster

T = TypeVar("T")

THREADS = 4
HEALTH_TIMEOUT_SECONDS = 1.5
"""Shorter than whoever asks waits, so that the answer says what is wrong."""
DEFAULT_DATABASE = "default"
"""Every server has it."""

INSERT_SETTINGS: Mapping[str, int | str] = {
    "async_insert": 0,
    "date_time_input_format": "best_effort",
    "input_format_json_read_arrays_as_strings": 1,
    "input_format_json_read_bools_as_strings": 1,
    "input_format_json_read_numbers_as_strings": 1,
    "input_format_json_read_objects_as_strings": 1,
    "input_format_parallel_parsing": 0,
    "input_format_skip_unknown_fields": 1,
    "max_insert_block_size": 1_000_000_000,
    "min_insert_block_size_bytes": 0,
    "max_partitions_per_insert_block": 0,
}
"""All rows of an insert are parsed before the first is written, so that one that does not fit refuses them all;
and events of a hundred months in one batch are no reason to refuse it."""


class ClickHouseStatements(AnalyticalDatabase):
    """Everything of an analytical database but how a client is opened: one for each of a few threads.

    Connects on first use, or by `connect`; after `disconnect` only `connect` opens it again.
    """

    def __init__(self, database: str, *, threads: int = THREADS) -> None:
        self._database = database
        self._threads = threads
        self._executor: ThreadPoolExecutor | None = None
        self._clients: list[Client] = []
        self._of_thread = threading.local()
        self._opening = asyncio.Lock()
        self._question: asyncio.Task[object] | None = None
        self._is_closed = False

    @abstractmethod
    def _open_client(self, database: str) -> Client:
        """Open a client whose default database is `database`; called on the thread that will use it."""

    @property
    def is_connected(self) -> bool:
        return self._executor is not None

    async def connect(self) -> None:
        self._is_closed = False
        await self._open()

    async def disconnect(self) -> None:
        self._is_closed = True
        async with self._opening:
            executor, self._executor = self._executor, None
        if executor is not None:
            await asyncio.to_thread(self._close, executor)

    async def health_check(self) -> None:
        """Wait for the question that is open, if one is, so that a server which is silent holds one thread only."""
        if self._question is None or self._question.done():
            self._question = asyncio.create_task(self._on_thread(lambda client: client.command("SELECT 1")))
            self._question.add_done_callback(_heard)
        done, _ = await asyncio.wait({self._question}, timeout=HEALTH_TIMEOUT_SECONDS)
        if not done:
            raise Unavailable(DEPENDENCY, f"no answer within {HEALTH_TIMEOUT_SECONDS:g} s")
        await self._question

    async def execute(self, statement: str, params: Mapping[str, Any] | None = None) -> int:
        def run(client: Client) -> int:
            summary = client.command(statement, parameters=_bound(params))
            return summary.written_rows if isinstance(summary, QuerySummary) else 0

        return await self._on_thread(run)

    async def fetch_one(self, query: str, params: Mapping[str, Any] | None = None) -> Row | None:
        rows = await self.fetch_all(query, params)
        return rows[0] if rows else None

    async def fetch_all(self, query: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        return await self._on_thread(
            lambda client: list(client.query(query, parameters=_bound(params)).named_results())
        )

    async def fetch_arrow(self, query: str, params: Mapping[str, Any] | None = None) -> Any:
        def run(client: Client) -> Any:
            return client.query_arrow(query, parameters=_bound(params))

        return await self._on_thread(run)

    async def insert_one(self, table: str, row: Mapping[str, Any]) -> None:
        await self.bulk_insert(table, [row])

    async def bulk_insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> int:
        await self._insert(table, msgspec.json.Encoder().encode_lines(rows), {"input_format_skip_unknown_fields": 0})
        return len(rows)

    async def insert_json_rows(self, table: str, rows: Sequence[bytes]) -> None:
        await self._insert(table, b"\n".join(rows), {})

    async def _insert(self, table: str, body: bytes, settings: Mapping[str, int | str]) -> None:
        if not body:
            return
        name = ".".join(quote_identifier(part) for part in table.split("."))
        combined = {**INSERT_SETTINGS, **settings}
        await self._on_thread(
            lambda client: client.raw_insert(name, insert_block=body, settings=combined, fmt="JSONEachRow")
        )

    async def _on_thread(self, work: Callable[[Client], T]) -> T:
        executor = self._executor or await self._open()
        return await asyncio.get_running_loop().run_in_executor(executor, self._with_client, work)

    def _with_client(self, work: Callable[[Client], T]) -> T:
        with clickhouse_errors():
            client: Client | None = getattr(self._of_thread, "client", None)
            if client is None:
                client = self._of_thread.client = self._open_client(self._database)
                self._clients.append(client)
            return work(client)

    async def _open(self) -> ThreadPoolExecutor:
        async with self._opening:
            if self._executor is not None:
                return self._executor
            if self._is_closed:
                raise Unavailable(DEPENDENCY, "this process has disconnected from it")
            self._of_thread = threading.local()
            executor = ThreadPoolExecutor(self._threads, thread_name_prefix="clickhouse")
            try:
                await asyncio.get_running_loop().run_in_executor(executor, self._ensure_database)
            except BaseException:
                executor.shutdown(wait=False)
                raise
            self._executor = executor
            return executor

    def _ensure_database(self) -> None:
        try:
            self._with_client(lambda client: client.command("SELECT 1"))
        except DatabaseError as error:
            if error.code != UNKNOWN_DATABASE:
                raise
            with clickhouse_errors():
                client = self._open_client(DEFAULT_DATABASE)
                try:
                    name = quote_identifier(self._database)
                    client.command(f"CREATE DATABASE IF NOT EXISTS {name}{on_cluster(self.cluster)}")
                finally:
                    client.close()
            self._with_client(lambda client: client.command("SELECT 1"))

    def _close(self, executor: ThreadPoolExecutor) -> None:
        """Wait for running statements, then close."""
        executor.shutdown(wait=True, cancel_futures=True)
        clients, self._clients = self._clients, []
        for client in clients:
            client.close()


def _bound(params: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return dict(params) if params else None


def _heard(question: asyncio.Task[object]) -> None:
    """Take note of an answer that came too late for whoever asked."""
    if not question.cancelled():
        question.exception()

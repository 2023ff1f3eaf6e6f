"""The store as a process of its own, killed at any moment."""

import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from de_platform.services.database.clickhouse import ClickHouseDatabase
from de_platform.services.database.migrations import MigrationRunner
from de_platform.services.database.settings import ClickHouseSettings

SERVE = """
import asyncio, pathlib, sys
from de_platform.services.database.chdb_server import StoreServer

async def serve():
    server = StoreServer(pathlib.Path(sys.argv[1]), "a secret")
    print(await server.start(), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop()

asyncio.run(serve())
"""


class Store:
    """Starts and kills the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> ClickHouseSettings:
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-c", SERVE, str(self._path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        return ClickHouseSettings(port=int(self._process.stdout.readline()), password="a secret")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.communicate()

    def stop(self) -> int:
        assert self._process is not None
        self._process.communicate(timeout=20)
        return self._process.returncode


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    store = Store(tmp_path / "store")
    yield store
    store.kill()


def order(number: int) -> bytes:
    return b'{"id": "%d", "tenant_id": "acme", "transact_time": "2026-01-02T03:04:05Z", "quantity": 1}' % number


async def test_acknowledged_rows_survive_a_kill_and_their_bodies_do_not(store: Store, tmp_path: Path) -> None:
    database = ClickHouseDatabase(store.start())
    await MigrationRunner(database, "events").apply()
    for batch in range(5):
        await database.insert_json_rows("orders", [order(batch * 100 + number) for number in range(100)])
    store.kill()
    (tmp_path / "store/de_platform_bodies/left").write_bytes(b"by an insert that was under way")
    await database.disconnect()
    database = ClickHouseDatabase(store.start())
    assert await database.fetch_one("SELECT count() AS n FROM orders") == {"n": 500}
    assert list((tmp_path / "store/de_platform_bodies").iterdir()) == []
    await database.disconnect()


async def test_stopping_is_orderly(store: Store) -> None:
    settings = store.start()
    async with httpx.AsyncClient() as http:
        assert (await http.get(f"http://127.0.0.1:{settings.port}/ping")).text == "Ok.\n"
    assert store.stop() == 0

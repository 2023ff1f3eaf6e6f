"""The ClickHouse engine in this process."""

from collections.abc import Callable
from pathlib import Path

from clickhouse_connect import get_client
from clickhouse_connect.driver.client import Client

from de_platform.services.database.clickhouse_statements import THREADS, ClickHouseStatements


class ChdbDatabase(ClickHouseStatements):
    """One process at a time may open a path, and a process opens one path only, which stays so until it ends.

    A process that has opened it must not fork: children are spawned.
    """

    def __init__(self, path: Path, *, database: str = "fraud_pipeline", threads: int = THREADS) -> None:
        super().__init__(database, threads=threads)
        self.path = path.resolve()

    def _open_client(self, database: str) -> Client:
        self.path.mkdir(parents=True, exist_ok=True)
        return get_client(interface="chdb", path=str(self.path), database=database, tz_mode="aware")


def keep_engine_open(path: Path) -> Callable[[], None]:
    """Open the engine and return what lets go of it: it shuts down with its last client, and starting takes a second.

    Raises RuntimeError when this process has another path open, or another process this one.
    """
    import chdb  # noqa: PLC0415 - loading the engine takes a second

    path.mkdir(parents=True, exist_ok=True)
    return chdb.connect(str(path.resolve())).close

"""The ClickHouse engine in this process."""

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

"""A ClickHouse server, or the store process of the embedded platform: they answer alike."""

from functools import cached_property

from clickhouse_connect import get_client
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.httputil import get_pool_manager
from urllib3 import PoolManager

from de_platform.services.database.clickhouse_statements import THREADS, ClickHouseStatements
from de_platform.services.database.settings import ClickHouseSettings

CONNECT_TIMEOUT_SECONDS = 5
ANSWER_TIMEOUT_SECONDS = 60
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ClickHouseDatabase(ClickHouseStatements):
    """Over HTTP, each of a few threads with a client of its own."""

    def __init__(self, settings: ClickHouseSettings, *, threads: int = THREADS) -> None:
        super().__init__(settings.database, threads=threads)
        self.settings = settings

    @cached_property
    def _pool(self) -> PoolManager:
        return get_pool_manager(maxsize=self._threads)

    def _open_client(self, database: str) -> Client:
        return get_client(
            host=self.settings.host,
            port=self.settings.port,
            username=self.settings.user,
            password=self.settings.password,
            database=database,
            compress=self.settings.host not in _LOOPBACK,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            send_receive_timeout=ANSWER_TIMEOUT_SECONDS,
            autogenerate_session_id=False,
            pool_mgr=self._pool,
            tz_mode="aware",
        )

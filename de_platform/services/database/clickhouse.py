"""A ClickHouse server, or the store process of the embedded platform: they answer alike."""

from collections.abc import Mapping
from functools import cached_property
from math import ceil

from clickhouse_connect import get_client
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.httputil import get_pool_manager
from urllib3 import PoolManager

from de_platform.services.database.clickhouse_statements import THREADS, ClickHouseStatements
from de_platform.services.database.interface import Cluster
from de_platform.services.database.settings import ClickHouseSettings

CONNECT_TIMEOUT_SECONDS = 5
CLUSTER_SETTINGS: Mapping[str, int | str] = {"distributed_foreground_insert": 1, "distributed_product_mode": "local"}
"""An insert returns when the shards have it; a table in a subquery is the shard's own part, because all rows of an
identity are on one shard."""
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ClickHouseDatabase(ClickHouseStatements):
    """Over HTTP, each of a few threads with a client of its own."""

    def __init__(self, settings: ClickHouseSettings, *, threads: int = THREADS) -> None:
        super().__init__(settings.database, threads=threads)
        self.settings = settings

    @property
    def cluster(self) -> Cluster | None:
        name = self.settings.cluster
        return Cluster(name=name, database=self.settings.database) if name else None

    @cached_property
    def _pool(self) -> PoolManager:
        return get_pool_manager(
            maxsize=self._threads, verify=self.settings.verify, ca_cert=self.settings.ca_cert or None
        )

    def _open_client(self, database: str) -> Client:
        return get_client(
            host=self.settings.host,
            port=self.settings.port,
            username=self.settings.user,
            password=self.settings.password,
            database=database,
            secure=self.settings.secure,
            verify=self.settings.verify,
            compress=self.settings.host not in _LOOPBACK,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            send_receive_timeout=ceil(self.settings.answer_timeout_seconds),
            settings=server_settings(self.settings),
            autogenerate_session_id=False,
            pool_mgr=self._pool,
            tz_mode="aware",
        )


def server_settings(settings: ClickHouseSettings) -> dict[str, int | str]:
    """Return what every statement tells the server."""
    quorum = {"insert_quorum": settings.insert_quorum} if settings.insert_quorum else {}
    return {**(CLUSTER_SETTINGS if settings.cluster else {}), **quorum}

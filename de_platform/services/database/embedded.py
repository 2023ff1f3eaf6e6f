"""The private PostgreSQL server of a data directory, as a database of this process."""

from pathlib import Path

from de_platform.services.database.embedded_postgres import EmbeddedPostgres
from de_platform.services.database.postgres import POOL_SIZE, PostgresDatabase
from de_platform.services.database.settings import PostgresSettings


class EmbeddedDatabase(PostgresDatabase):
    """Starts the server when it connects, which blocks for a moment, and stops it if it started it."""

    def __init__(self, data_dir: Path, *, pool_size: int = POOL_SIZE) -> None:
        super().__init__(PostgresSettings(), pool_size=pool_size)
        self._server = EmbeddedPostgres(data_dir)

    def _before_connect(self) -> None:
        self.settings = self._server.start()

    async def disconnect(self) -> None:
        await super().disconnect()
        self._server.stop()

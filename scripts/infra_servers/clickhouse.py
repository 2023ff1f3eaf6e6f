"""The ClickHouse engine behind its HTTP protocol: the platform's own store server in a process of its own."""

import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from scripts.infra_servers import web
from scripts.infra_servers.errors import CannotBeHad
from scripts.infra_servers.ports import HOST
from scripts.infra_servers.secret import secret
from scripts.infra_servers.server import Launch, Server

DATABASE = "fraud_pipeline"
_ROOT = Path(__file__).resolve().parents[2]


class ClickHouse(Server):
    """One embedded engine, so one process has the path; its user is `default` with a random password."""

    name = "clickhouse"
    setting = "DB_CLICKHOUSE_HOST"

    def install(self) -> None:
        if importlib.util.find_spec("chdb") is None:
            raise CannotBeHad(self.name, "its engine is a package of the environment: make setup")

    def prepare(self) -> Launch:
        argv = (sys.executable, "-m", "scripts.infra_servers.clickhouse_endpoint")
        told = {
            "ENDPOINT_PATH": str(self.directory / "data"),
            "ENDPOINT_PORT": str(self.port),
            "ENDPOINT_PASSWORD": self._password,
            "PYTHONPATH": str(_ROOT),
        }
        return Launch(argv=argv, environment={**os.environ, **told})

    def answers(self) -> bool:
        return web.status(self.port, "/ping") == 200

    def env(self) -> Mapping[str, str]:
        return {
            "DB_CLICKHOUSE_HOST": HOST,
            "DB_CLICKHOUSE_PORT": str(self.port),
            "DB_CLICKHOUSE_USER": "default",
            "DB_CLICKHOUSE_PASSWORD": self._password,
            "DB_CLICKHOUSE_DATABASE": DATABASE,
        }

    @property
    def _password(self) -> str:
        return secret(self.directory / "password")

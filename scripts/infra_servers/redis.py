"""Redis, or Valkey where that is what the machine has; it keeps nothing on disk."""

import os
import socket
from collections.abc import Mapping

from scripts.infra_servers import programs
from scripts.infra_servers.ports import HOST
from scripts.infra_servers.programs import UnpackedPackage
from scripts.infra_servers.server import Launch, Server

_NAMES = ("redis-server", "valkey-server")


class Redis(Server):
    """Loses everything with its process, as a cache may: whoever restarts it tests exactly that."""

    name = "redis"
    setting = "CACHE_REDIS_URL"

    @property
    def _package(self) -> UnpackedPackage:
        return UnpackedPackage("redis-server", self.downloads)

    def install(self) -> None:
        if programs.find(*_NAMES, folders=self._package.folders) is None:
            self._package.fetch(self.name)

    def prepare(self) -> Launch:
        program = programs.find(*_NAMES, folders=self._package.folders)
        assert program is not None, "it is installed"
        keeps_nothing = ("--save", "", "--appendonly", "no")
        argv = (str(program), "--bind", HOST, "--port", str(self.port), "--dir", str(self.directory), *keeps_nothing)
        return Launch(argv=argv, environment={**os.environ, **self._package.environment(program)})

    def answers(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False

    def env(self) -> Mapping[str, str]:
        return {"CACHE_REDIS_URL": f"redis://{HOST}:{self.port}/0"}

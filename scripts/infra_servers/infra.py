"""All servers of one data directory: which there are, which the environment gives, and how they go up and down."""

import fcntl
import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from scripts.infra_servers.clickhouse import ClickHouse
from scripts.infra_servers.errors import CannotBeHad, DidNotStart
from scripts.infra_servers.kafka import Kafka
from scripts.infra_servers.postgres import Postgres
from scripts.infra_servers.prometheus import Prometheus
from scripts.infra_servers.redis import Redis
from scripts.infra_servers.s3 import S3
from scripts.infra_servers.server import Server

ROOT = Path(__file__).resolve().parents[2]
KINDS: tuple[type[Server], ...] = (Postgres, Redis, Kafka, S3, ClickHouse, Prometheus)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one server: there with these settings, or not, for this reason."""

    name: str
    env: Mapping[str, str]
    failure: str = ""


class Infra:
    """The servers under one directory. Several processes may use it at once."""

    def __init__(
        self, directory: Path, downloads: Path, environ: Mapping[str, str], kinds: Sequence[type[Server]] = KINDS
    ) -> None:
        """`environ` may name servers that somebody else runs."""
        self.directory = directory
        self.downloads = downloads
        self._environ = environ
        self._kinds = {kind.name: kind for kind in kinds}

    @classmethod
    def of_environment(cls, environ: Mapping[str, str] = os.environ, kinds: Sequence[type[Server]] = KINDS) -> Self:
        """Take `INFRA_DATA` (default `.infra`) for data and `INFRA_DOWNLOADS` (default `.cache/infra`) for programs."""
        data = Path(environ.get("INFRA_DATA") or ROOT / ".infra")
        downloads = Path(environ.get("INFRA_DOWNLOADS") or ROOT / ".cache" / "infra")
        return cls(data.absolute(), downloads.absolute(), environ, kinds)

    @property
    def names(self) -> list[str]:
        """The servers that there are, running or not."""
        return list(self._kinds)

    def server(self, name: str) -> Server:
        """Return the server of this name, running or not."""
        return self._kinds[name](self.directory / name, self.downloads)

    def private(self, name: str, directory: Path) -> Server:
        """Return another server of this kind, with its own data: to be frozen, killed and restarted by one test."""
        return self._kinds[name](directory, self.downloads)

    def given(self, name: str) -> dict[str, str]:
        """Return the settings by which the environment names such a server, which is then used and left alone."""
        setting = self._kinds[name].setting
        if not self._environ.get(setting):
            return {}
        family = "_".join(setting.split("_")[:2])
        return {key: value for key, value in self._environ.items() if key.startswith(family)}

    def up(self, names: Iterable[str], *, keep: bool) -> list[Outcome]:
        """Have these servers run, all at the same time; each outcome stands for itself."""
        with ThreadPoolExecutor(max_workers=len(self._kinds)) as pool:
            return list(pool.map(partial(self._up, keep=keep), names))

    def down(self, names: Iterable[str]) -> list[str]:
        """Stop those of these servers that were started here; return their names."""
        running = [server for name in names if (server := self.server(name)).is_running]
        with ThreadPoolExecutor(max_workers=len(self._kinds)) as pool:
            list(pool.map(Server.stop, running))
        return [server.name for server in running]

    def env(self) -> dict[str, str]:
        """Return the settings of all servers that were started here and run."""
        running = (server for name in self._kinds if (server := self.server(name)).is_running)
        return {name: value for server in running for name, value in server.env().items()}

    def _up(self, name: str, *, keep: bool) -> Outcome:
        if self.given(name):
            return Outcome(name=name, env={})
        server = self.server(name)
        try:
            server.start(keep=keep)
        except (CannotBeHad, DidNotStart) as error:
            return Outcome(name=name, env={}, failure=error.reason)
        return Outcome(name=name, env=server.env())

    @contextmanager
    def in_use(self) -> Generator[None]:
        """Use these servers for a while; the last user stops those that nobody asked to keep.

        A kernel lock counts the users, so one that was killed is not counted.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "users.lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            try:
                yield
            finally:
                if _is_alone(file.fileno()):
                    self.down(name for name in self._kinds if not self.server(name).state.kept)


def _is_alone(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

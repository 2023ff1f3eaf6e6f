"""The real servers that tests use: given by the environment, found on the machine, or fetched and started."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import pytest

from de_platform.services.database.settings import ClickHouseSettings, PostgresSettings
from de_platform.services.filesystem.s3_settings import S3Settings
from de_platform.services.secrets.env_secrets import EnvSecrets
from scripts.infra_servers import programs
from scripts.infra_servers.errors import CannotBeHad
from scripts.infra_servers.infra import KINDS, Infra
from scripts.infra_servers.server import Server

REQUIRED_SETTING = "REQUIRE_INFRA"
CHROMIUM = "chromium"
_CHROMIUM_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def required_names(environ: Mapping[str, str]) -> frozenset[str]:
    """Return what `REQUIRE_INFRA` lists. Raises ValueError for an unknown name, which would demand nothing."""
    names = frozenset(name.strip() for name in environ.get(REQUIRED_SETTING, "").split(",") if name.strip())
    known = (*(kind.name for kind in KINDS), CHROMIUM)
    if unknown := names.difference(known):
        raise ValueError(f"{REQUIRED_SETTING} names {', '.join(sorted(unknown))}; known are {', '.join(known)}")
    return names


class RealServers:
    """Starts each server on first use and tells where it is; skips, or fails if it is required, where there is none.

    All test processes of a machine share them, so a test leaves no trace that another could meet: names of its own
    (tenant, topic, bucket, prefix, database), and no disturbance. To disturb a server, take a `private` one.
    """

    def __init__(self, infra: Infra, environ: Mapping[str, str] = os.environ) -> None:
        self._infra = infra
        self._required = required_names(environ)
        self._found: dict[str, Mapping[str, str]] = {}
        self._missing: dict[str, str] = {}

    @property
    def redis(self) -> str:
        """Its URL."""
        return self.env("redis")["CACHE_REDIS_URL"]

    @property
    def kafka(self) -> str:
        """Its bootstrap servers."""
        return self.env("kafka")["MQ_KAFKA_BOOTSTRAP_SERVERS"]

    @property
    def prometheus(self) -> str:
        """Its URL."""
        return self.env("prometheus")["PROMETHEUS_URL"]

    @property
    def postgres(self) -> PostgresSettings:
        return msgspec.convert(_parts(self.env("postgres"), "DB_POSTGRES_"), PostgresSettings, strict=False)

    @property
    def clickhouse(self) -> ClickHouseSettings:
        return msgspec.convert(_parts(self.env("clickhouse"), "DB_CLICKHOUSE_"), ClickHouseSettings, strict=False)

    @property
    def s3(self) -> S3Settings:
        return S3Settings.from_secrets(EnvSecrets(self.env("s3")))

    @property
    def chromium(self) -> Path:
        """The browser's program."""
        found = programs.find(*_CHROMIUM_PROGRAMS)
        if found is None:
            try:
                programs.install_toolchain(CHROMIUM, [CHROMIUM])
            except CannotBeHad as error:
                self.skip_or_fail(CHROMIUM, error.reason)
            found = programs.find(*_CHROMIUM_PROGRAMS)
        assert found is not None, "it has been installed"
        return found

    def env(self, *names: str) -> dict[str, str]:
        """Return the platform's settings for these servers, starting those that do not run."""
        for name in names:
            if name not in self._found:
                self._found[name] = self._infra.given(name) or self._start(self._infra.server(name)).env()
        return {key: value for name in names for key, value in self._found[name].items()}

    def private(self, name: str, directory: Path) -> Server:
        """Return a running server of this kind with its own data; whoever asked for it stops it."""
        return self._start(self._infra.private(name, directory))

    def skip_or_fail(self, name: str, reason: str) -> NoReturn:
        """Skip the running test for the lack of this server, or fail it if it is required."""
        if name in self._required:
            pytest.fail(f"{REQUIRED_SETTING} lists {name}: {reason}", pytrace=False)
        pytest.skip(f"{name}: {reason}")

    def _start(self, server: Server) -> Server:
        """Start it; what could not be had once is not tried again."""
        if server.name in self._missing:
            self.skip_or_fail(server.name, self._missing[server.name])
        try:
            server.start()
        except CannotBeHad as error:
            self._missing[server.name] = error.reason
            self.skip_or_fail(server.name, error.reason)
        return server


def _parts(values: Mapping[str, str], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix).lower(): value for name, value in values.items() if name.startswith(prefix)}

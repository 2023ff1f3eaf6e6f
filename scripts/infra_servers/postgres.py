"""PostgreSQL of Debian, with a cluster of its own."""

import os
import shutil
import signal
import socket
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.infra_servers import programs
from scripts.infra_servers.errors import CannotBeHad, DidNotStart
from scripts.infra_servers.ports import HOST
from scripts.infra_servers.programs import UnpackedPackage
from scripts.infra_servers.secret import secret
from scripts.infra_servers.server import Launch, Server

USER = "postgres"
DATABASE = "de_platform"
_UNPRIVILEGED = "nobody"
_SETPRIV = "setpriv"
_PROTOCOL_3 = 196_608
_SETTINGS = ("fsync=off", "unix_socket_directories=", "max_connections=200", "jit=off", f"listen_addresses={HOST}")
"""`fsync=off` gives up only what a loss of power takes, never what a killed process takes."""


class Postgres(Server):
    """One cluster with one database, whose superuser is `postgres` with a random password."""

    name = "postgres"
    setting = "DB_POSTGRES_HOST"
    stop_signal = signal.SIGINT

    @property
    def _package(self) -> UnpackedPackage:
        return UnpackedPackage("postgresql", self.downloads)

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    @property
    def _password(self) -> str:
        return secret(self.directory / "password")

    def install(self) -> None:
        if os.geteuid() == 0 and programs.find(_SETPRIV) is None:
            raise CannotBeHad(self.name, f"it refuses to run as root, and there is no {_SETPRIV} to run it as another")
        if self._program("postgres") is None:
            self._package.fetch(self.name)

    def prepare(self) -> Launch:
        if not (self._data / "PG_VERSION").exists():
            self._create_cluster()
        settings = (word for setting in _SETTINGS for word in ("-c", setting))
        return self._launch_of("postgres", "-D", self._data, "-p", str(self.port), *settings)

    def answers(self) -> bool:
        """A server that is not ready yet refuses the greeting; one that is asks for the password."""
        greeting = (
            struct.pack("!I", _PROTOCOL_3) + b"user\0" + USER.encode() + b"\0database\0" + DATABASE.encode() + b"\0\0"
        )
        try:
            with socket.create_connection((HOST, self.port), timeout=1) as connection:
                connection.sendall(struct.pack("!I", len(greeting) + 4) + greeting)
                return connection.recv(1) == b"R"
        except OSError:
            return False

    def env(self) -> Mapping[str, str]:
        return {
            "DB_POSTGRES_HOST": HOST,
            "DB_POSTGRES_PORT": str(self.port),
            "DB_POSTGRES_USER": USER,
            "DB_POSTGRES_PASSWORD": self._password,
            "DB_POSTGRES_DATABASE": DATABASE,
        }

    def _create_cluster(self) -> None:
        """Make the cluster and its database aside, then put it in place: a cluster that is there is whole."""
        draft = self.directory / "data.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        password_file = self.directory / "password.once"
        password_file.write_text(self._password, encoding="ascii")
        _give_away(draft, password_file)
        locale = ("--encoding=UTF8", "--locale=C.UTF-8")
        access = ("--auth=scram-sha-256", f"--pwfile={password_file}", f"--username={USER}")
        try:
            self._run("initdb", "-D", draft, *access, *locale, "--no-sync")
        finally:
            password_file.unlink()
        statement = self.directory / "create.sql"
        statement.write_text(f'CREATE DATABASE "{DATABASE}"\n', encoding="ascii")
        self._run("postgres", "--single", "-D", draft, "postgres", stdin=statement)
        draft.rename(self._data)

    def _run(self, program: str, *arguments: str | Path, stdin: Path | None = None) -> None:
        launch = self._launch_of(program, *arguments)
        programs.run(self.name, launch.argv, environment=launch.environment, stdin=stdin, failure=DidNotStart)

    def _launch_of(self, program: str, *arguments: str | Path) -> Launch:
        path = self._program(program)
        assert path is not None, "it is installed"
        environment = {**os.environ, **self._package.environment(path), "LC_ALL": "C.UTF-8"}
        return Launch(argv=(*_as_somebody_else(), str(path), *map(str, arguments)), environment=environment)

    def _program(self, name: str) -> Path | None:
        installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
        return programs.find(name, folders=(*installed, *self._package.folders))


def _as_somebody_else() -> Sequence[str]:
    """Return what runs a program as nobody, for PostgreSQL refuses to run as root.

    It may still pass through folders that are closed to others, such as the home of root.
    """
    if os.geteuid() != 0:
        return ()
    program = programs.find(_SETPRIV)
    assert program is not None, "its absence ends the installation"
    may_pass = ("--securebits=+no_setuid_fixup", "--inh-caps=+dac_override", "--ambient-caps=+dac_override")
    return (str(program), f"--reuid={_UNPRIVILEGED}", "--regid=nogroup", "--clear-groups", *may_pass)


def _give_away(*paths: Path) -> None:
    if os.geteuid() == 0:
        for path in paths:
            shutil.chown(path, _UNPRIVILEGED)

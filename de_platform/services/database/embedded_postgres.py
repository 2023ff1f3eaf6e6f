"""A private PostgreSQL server in a directory of its own, reached by a Unix socket only."""

import fcntl
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from de_platform.pipeline.errors import Unavailable
from de_platform.services.database import postgres_launcher
from de_platform.services.database.postgres_binaries import programs
from de_platform.services.database.postmaster_file import PostmasterFile
from de_platform.services.database.settings import PostgresSettings
from de_platform.services.database.unprivileged import account_for_servers, is_reachable, private_root

SUPERUSER = "de_platform"
START_TIMEOUT_SECONDS = 30.0
STOP_TIMEOUT_SECONDS = 20.0
_SOCKET_PATH_LIMIT = 100
"""Bytes; the kernels allow 104 (macOS) to 108."""
_SOCKET_NAME = "/.s.PGSQL.5432"
_POLL_SECONDS = 0.02
_LOG_LIMIT_BYTES = 5_000_000

_ORPHANS = "pre-existing shared memory block"
"""What a server says that finds children of a killed one still alive; they end within moments."""

_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "32MB",
    "max_wal_size": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_worker_processes": "2",
    "max_parallel_workers_per_gather": "0",
    "autovacuum_max_workers": "1",
    "io_method": "sync",
    "huge_pages": "off",
    "jit": "off",
    "synchronous_commit": "on",
    "log_min_messages": "warning",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
"""For a machine that runs everything else too. No TCP; memory about 40 MB at rest."""

_THROWAWAY_SETTINGS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class EmbeddedPostgres:
    """One server per directory, whoever starts it; others that start it share the running one.

    `start` and `stop` block. The server dies, orderly, with the thread that started it, so call `start`
    on the main thread. Whoever is on the machine as another user cannot reach its socket.

    When this process is root, the server runs as an unprivileged user; a data directory that this user
    cannot reach is replaced by one that it can, see `directory`.
    """

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        self.wanted_directory = data_dir.resolve()
        self._durable = durable
        self._account = account_for_servers()
        self._process: subprocess.Popen[bytes] | None = None
        self._log_begins_at = 0
        self.directory = self._place()
        """Where the data is: `wanted_directory`, or what stands in for it."""

    @property
    def is_owner(self) -> bool:
        """True when this object started the server, and so will stop it."""
        return self._process is not None

    def start(self) -> PostgresSettings:
        """Return how to reach the running server, started if need be. Raises Unavailable with the server's last words.

        Effects in order: 1. directory, 2. initdb into a sibling that is renamed when complete, 3. leftovers
        of a crash removed, 4. server. A crash in between leaves what the next start replaces or uses.
        """
        self._make_directory(self.directory)
        if self._process is not None and self._process.poll() is not None:
            self._process = None
        with self._exclusively():
            self._initialize()
            socket_directory = self._socket_directory()
            deadline = time.monotonic() + START_TIMEOUT_SECONDS
            while not self._is_ready():
                self._ensure_process(socket_directory)
                if time.monotonic() > deadline:
                    raise Unavailable("postgres", f"the embedded server did not start: {self._last_words()}")
                time.sleep(_POLL_SECONDS)
        return PostgresSettings(host=str(socket_directory), user=SUPERUSER, database=SUPERUSER)

    def stop(self) -> None:
        """Stop the server orderly if this object started it: connections are cut, data is on disk. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            self._end(process)
        finally:
            shutil.rmtree(self._outside_socket_directory(), ignore_errors=True)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        for how in (signal.SIGINT, signal.SIGQUIT):
            if process.poll() is None:
                process.send_signal(how)
            try:
                process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            return
        process.kill()
        process.wait()

    @property
    def _cluster(self) -> Path:
        return self.directory / "cluster"

    @property
    def _starter_file(self) -> Path:
        return self.directory / "starter.pid"

    def _place(self) -> Path:
        if self._account is None or is_reachable(self.wanted_directory.parent):
            return self.wanted_directory
        return private_root(self.wanted_directory) / "postgres"

    def _make_directory(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(stat.S_IRWXU)
        if self._account is not None:
            os.chown(directory, self._account.uid, self._account.gid)

    @contextmanager
    def _exclusively(self) -> Generator[None]:
        """Let one process at a time look at and start the server; the lock ends with its holder."""
        with (self.directory / "start.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _initialize(self) -> None:
        if self._cluster.exists():
            return
        for left in self.directory.glob("new-*"):
            shutil.rmtree(left)
        unfinished = Path(tempfile.mkdtemp(prefix="new-", dir=self.directory))
        self._make_directory(unfinished)
        command = [
            str(programs(for_everyone=self._account is not None).initdb),
            f"--pgdata={unfinished}",
            f"--username={SUPERUSER}",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--locale=C.UTF-8",
            "--no-instructions",
            *(() if self._durable else ("--no-sync",)),
        ]
        account = self._account
        done = subprocess.run(  # noqa: S603 - fixed program, no shell
            command,
            check=False,
            capture_output=True,
            cwd="/",
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else (),
        )
        if done.returncode:
            raise Unavailable("postgres", f"initdb failed: {done.stderr.decode(errors='replace').strip()}")
        unfinished.replace(self._cluster)
        _sync(self.directory)

    def _socket_directory(self) -> Path:
        """Return a directory with a path short enough for a socket, that only the server's user and root can enter."""
        inside = self.directory / "socket"
        if len(os.fsencode(inside)) + len(_SOCKET_NAME) <= _SOCKET_PATH_LIMIT:
            self._make_directory(inside)
            return inside
        outside = self._outside_socket_directory()
        owner = os.geteuid() if self._account is None else self._account.uid
        if outside.exists() and (outside.is_symlink() or outside.stat().st_uid != owner):
            raise Unavailable("postgres", f"{outside} belongs to somebody else")
        self._make_directory(outside)
        return outside

    def _outside_socket_directory(self) -> Path:
        digest = hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"de-platform-{digest}-socket"

    def _is_ready(self) -> bool:
        """Say whether a server takes connections, and is not one whose end has only not shown yet."""
        running = PostmasterFile.read(self._cluster)
        if running is None or not running.is_ready or not running.is_alive():
            return False
        return not self._starter_file.exists() or not running.is_orphan(int(self._starter_file.read_text()))

    def _ensure_process(self, socket_directory: Path) -> None:
        """Start a server unless one runs, is starting or is shutting down; what a killed one left is removed first."""
        if self._process is not None and self._process.poll() is None:
            return
        if self._process is not None:
            self._process = None
            if _ORPHANS not in self._last_words():
                raise Unavailable("postgres", f"the embedded server did not start: {self._last_words()}")
        running = PostmasterFile.read(self._cluster)
        if running is not None and running.is_alive():
            return
        PostmasterFile.path(self._cluster).unlink(missing_ok=True)
        for leftover in socket_directory.glob(".s.PGSQL.*"):
            leftover.unlink()
        self._process = self._spawn(socket_directory)
        self._starter_file.write_text(str(os.getpid()))

    def _spawn(self, socket_directory: Path) -> subprocess.Popen[bytes]:
        settings = {
            **_SETTINGS,
            **({} if self._durable else _THROWAWAY_SETTINGS),
            "unix_socket_directories": str(socket_directory),
            "unix_socket_permissions": "0700",
        }
        uid, gid = (-1, -1) if self._account is None else (self._account.uid, self._account.gid)
        server = programs(for_everyone=self._account is not None).postgres
        log = self._log_file()
        if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".1.log"))
        with log.open("ab") as output:
            self._log_begins_at = output.tell()
            return subprocess.Popen(  # noqa: S603 - fixed program, no shell
                [
                    *(sys.executable, "-I", "-S", postgres_launcher.__file__),
                    *(str(os.getpid()), str(uid), str(gid), str(server), "-D", str(self._cluster)),
                    *(argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                start_new_session=True,
            )

    def _log_file(self) -> Path:
        return self.directory / "server.log"

    def _last_words(self) -> str:
        """Return what the server wrote since this object spawned it last."""
        if not self._log_file().exists():
            return "it wrote no log"
        return self._log_file().read_bytes()[self._log_begins_at :].decode(errors="replace")[-2000:].strip()


def _sync(directory: Path) -> None:
    """Put the names in a directory on disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

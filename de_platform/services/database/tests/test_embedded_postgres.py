"""The private server: one a directory, found again, restarted after any end, gone with its parent."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path

import psycopg
import pytest

from de_platform.services.database import unprivileged
from de_platform.services.database.embedded import EmbeddedDatabase
from de_platform.services.database.embedded_postgres import EmbeddedPostgres
from de_platform.services.database.postgres_connection import connection_string
from de_platform.services.database.postmaster_file import PostmasterFile
from de_platform.services.database.settings import PostgresSettings

START = """
import pathlib, sys
from de_platform.services.database.embedded_postgres import EmbeddedPostgres
print(EmbeddedPostgres(pathlib.Path(sys.argv[1]), durable=False).start().host, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def open_directory() -> Generator[Path]:
    """A directory that every user can reach, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="de-platform-test-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture(scope="module")
def data_dir(open_directory: Path) -> Path:
    """One cluster for all tests, so that initdb runs once."""
    return open_directory / "postgres"


@pytest.fixture
def server(data_dir: Path) -> Generator[EmbeddedPostgres]:
    server = EmbeddedPostgres(data_dir, durable=False)
    yield server
    server.stop()


def ask(settings: PostgresSettings, query: str) -> object:
    with psycopg.connect(connection_string(settings, "postgres"), autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def postmaster(data_dir: Path) -> PostmasterFile:
    found = PostmasterFile.read(data_dir / "cluster")
    assert found is not None
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "did not happen within 20 seconds"
        time.sleep(0.02)


def test_answers_when_start_returns(server: EmbeddedPostgres) -> None:
    settings = server.start()
    assert ask(settings, "SELECT 1") == 1
    assert server.is_owner


def test_starting_again_uses_the_running_server(server: EmbeddedPostgres, data_dir: Path) -> None:
    settings = server.start()
    pid = postmaster(data_dir).pid
    other = EmbeddedPostgres(data_dir)
    assert other.start() == settings
    assert not other.is_owner
    other.stop()
    assert postmaster(data_dir).pid == pid
    assert ask(settings, "SELECT 1") == 1


def test_what_was_written_is_there_after_an_orderly_restart(server: EmbeddedPostgres) -> None:
    ask(server.start(), "CREATE TABLE kept AS SELECT 7 AS x")
    server.stop()
    assert ask(server.start(), "SELECT x FROM kept") == 7
    ask(server.start(), "DROP TABLE kept")


def test_starts_after_the_server_was_killed(server: EmbeddedPostgres, data_dir: Path) -> None:
    server.start()
    os.kill(postmaster(data_dir).pid, signal.SIGKILL)
    server.stop()
    assert (data_dir / "cluster" / "postmaster.pid").exists(), "a killed server leaves its file"
    assert ask(server.start(), "SELECT 1") == 1


def test_starts_while_children_of_a_killed_server_are_still_ending(server: EmbeddedPostgres, data_dir: Path) -> None:
    settings = server.start()
    with psycopg.connect(connection_string(settings, "postgres")) as connection:
        os.kill(postmaster(data_dir).pid, signal.SIGKILL)
        server.stop()
        assert ask(server.start(), "SELECT 1") == 1
        connection.close()


def test_a_process_that_has_the_number_of_a_dead_server_is_no_server(server: EmbeddedPostgres, data_dir: Path) -> None:
    server.start()
    server.stop()
    lock = f"{os.getpid()}\n{data_dir}/cluster\n0\n5432\n\n\n\nready\n"
    (data_dir / "cluster" / "postmaster.pid").write_text(lock)
    (data_dir / "socket" / ".s.PGSQL.5432.lock").write_text(lock)
    assert ask(server.start(), "SELECT 1") == 1


def test_the_server_ends_with_the_process_that_started_it(data_dir: Path) -> None:
    parent = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", START, str(data_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    parent.stdout.readline()
    started = postmaster(data_dir)
    parent.kill()
    parent.communicate()
    wait_until(lambda: not started.is_alive())


def test_a_server_whose_starter_was_killed_is_not_relied_on(server: EmbeddedPostgres, data_dir: Path) -> None:
    for _ in range(3):
        parent = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-c", START, str(data_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert parent.stdout is not None
        parent.stdout.readline()
        dying = postmaster(data_dir).pid
        parent.kill()
        parent.communicate()
        server.start()
        assert postmaster(data_dir).pid != dying
        server.stop()


def test_an_unfinished_cluster_is_never_used(open_directory: Path) -> None:
    directory = open_directory / "unfinished"
    (directory / "new-left-by-a-crash").mkdir(parents=True)
    server = EmbeddedPostgres(directory, durable=False)
    assert ask(server.start(), "SELECT 1") == 1
    server.stop()
    assert [path.name for path in directory.glob("new-*")] == []


def test_only_its_owner_can_reach_the_socket(server: EmbeddedPostgres) -> None:
    settings = server.start()
    assert Path(settings.host).stat().st_mode & 0o077 == 0
    assert ask(settings, "SHOW listen_addresses") == ""


def test_a_long_path_has_its_socket_elsewhere(open_directory: Path) -> None:
    server = EmbeddedPostgres(open_directory / ("long-" * 20) / "postgres", durable=False)
    settings = server.start()
    assert len(settings.host) < 100
    assert ask(settings, "SELECT 1") == 1
    server.stop()
    assert not Path(settings.host).exists()


def test_commits_are_on_disk_unless_it_is_said_otherwise(open_directory: Path) -> None:
    server = EmbeddedPostgres(open_directory / "durable")
    settings = server.start()
    shown = [ask(settings, f"SHOW {name}") for name in ("fsync", "synchronous_commit", "full_page_writes")]
    server.stop()
    assert shown == ["on", "on", "on"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as somebody else")
class TestAsRoot:
    """Root's own directories are closed to the server's user."""

    def test_the_server_runs_without_rights(self, server: EmbeddedPostgres, data_dir: Path) -> None:
        server.start()
        status = Path(f"/proc/{postmaster(data_dir).pid}/status").read_text()
        assert "\nUid:\t0" not in status

    def test_a_directory_that_its_user_cannot_reach_is_replaced(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o700)
        server = EmbeddedPostgres(tmp_path / "postgres", durable=False)
        assert server.directory != server.wanted_directory
        assert server.directory.is_relative_to(tempfile.gettempdir())
        assert EmbeddedPostgres(tmp_path / "postgres").directory == server.directory
        server.directory.parent.rmdir()

    def test_a_place_of_somebody_else_is_not_taken(self, tmp_path: Path) -> None:
        root = unprivileged.private_root(tmp_path / "wanted")
        os.chown(root, 65534, 65534)
        with pytest.raises(PermissionError, match="somebody else"):
            unprivileged.private_root(tmp_path / "wanted")
        root.rmdir()


async def test_is_a_database_that_brings_its_server(data_dir: Path) -> None:
    database = EmbeddedDatabase(data_dir)
    assert await database.fetch_one("SELECT current_database() AS name") == {"name": "de_platform"}
    running = postmaster(data_dir)
    await database.disconnect()
    assert not running.is_alive()

"""The file of the local log: its tables, how it is opened, and which of its errors mean "try again later"."""

import os
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from de_platform.pipeline.errors import Unavailable

DEPENDENCY = "message queue"

_VERSION = 1
_PAGE_BYTES = 16_384
_CHECKPOINT_PAGES = 1_000
_LARGEST_IDLE_WAL_BYTES = 64 << 20
_LOCK_POLL_SECONDS = 0.0005

_TABLES = """
CREATE TABLE topics (
    name TEXT PRIMARY KEY,
    partitions INTEGER NOT NULL,
    retention_hours INTEGER
) WITHOUT ROWID;
CREATE TABLE partitions (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    number INTEGER NOT NULL,
    low_offset INTEGER NOT NULL DEFAULT 0,
    end_offset INTEGER NOT NULL DEFAULT 0,
    UNIQUE (topic, number)
);
CREATE TABLE batches (
    id INTEGER PRIMARY KEY,
    partition_id INTEGER NOT NULL,
    end_offset INTEGER NOT NULL,
    records INTEGER NOT NULL,
    appended_at_micros INTEGER NOT NULL,
    payload BLOB NOT NULL
);
CREATE UNIQUE INDEX batches_by_end ON batches (partition_id, end_offset);
CREATE TABLE groups (
    name TEXT PRIMARY KEY,
    generation INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE members (
    group_name TEXT NOT NULL,
    member TEXT NOT NULL,
    session TEXT NOT NULL,
    topics TEXT NOT NULL,
    seen_at_seconds REAL NOT NULL,
    PRIMARY KEY (group_name, member)
) WITHOUT ROWID;
CREATE TABLE claims (
    group_name TEXT NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    member TEXT NOT NULL,
    PRIMARY KEY (group_name, topic, partition)
) WITHOUT ROWID;
CREATE TABLE offsets (
    group_name TEXT NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    PRIMARY KEY (group_name, topic, partition)
) WITHOUT ROWID;
"""

_TEMPORARY = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
}
"""Primary result codes that say something about the disk or other processes, not about our statements."""


def primary_code(error: sqlite3.Error) -> int | None:
    """Return SQLite's primary result code, None if the error did not come from SQLite itself."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


@contextmanager
def unavailable_if_temporary() -> Generator[None]:
    """Turn errors of disk, lock and file into Unavailable; a wrong statement stays the defect that it is."""
    try:
        yield
    except sqlite3.Error as error:
        if primary_code(error) in _TEMPORARY:
            raise Unavailable(DEPENDENCY, f"{error} ({getattr(error, 'sqlite_errorname', '')})") from error
        raise
    except OSError as error:
        raise Unavailable(DEPENDENCY, str(error)) from error


def open_file(path: Path, *, lock_wait_seconds: float) -> sqlite3.Connection:
    """Open a connection that may be used by one thread at a time, in autocommit mode: transactions are explicit."""
    connection = sqlite3.connect(path, timeout=lock_wait_seconds, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {_LARGEST_IDLE_WAL_BYTES}")
    return connection


def begin(connection: sqlite3.Connection, *, lock_wait_seconds: float) -> None:
    """Begin a transaction that may write. Polls the lock more often than SQLite would. Raises sqlite3.Error."""
    deadline = time.monotonic() + lock_wait_seconds
    connection.execute("PRAGMA busy_timeout = 0")
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(_LOCK_POLL_SECONDS)
        else:
            return


def prepare_file(path: Path, *, lock_wait_seconds: float) -> None:
    """Create what is missing: directory, file, tables. Safe when several processes do it at once.

    Raises Unavailable, also when a newer version of the platform wrote the file.
    """
    with unavailable_if_temporary():
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = open_file(path, lock_wait_seconds=lock_wait_seconds)
        try:
            _switch_to_wal(connection, lock_wait_seconds)
            begin(connection, lock_wait_seconds=lock_wait_seconds)
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in _TABLES.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {_VERSION}")
            connection.execute("COMMIT")
        finally:
            connection.close()
        _sync_directory(path.parent)
    if version > _VERSION:
        raise Unavailable(DEPENDENCY, f"{path.name} has format {version}, this program knows {_VERSION}")


def _switch_to_wal(connection: sqlite3.Connection, lock_wait_seconds: float) -> None:
    """Set page size and journal mode; both are kept in the file. SQLite does not wait for this lock by itself."""
    deadline = time.monotonic() + lock_wait_seconds
    connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(_LOCK_POLL_SECONDS)
        else:
            return


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""A running embedded platform, as other commands find it: `<data-dir>/run/environment.json`."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from de_platform.cli.choices import Choices
from de_platform.cli.process_lock import ProcessLock
from de_platform.pipeline.errors import Unavailable


class RunningInstance(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach the services of a running platform. Holds its secrets: only its owner may read the file."""

    choices: Choices
    environment: Mapping[str, str]
    urls: Mapping[str, str] = {}


def run_dir(data_dir: Path) -> Path:
    """Return the directory of what concerns only the running processes: locks, addresses."""
    return data_dir / "run"


def supervisor_lock(data_dir: Path) -> ProcessLock:
    """Return the lock that the supervisor of a data directory holds."""
    return process_lock(data_dir, "supervisor")


def process_lock(data_dir: Path, name: str) -> ProcessLock:
    """Return the lock that one process of a data directory holds."""
    return ProcessLock(run_dir(data_dir) / f"{name}.lock")


def write_instance(data_dir: Path, instance: RunningInstance) -> None:
    """Publish how to reach the platform, in one step."""
    write_private(_file(data_dir), msgspec.json.encode(instance))


def remove_instance(data_dir: Path) -> None:
    """Take back what `write_instance` published."""
    _file(data_dir).unlink(missing_ok=True)


def read_instance(data_dir: Path) -> RunningInstance:
    """Return the platform that runs on a data directory. Raises Unavailable when none does, or not yet."""
    start = f"start it with: de-platform up --data-dir {data_dir}"
    if supervisor_lock(data_dir).holder() is None:
        raise Unavailable("the platform", f"none runs on {data_dir}; {start}")
    try:
        return msgspec.json.decode(_file(data_dir).read_bytes(), type=RunningInstance)
    except FileNotFoundError as error:
        raise Unavailable("the platform", f"the one on {data_dir} is still starting") from error
    except msgspec.MsgspecError as error:
        raise Unavailable("the platform", f"{_file(data_dir)} is of another version; {start}") from error


def write_private(path: Path, data: bytes) -> None:
    """Create or replace a file that only its owner may read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    temporary.replace(path)


def _file(data_dir: Path) -> Path:
    return run_dir(data_dir) / "environment.json"

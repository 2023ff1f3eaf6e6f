"""The directory of an embedded platform: where it is, what is in it, and who is still at work in it."""

import os
import signal
import time
from pathlib import Path

from de_platform.cli.instance import process_lock, run_dir
from de_platform.config.settings import Settings
from de_platform.pipeline.errors import InvalidInput
from de_platform.services.database.factory import CHDB_DIRECTORY

PROCESSES = ("store", "pipeline", "edge")
"""The processes of `up` in the order of their start; they end the other way round."""
_LEFTOVER_SECONDS = 10.0
_KILLED_SECONDS = 5.0


def chosen_data_dir(settings: Settings) -> Path:
    """Return `DE_PLATFORM_DATA_DIR`, or else a directory of this user's own."""
    share = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return Path(settings.get("DE_PLATFORM_DATA_DIR") or share / "de-platform").absolute()


def prepare_data_dir(data_dir: Path) -> None:
    """Make the directory, and those in it that hold data for their owner only. Raises InvalidInput.

    The directory itself may be passed through, since PostgreSQL runs as another user when root starts it.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        for directory in (run_dir(data_dir), data_dir / "log", data_dir / "files", data_dir / CHDB_DIRECTORY):
            directory.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise InvalidInput.single("--data-dir", f"{data_dir} cannot be used: {error.strerror}") from error


def end_leftovers(data_dir: Path) -> None:
    """Wait for processes whose supervisor was killed: they stop by themselves, and are killed if they do not."""
    deadline = time.monotonic() + _LEFTOVER_SECONDS
    for name in reversed(PROCESSES):
        lock = process_lock(data_dir, name)
        if not lock.acquire(timeout_seconds=max(0, deadline - time.monotonic())):
            holder = lock.holder()
            if holder:
                os.kill(holder, signal.SIGKILL)
            lock.acquire(timeout_seconds=_KILLED_SECONDS)
        lock.release()

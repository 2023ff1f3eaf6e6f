"""Who is alive: every open queue holds a locked file, and the kernel unlocks it when the process ends, however it ends.

So the members of a killed process are given up at once instead of after a silence.
"""

import fcntl
import os
from pathlib import Path
from uuid import uuid4


class Session:
    """One open queue of one process."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.name = uuid4().hex
        directory.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(directory / self.name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def end(self) -> None:
        """Give up the lock and remove the file."""
        (self._directory / self.name).unlink(missing_ok=True)
        os.close(self._descriptor)

    def has_ended(self, name: str) -> bool:
        """Say whether another session is over; removes what it left behind."""
        path = self._directory / name
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            path.unlink(missing_ok=True)
            return True
        finally:
            os.close(descriptor)

"""A file that one living process holds: the kernel lets go of it, however the process ends."""

import fcntl
import os
import time
from pathlib import Path

_RETRY_SECONDS = 0.05


class ProcessLock:
    """An advisory lock on a file, whose text is the holder's process id."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, *, timeout_seconds: float = 0) -> bool:
        """Take the lock, waiting for its holder to end if need be; False when it is still held."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + timeout_seconds
        while not self._try():
            if time.monotonic() >= deadline:
                return False
            time.sleep(_RETRY_SECONDS)
        return True

    def release(self) -> None:
        """Let go. Idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> int | None:
        """Return the process id of whoever holds the lock, or None when it is free."""
        probe = ProcessLock(self._path)
        if not self._path.exists():
            return None
        if self._descriptor is None and probe.acquire():
            probe.release()
            return None
        text = self._path.read_text(encoding="ascii").strip()
        return int(text) if text.isdigit() else 0

    def _try(self) -> bool:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._descriptor = descriptor
        return True

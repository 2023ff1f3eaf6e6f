"""What a running PostgreSQL server says about itself in its data directory."""

import os
import subprocess
from pathlib import Path
from typing import Self

import msgspec

_PID_LINE = 0
_STATUS_LINE = 7
_PROCESSES = Path("/proc")
_PARENT_FIELD = 1
"""Of `/proc/PID/stat`, counted from the state that follows the program's name."""


class PostmasterFile(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `postmaster.pid`. A server that was killed leaves it behind."""

    cluster: Path
    pid: int
    status: str

    @staticmethod
    def path(cluster: Path) -> Path:
        """Say where it is."""
        return cluster / "postmaster.pid"

    @classmethod
    def read(cls, cluster: Path) -> Self | None:
        """Return what it says, or None when there is none, or one that is not complete yet."""
        try:
            lines = cls.path(cluster).read_text().splitlines()
        except FileNotFoundError:
            return None
        if not lines or not lines[_PID_LINE].strip().isdigit():
            return None
        status = lines[_STATUS_LINE].strip() if len(lines) > _STATUS_LINE else ""
        return cls(cluster=cluster, pid=int(lines[_PID_LINE]), status=status)

    @property
    def is_ready(self) -> bool:
        """True when the server has said that it takes connections."""
        return self.status == "ready"

    def is_alive(self) -> bool:
        """Say whether the process is still that server: after a crash another program may have its number."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return str(self.cluster) in self._command_line()
        return str(self.cluster) in self._command_line()

    def is_orphan(self, starter_pid: int) -> bool:
        """Say whether the process that started it has ended, so that it is about to end, too (known on Linux only)."""
        try:
            fields = (_PROCESSES / str(self.pid) / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return False
        return int(fields[_PARENT_FIELD]) != starter_pid

    def _command_line(self) -> str:
        if _PROCESSES.joinpath("self").exists():
            try:
                return (
                    (_PROCESSES / str(self.pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
            except OSError:
                return ""
        listing = subprocess.run(  # noqa: S603 - fixed program, no shell
            ["/bin/ps", "-o", "command=", "-p", str(self.pid)], check=False, capture_output=True
        )
        return listing.stdout.decode(errors="replace")

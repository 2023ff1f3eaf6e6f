"""Processes that outlive their starter, known by more than a number that the system uses again."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_STATE, _STARTED = 0, 19
"""Fields of `/proc/<pid>/stat`, counted after the name in parentheses."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """One process: its number and when it started, in the words of the system."""

    pid: int
    started: str

    @property
    def is_alive(self) -> bool:
        return identify(self.pid) == self


def identify(pid: int) -> Identity | None:
    """Return who has this number now; None for nobody and for the dead that nobody has buried."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    started = _started_by_proc(pid) if (_PROC / "self" / "stat").exists() else _started_by_ps(pid)
    return Identity(pid=pid, started=started) if started else None


def spawn(argv: Sequence[str], environment: Mapping[str, str], log: Path) -> Identity:
    """Start a program in a session of its own, its output appended to `log`. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    pid = os.posix_spawn(argv[0], list(argv), dict(environment), file_actions=actions, setsid=True)
    return identify(pid) or Identity(pid=pid, started="ended at once")


def family(identity: Identity) -> list[Identity]:
    """Return a process and what descends from it, itself first; none if it is gone.

    Servers put their workers into sessions of their own, so no process group has all of them.
    """
    if not identity.is_alive:
        return []
    below = (identify(pid) for pid in _descendants(identity.pid))
    return [identity, *(child for child in below if child is not None)]


def send(members: Iterable[Identity], number: signal.Signals) -> None:
    """Signal those of these processes that still run."""
    for member in members:
        with contextlib.suppress(ProcessLookupError):
            if member.is_alive:
                os.kill(member.pid, number)


def wait_until_gone(members: Iterable[Identity], timeout_seconds: float) -> bool:
    """Wait for the end of all of these; False if one still runs after `timeout_seconds`."""
    deadline = time.monotonic() + timeout_seconds
    for member in members:
        while member.is_alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
    return True


def _started_by_proc(pid: int) -> str:
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
    return "" if fields[_STATE] in "ZX" else f"{boot} {fields[_STARTED]}"


def _started_by_ps(pid: int) -> str:
    asked = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, started = asked.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else started.strip()


def _descendants(pid: int) -> list[int]:
    children = _PROC / str(pid) / "task" / str(pid) / "children"
    try:
        found = [int(child) for child in children.read_text().split()]
    except OSError:
        return []
    return [*found, *(grandchild for child in found for grandchild in _descendants(child))]

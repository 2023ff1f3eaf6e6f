"""A process of `up` ends with its supervisor, however that ended.

Two ways, since each has a gap: the kernel's parent-death signal (Linux only), and the end of file on standard
input, which is a pipe that only the supervisor holds open (works everywhere, needs a thread of ours to run).

The first line of that pipe may be the last part of the environment: what was not known yet when the process was
spawned. So a process can import what it needs while those before it still start.
"""

import ctypes
import os
import signal
import sys
import threading
import time

import msgspec

from de_platform.cli.exit_codes import ExitCode

_PR_SET_PDEATHSIG = 1
_READ_BYTES = 4096


def end_with_parent(*, grace_seconds: float) -> None:
    """Get SIGTERM when the parent is gone, and an abrupt end when `grace_seconds` later this process still lives."""
    signal_on_death_of_parent()
    threading.Thread(target=_watch, args=(grace_seconds,), name="parent-watch", daemon=True).start()


def signal_on_death_of_parent() -> None:
    """Ask the kernel for SIGTERM when the parent dies, where it can do that."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def receive_environment() -> dict[str, str]:
    """Wait for the rest of the environment; the process ends here when its parent ends first.

    To be called before `end_with_parent`, which reads the same pipe.
    """
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(sys.stdin.fileno(), 1)
        if not byte:
            sys.exit(ExitCode.OK)
        line += byte
    return msgspec.json.decode(line, type=dict[str, str])


def _watch(grace_seconds: float) -> None:
    while os.read(sys.stdin.fileno(), _READ_BYTES):
        continue
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_seconds)
    os._exit(ExitCode.NOT_DRAINED)

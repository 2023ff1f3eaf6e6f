"""A process of `up` ends with its supervisor, however that ended.

Two ways, since each has a gap: the kernel's parent-death signal (Linux only), and the end of file on standard
input, which is a pipe that only the supervisor holds open (works everywhere, needs a thread of ours to run).
"""

import ctypes
import os
import signal
import sys
import threading
import time

from de_platform.cli.exit_codes import ExitCode

_PR_SET_PDEATHSIG = 1
_READ_BYTES = 4096


def end_with_parent(*, grace_seconds: float) -> None:
    """Get SIGTERM when the parent is gone, and an abrupt end when `grace_seconds` later this process still lives."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    threading.Thread(target=_watch, args=(grace_seconds,), name="parent-watch", daemon=True).start()


def _watch(grace_seconds: float) -> None:
    while os.read(sys.stdin.fileno(), _READ_BYTES):
        continue
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_seconds)
    os._exit(ExitCode.NOT_DRAINED)

"""Become a server that dies with its parent: `launcher.py PARENT_PID UID GID PROGRAM ARGUMENTS…`.

A program of its own, without the platform's packages, because a process may ask for this only for itself, and
only after it has become the user it is to run as. UID -1 means to stay who one is. Where the kernel
cannot do it (macOS), the server outlives a parent that is killed, and the next start finds and uses it.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Replace this process by PROGRAM."""
    parent_pid, uid, gid = (int(argument) for argument in sys.argv[1:4])
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit("the parent ended before its server began")
    os.umask(0o077)
    os.execv(sys.argv[4], sys.argv[4:])  # noqa: S606 - a fixed program of ours, no shell


if __name__ == "__main__":
    main()

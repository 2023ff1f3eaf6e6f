"""Root starts servers as somebody else: who that is, and which directories that user can reach."""

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

import msgspec

SYSTEM_USER = "de-platform"
_STATE_ROOT = Path("/var/lib")


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An operating system user without rights."""

    uid: int
    gid: int


def account_for_servers() -> Account | None:
    """Return the user to run servers as when this process is root, else None (they run as this process does).

    The system user `de-platform` is created where the machine has `useradd`; otherwise it is `nobody`.
    """
    if os.geteuid() != 0:
        return None
    useradd = shutil.which("useradd")
    if not _exists(SYSTEM_USER) and useradd:
        subprocess.run(  # noqa: S603 - fixed arguments
            [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER],
            check=False,
            capture_output=True,
        )
    entry = pwd.getpwnam(SYSTEM_USER if _exists(SYSTEM_USER) else "nobody")
    return Account(uid=entry.pw_uid, gid=entry.pw_gid)


def is_reachable(path: Path) -> bool:
    """Say whether every user may pass through all directories above `path`, and into it if it exists."""
    chain = [*path.parents, path] if path.exists() else path.parents
    return all(each.stat().st_mode & stat.S_IXOTH for each in chain if each.is_dir())


def private_root(wanted: Path) -> Path:
    """Return a directory of root's that other users can pass through, always the same one for the same path.

    It outlives a restart of the machine, unless `wanted` is in the temporary directory itself.
    """
    temporary = Path(tempfile.gettempdir()).resolve()
    is_throwaway = wanted.resolve().is_relative_to(temporary)
    base = _STATE_ROOT if os.access(_STATE_ROOT, os.W_OK) and not is_throwaway else temporary
    digest = hashlib.sha256(str(wanted.resolve()).encode()).hexdigest()[:16]
    root = base / f"de-platform-{digest}"
    root.mkdir(mode=0o711, exist_ok=True)
    owner = root.lstat()
    if owner.st_uid != os.geteuid() or not stat.S_ISDIR(owner.st_mode):
        raise PermissionError(f"{root} belongs to somebody else")
    root.chmod(0o711)
    return root


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True

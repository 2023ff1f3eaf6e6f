"""Programs of this machine, and Debian packages unpacked beside them.

Packages of servers are downloaded and unpacked into a folder of ours: no rights are needed, nothing of the system
changes, and no server of a distribution is ever started. A toolchain such as Java cannot be moved so; it is installed,
which only root can.
"""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.infra_servers.errors import CannotBeHad, DidNotStart
from scripts.infra_servers.state import exclusive

_TIMEOUT_SECONDS = 600
_SYSTEM_FOLDERS = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin")
_NEVER_UNPACKED = {"libc6", "libc-bin"}
"""A second C library beside the system's cannot be loaded."""


def find(*names: str, folders: Sequence[Path] = ()) -> Path | None:
    """Return the first of these programs in `folders`, the search path or the usual folders of the system."""
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", ""), *_SYSTEM_FOLDERS])
    return next((Path(found) for name in names if (found := shutil.which(name, path=path))), None)


def run(
    name: str,
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: Path | None = None,
    failure: type[CannotBeHad] | type[DidNotStart] = CannotBeHad,
) -> str:
    """Run a step towards the server `name` and return its output. Raises `failure` with its last line."""
    words = [str(word) for word in argv]
    program = Path(words[0]).name
    try:
        with (stdin or Path(os.devnull)).open("rb") as source:
            return subprocess.run(
                words,
                cwd=cwd,
                env=environment,
                stdin=source,
                check=True,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_SECONDS,
            ).stdout
    except FileNotFoundError as error:
        raise failure(name, f"{program} is not on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise failure(name, f"{program} took longer than {_TIMEOUT_SECONDS} s") from error
    except subprocess.CalledProcessError as error:
        raise failure(name, f"{program} failed: {_last_words(error)}") from error


def _last_words(error: subprocess.CalledProcessError) -> str:
    lines = [line for line in f"{error.stdout or ''}\n{error.stderr or ''}".splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"exit code {error.returncode}"


class UnpackedPackage:
    """A Debian package and those it needs, under `downloads/<package>`; complete or not there."""

    def __init__(self, package: str, downloads: Path) -> None:
        self.package = package
        self.root = downloads / package
        self._downloads = downloads

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where its programs are."""
        return (self.root / "usr/bin", self.root / "usr/sbin", *sorted(self.root.glob("usr/lib/postgresql/*/bin")))

    def environment(self, program: Path) -> Mapping[str, str]:
        """Return what `program` needs to find its libraries: nothing when it is the system's."""
        if not program.is_relative_to(self.root):
            return {}
        triplet = f"{platform.machine()}-linux-gnu"
        return {"LD_LIBRARY_PATH": os.pathsep.join(str(self.root / lib / triplet) for lib in ("usr/lib", "lib"))}

    def fetch(self, name: str) -> None:
        """Download and unpack it unless it is there. Raises CannotBeHad."""
        if find("apt-get") is None or find("dpkg") is None:
            raise CannotBeHad(name, f"there is no {self.package} on this machine and no apt-get to fetch it")
        with exclusive(self._downloads / "apt.lock"):
            if self.root.exists():
                return
            apt = _PrivateApt(self._downloads / "apt", name)
            draft = self._downloads / f"{self.package}.draft"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            for archive in apt.download(self.package):
                run(name, ["dpkg", "-x", archive, draft])
                archive.unlink()
            draft.rename(self.root)


class _PrivateApt:
    """apt-get with lists and archives in a folder of ours: it reads what is installed and changes nothing of it."""

    def __init__(self, folder: Path, name: str) -> None:
        self._name = name
        self._archives = folder / "archives"
        self._lists = folder / "lists"
        for needed in (self._archives / "partial", self._lists / "partial"):
            needed.mkdir(parents=True, exist_ok=True)
        options = {
            "Dir::State::lists": self._lists,
            "Dir::Cache": folder,
            "Debug::NoLocking": "1",
            "APT::Sandbox::User": "root",
            "Acquire::Retries": "3",
            "Acquire::Languages": "none",
        }
        self._options = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]

    def download(self, package: str) -> list[Path]:
        """Fetch the archives of a package and of what this machine lacks to run it."""
        self._run("update", "--error-on=any")
        plan = self._run("install", "--simulate", "--no-install-recommends", package)
        steps = [line.split() for line in plan.splitlines() if line.startswith("Inst ")]
        wanted = [words[1] for words in steps if words[1].partition(":")[0] not in _NEVER_UNPACKED]
        self._run("download", *wanted)
        return [next(self._archives.glob(f"{archive.partition(':')[0]}_*.deb")) for archive in wanted]

    def _run(self, command: str, *arguments: str) -> str:
        return run(self._name, ["apt-get", "-qq", *self._options, command, *arguments], cwd=self._archives)


def install_toolchain(name: str, packages: Sequence[str]) -> None:
    """Install packages that bring no service into the system. Raises CannotBeHad, also for everybody but root."""
    wanted = " ".join(packages)
    if find("apt-get") is None:
        raise CannotBeHad(name, f"this machine has no {wanted}, and no apt-get to install it")
    if os.geteuid() != 0:
        raise CannotBeHad(name, f"root is needed once for: apt-get install --no-install-recommends {wanted}")
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
    run(name, [*quiet, "update"])
    run(name, [*quiet, "install", "--yes", "--no-install-recommends", *packages])

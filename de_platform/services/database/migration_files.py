"""Migrations as files: `NNN_name.up.sql` with `NNN_name.down.sql` beside it."""

import hashlib
import re
from pathlib import Path

import msgspec

from de_platform.pipeline.errors import FieldError, InvalidInput
from de_platform.services.database.migration_template import render

MIGRATIONS_DIRECTORY = Path(__file__).parents[2] / "migrations"
"""The platform's own, one directory a namespace."""

_FILE_NAME = re.compile(r"(?P<version>\d{3})_(?P<name>[a-z0-9_]+)\.(?P<direction>up|down)\.sql")
_NAME = re.compile(r"[a-z0-9_]+")


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a namespace. `checksum` is of the up script for one server: the rest may be mended later."""

    version: int
    name: str
    up: str
    down: str | None
    checksum: str

    @property
    def label(self) -> str:
        """Its name as its files have it."""
        return f"{self.version:03d}_{self.name}"


def read_migrations(directory: Path) -> list[Migration]:
    """Return a namespace's migrations by version. Raises InvalidInput with every file that does not fit."""
    if not directory.is_dir():
        known = ", ".join(sorted(namespaces(directory.parent))) or "none"
        raise InvalidInput.single("db-name", f"there are no migrations of {directory.name}; there are: {known}")
    faults: list[FieldError] = []
    scripts: dict[tuple[int, str], dict[str, str]] = {}
    for path in sorted(directory.glob("*.sql")):
        parts = _FILE_NAME.fullmatch(path.name)
        if parts is None:
            faults.append(FieldError(path.name, "must be named NNN_name.up.sql or NNN_name.down.sql"))
            continue
        key = (int(parts["version"]), parts["name"])
        scripts.setdefault(key, {})[parts["direction"]] = path.read_text(encoding="utf-8")
    migrations: list[Migration] = []
    for (version, name), by_direction in sorted(scripts.items()):
        if "up" not in by_direction:
            faults.append(FieldError(f"{version:03d}_{name}", "has a way back and no way forward"))
        elif migrations and migrations[-1].version == version:
            faults.append(FieldError(f"{version:03d}_{name}", f"has the number of {migrations[-1].label}"))
        else:
            migrations.append(_migration(version, name, by_direction["up"], by_direction.get("down")))
    if faults:
        raise InvalidInput(faults)
    return migrations


def namespaces(directory: Path = MIGRATIONS_DIRECTORY) -> list[str]:
    """Return the names that have migrations; each is the name of the database that they are for."""
    return sorted(path.name for path in directory.iterdir() if path.is_dir() and any(path.glob("*.sql")))


def create_migration(directory: Path, name: str) -> tuple[Path, Path]:
    """Write the two empty scripts of the next version and return their paths. Raises InvalidInput for a bad name."""
    if not _NAME.fullmatch(name):
        raise InvalidInput.single("create", f"must be small letters, digits and underscores, was {name!r}")
    directory.mkdir(parents=True, exist_ok=True)
    version = max((migration.version for migration in read_migrations(directory)), default=0) + 1
    up, down = (directory / f"{version:03d}_{name}.{direction}.sql" for direction in ("up", "down"))
    up.write_text("", encoding="utf-8")
    down.write_text("", encoding="utf-8")
    return up, down


def _migration(version: int, name: str, up: str, down: str | None) -> Migration:
    checksum = hashlib.sha256(render(up.replace("\r\n", "\n"), None).encode()).hexdigest()
    return Migration(version=version, name=name, up=up, down=down, checksum=checksum)

"""Where things lie in the archive, and what its manifest says.

    archive/<tenant>/<table>/<day>/<topic>-<partition>-<first offset>.<extension>
    archive/<tenant>/<table>/_manifest/<day>/<topic>-<partition>-<first offset>.json

The day is the UTC day of intake. The manifest of a tenant's table is a directory with an entry a file, each
written once, after its file, and never changed: so partitions and processes need not agree on who appends.
"""

import msgspec

from de_platform.pipeline.events import TENANT_ID_PATTERN
from de_platform.services.event_store.interface import StoredTable

ROOT = "archive"
UNKNOWN_TENANT = "@unknown"
"""Folder of records whose tenant could not be told; no tenant can be called so."""


class FilePlace(msgspec.Struct, frozen=True, kw_only=True):
    """Which records a file holds: those of one tenant, table and day within one stretch of a partition."""

    tenant_id: str
    table: StoredTable
    day: str
    topic: str
    partition: int


class ManifestEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One listed file. Offsets are those of its first and last record in `topic`/`partition`."""

    path: str
    table: StoredTable
    topic: str
    partition: int
    first_offset: int
    last_offset: int
    records: int
    bytes: int
    sha256: str
    first_ingested_at: str
    last_ingested_at: str


def encode_entry(entry: ManifestEntry) -> bytes:
    """Return a manifest entry as its file holds it."""
    return msgspec.json.format(msgspec.json.encode(entry), indent=2)


def decode_entry(data: bytes) -> ManifestEntry:
    """Read what `encode_entry` wrote. Raises msgspec.DecodeError."""
    return msgspec.json.decode(data, type=ManifestEntry)


def file_path(place: FilePlace, first_offset: int, extension: str) -> str:
    """Return where a file lies."""
    return f"{table_directory(place.tenant_id, place.table)}{place.day}/{_name(place, first_offset)}.{extension}"


def entry_path(place: FilePlace, first_offset: int) -> str:
    """Return where the manifest entry of a file lies."""
    return f"{manifest_directory(place.tenant_id, place.table)}{place.day}/{_name(place, first_offset)}.json"


def table_directory(tenant_id: str, table: StoredTable) -> str:
    """Return the directory of a tenant's table, with a slash at the end."""
    return f"{ROOT}/{_folder(tenant_id)}/{table.value}/"


def manifest_directory(tenant_id: str, table: StoredTable) -> str:
    """Return the directory of the manifest of a tenant's table, with a slash at the end."""
    return f"{table_directory(tenant_id, table)}_manifest/"


def _name(place: FilePlace, first_offset: int) -> str:
    return f"{place.topic}-{place.partition}-{first_offset:012d}"


def _folder(tenant_id: str) -> str:
    """Return a tenant's folder: its id, unless that means something to a file system."""
    if not TENANT_ID_PATTERN.fullmatch(tenant_id):
        return UNKNOWN_TENANT
    return tenant_id if tenant_id.strip(".") else tenant_id.replace(".", "%2E")

"""Reads the archive by its manifest."""

import hashlib
from collections.abc import AsyncIterator

from de_platform.modules.archive.formats import decode
from de_platform.modules.archive.layout import ManifestEntry, decode_entry, manifest_directory
from de_platform.services.event_store.interface import StoredTable
from de_platform.services.filesystem.interface import FileSystemInterface


class ArchiveDamaged(Exception):
    """A listed file is missing, or is not what its manifest entry says."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")


async def listed_files(fs: FileSystemInterface, tenant_id: str, table: StoredTable) -> list[ManifestEntry]:
    """Return the manifest of a tenant's table, by topic, partition and offset. Raises Unavailable."""
    paths = await fs.list(manifest_directory(tenant_id, table))
    entries = [decode_entry(await fs.read(path)) for path in paths]
    return sorted(entries, key=lambda entry: (entry.topic, entry.partition, entry.first_offset))


async def archived_values(fs: FileSystemInterface, tenant_id: str, table: StoredTable) -> AsyncIterator[bytes]:
    """Yield the records of a tenant's table, a file at a time. Raises Unavailable and ArchiveDamaged."""
    for entry in await listed_files(fs, tenant_id, table):
        try:
            data = await fs.read(entry.path)
        except FileNotFoundError as error:
            raise ArchiveDamaged(entry.path, "is missing") from error
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise ArchiveDamaged(entry.path, "was altered")
        for value in decode(entry.path, data):
            yield value

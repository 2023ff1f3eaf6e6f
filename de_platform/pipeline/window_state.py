"""What the window engine remembers: per tenant, and per partition as segments of a checkpoint."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from de_platform.pipeline.episodes import EpisodeBook, Span
from de_platform.pipeline.event_columns import EVENT_TYPES, Instants
from de_platform.pipeline.window_rows import NEVER, Chunk, WindowRows, arrived_columns, identity_column

_MAX_ROW_SEGMENTS = 64
_HEAD, _ROWS = "head", "rows"


class TenantHead(msgspec.Struct, kw_only=True):
    """The small part of a tenant's state; the rows are the large one."""

    next_serial: int
    highs: list[int]
    ingested: list[int]
    episodes: list[tuple[str, str, list[Span]]]


class TenantWindow:
    """The state of one tenant: recent events, how far each event type has come, episodes that may go on."""

    def __init__(self, tenant_id: str) -> None:
        self.tenant_id = tenant_id
        self.rows = WindowRows(tenant_id)
        self.book = EpisodeBook()
        self.highs: Instants = np.full(len(EVENT_TYPES), NEVER)
        """Per event type: the latest transact_time, as far as it was not ahead of its arrival."""
        self.ingested: Instants = np.full(len(EVENT_TYPES), NEVER)
        """Per event type: when the last of them arrived."""

    def head(self) -> TenantHead:
        """Return all but the rows."""
        return TenantHead(
            next_serial=self.rows.next_serial,
            highs=self.highs.tolist(),
            ingested=self.ingested.tolist(),
            episodes=self.book.dump(),
        )

    @classmethod
    def restored(cls, tenant_id: str, head: TenantHead, chunks: Sequence[Chunk]) -> "TenantWindow":
        """Build a state from its head and its chunks, in order of arrival."""
        window = cls(tenant_id)
        for chunk in chunks:
            leans = [chunk.lean(chunk.first_serial + index) for index in range(len(chunk))]
            columns = arrived_columns(leans, window.rows.actors.codes(leans))
            window.rows.add(chunk, columns, identity_column(leans, columns.event_types))
        window.rows.next_serial = head.next_serial
        window.highs = np.array(head.highs, dtype=np.int64)
        window.ingested = np.array(head.ingested, dtype=np.int64)
        window.book.load(head.episodes)
        return window


class _StoredChunk(msgspec.Struct, array_like=True):
    """A chunk as it lies in a segment."""

    tenant_id: str
    first_serial: int
    whole: bool
    ends: bytes
    blob: bytes

    @classmethod
    def of(cls, tenant_id: str, chunk: Chunk) -> "_StoredChunk":
        return cls(tenant_id, chunk.first_serial, chunk.whole, chunk.ends.tobytes(), chunk.blob)

    def chunk(self) -> Chunk:
        return Chunk(self.first_serial, np.frombuffer(self.ends, dtype=np.uint32), self.blob, whole=self.whole)


class WindowSegments(NamedTuple):
    """A state as immutable segments: what must be written now, and which earlier ones still belong to it."""

    new: Mapping[str, bytes]
    kept: frozenset[str]


class PartitionWindows:
    """The tenants of one partition. Segments are named by their content, so a name never means other bytes."""

    def __init__(self) -> None:
        self._tenants: dict[str, TenantWindow] = {}
        self._pending: tuple[str, list[Chunk]] | None = None

    def tenant(self, tenant_id: str) -> TenantWindow:
        """Return the state of a tenant, empty at first."""
        window = self._tenants.get(tenant_id)
        if window is None:
            window = self._tenants[tenant_id] = TenantWindow(tenant_id)
        return window

    @property
    def tenant_ids(self) -> Iterable[str]:
        """Who has been seen."""
        return self._tenants.keys()

    def snapshot(self) -> WindowSegments:
        """Return the state; only rows that no saved segment has are written, and now and then all into one."""
        head = _encode({tenant_id: window.head() for tenant_id, window in self._tenants.items()})
        chunks = [(window.tenant_id, chunk) for window in self._tenants.values() for chunk in window.rows.chunks]
        saved = {chunk.segment for _, chunk in chunks if chunk.segment is not None}
        if len(saved) < _MAX_ROW_SEGMENTS:
            chunks = [(tenant_id, chunk) for tenant_id, chunk in chunks if chunk.segment is None]
        else:
            saved = set[str]()
        new = {f"{_HEAD}-{_content_name(head)}": head}
        self._pending = None
        if chunks:
            rows = _encode([_StoredChunk.of(tenant_id, chunk) for tenant_id, chunk in chunks])
            name = f"{_ROWS}-{_content_name(rows)}"
            new[name] = rows
            self._pending = (name, [chunk for _, chunk in chunks])
        return WindowSegments(new, frozenset(saved))

    def snapshot_saved(self) -> None:
        """Learn that the last snapshot is durable."""
        if self._pending is not None:
            name, chunks = self._pending
            for chunk in chunks:
                chunk.segment = name
            self._pending = None

    @classmethod
    def restored(cls, segments: Mapping[str, bytes]) -> "PartitionWindows":
        """Build the state from all segments of a snapshot."""
        chunks: dict[str, list[Chunk]] = {}
        heads: dict[str, TenantHead] = {}
        for name, data in segments.items():
            if name.startswith(_HEAD):
                heads = _decode_heads(data)
                continue
            for stored in _decode_chunks(data):
                chunk = stored.chunk()
                chunk.segment = name
                chunks.setdefault(stored.tenant_id, []).append(chunk)
        state = cls()
        for tenant_id, head in heads.items():
            of_tenant = sorted(chunks.get(tenant_id, ()), key=lambda chunk: chunk.first_serial)
            state._tenants[tenant_id] = TenantWindow.restored(tenant_id, head, of_tenant)
        return state


_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_decode_heads = msgspec.msgpack.Decoder(dict[str, TenantHead]).decode
_decode_chunks = msgspec.msgpack.Decoder(list[_StoredChunk]).decode


def _content_name(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()

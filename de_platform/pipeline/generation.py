"""One generation of dedup keys: those of a day, or those that arrived late within an hour. Forgotten as a whole."""

from collections.abc import Sequence

import msgspec

from de_platform.pipeline.key_table import Added, KeyTable, Numbers, Uint64s
from de_platform.pipeline.message_pool import MessagePool

_TIER = 8
"""So many segments of one tier become one of the next."""
_FIRST_TIER_ENTRIES = 1024
_MAX_MERGED_ENTRIES = 1 << 20


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A slice of a generation; slices that follow each other make it whole."""

    generation: str
    first: "Extent"
    end: "Extent"
    keys: bytes
    values: bytes
    stems: bytes
    odd_ids: tuple[str, ...]


class Extent(msgspec.Struct, frozen=True, order=True):
    """How much a generation holds: sizes of its three append-only parts."""

    entries: int = 0
    stem_bytes: int = 0
    odd_ids: int = 0


class Generation:
    """Keys, and for each the message that brought it first."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._table = KeyTable()
        self._messages = MessagePool()
        self.saved: list[tuple[Extent, Extent, str]] = []
        """Slices that are in a durable checkpoint: first, end, segment name."""

    def __len__(self) -> int:
        return len(self._table)

    @property
    def extent(self) -> Extent:
        """Return how much is in it now."""
        return Extent(len(self._table), len(self._messages.stems), len(self._messages.odd_ids))

    @property
    def bytes_held(self) -> int:
        """Return the memory of keys and stems."""
        return self._table.bytes_held + len(self._messages.stems)

    def find(self, keys: Uint64s) -> Numbers:
        """Return the entry of each key, -1 where it is not in this generation."""
        return self._table.find(keys)

    def add(self, keys: Uint64s, message_ids: Sequence[str]) -> Added:
        """Add keys that are not there, with the messages that brought them."""
        return self._table.add(keys, self._messages.refer(message_ids))

    def message_id(self, number: int) -> str:
        """Return the message that brought an entry."""
        return self._messages.text(self._table.value(number))

    def cut(self, first: Extent, end: Extent) -> Segment:
        """Return what was added between two extents."""
        keys, values = self._table.dump(first.entries, end.entries)
        return Segment(
            generation=self.name,
            first=first,
            end=end,
            keys=keys,
            values=values,
            stems=bytes(self._messages.stems[first.stem_bytes : end.stem_bytes]),
            odd_ids=tuple(self._messages.odd_ids[first.odd_ids : end.odd_ids]),
        )

    def load(self, segment: Segment, name: str) -> None:
        """Append a slice of a checkpoint; slices come in order."""
        assert segment.first == self.extent, "a slice is missing from the checkpoint"
        self._table.load(segment.keys, segment.values)
        self._messages.stems += segment.stems
        self._messages.odd_ids += segment.odd_ids
        self.saved.append((segment.first, segment.end, name))

    def slices_to_save(self) -> tuple[Sequence[tuple[Extent, Extent, str]], tuple[Extent, Extent] | None]:
        """Return the saved slices to keep, and the slice to write (None if nothing is new).

        Slices are merged by eights, so there are few of them and a key is written a few times in its life.
        """
        kept = list(self.saved)
        first, end = (kept[-1][1] if kept else Extent()), self.extent
        if first == end:
            return kept, None
        while True:
            tier = _tier(end.entries - first.entries)
            run = _length_of_last_run(kept, tier)
            entries = end.entries - kept[-run][0].entries if run else 0
            if run < _TIER - 1 or entries > _MAX_MERGED_ENTRIES:
                return kept, (first, end)
            first = kept[-run][0]
            del kept[-run:]


def _tier(entries: int) -> int:
    tier = 0
    while entries > _FIRST_TIER_ENTRIES * _TIER**tier:
        tier += 1
    return tier


def _length_of_last_run(slices: Sequence[tuple[Extent, Extent, str]], tier: int) -> int:
    """Count the last slices that are of this tier or a lower one."""
    length = 0
    for first, end, _ in reversed(slices):
        if _tier(end.entries - first.entries) > tier:
            break
        length += 1
    return length

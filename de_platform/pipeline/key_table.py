"""An exact table of 128-bit keys, each with 64 bits beside it, for millions of keys and batches of thousands.

Entries are numbered in order of insertion and never change, so what was added since some moment is a slice. An index
finds them: open addressing, with seven bits of the key itself in every slot, so that probing for an absent key hardly
ever looks at an entry. All work is done for a whole batch at once.

24 bytes an entry and 8 to 16 bytes of index.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Uint64s = NDArray[np.uint64]
Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]

_FIRST_CAPACITY = 1 << 12
_FIRST_SLOTS = 1 << 13
_CAPACITY_GROWTH = 1.125
_START_TO_GROW_AT = 0.6
_MAX_LOAD = 0.8
_MIGRATED_PER_ADDED = 8
_MIN_MIGRATED = 1 << 14
_TAG_BITS = np.uint64(0x7F)
_TAKEN = np.uint8(0x80)
_STRIDE_SHIFT = np.uint64(7)
_STRIDE_BITS = np.uint64(0x1F)


class Added(NamedTuple):
    """What became of each key of a batch."""

    numbers: Numbers
    """Its entry: the one that was there, or the new one, which equal keys of the batch share."""
    is_new: Flags
    """True for the first occurrence of a key that was not there."""


class KeyTable:
    """Keys are rows of two uint64 that must be evenly distributed (a hash); values are one uint64 each."""

    def __init__(self) -> None:
        self._count = 0
        self._high: Uint64s = np.zeros(_FIRST_CAPACITY, np.uint64)
        self._low: Uint64s = np.zeros(_FIRST_CAPACITY, np.uint64)
        self._values: Uint64s = np.zeros(_FIRST_CAPACITY, np.uint64)
        self._index = _Index(_FIRST_SLOTS)
        self._next_index: _Index | None = None
        self._migrated = 0

    def __len__(self) -> int:
        return self._count

    @property
    def bytes_held(self) -> int:
        """Return the memory of entries and index."""
        entries = self._high.nbytes + self._low.nbytes + self._values.nbytes
        return entries + self._index.bytes_held + (self._next_index.bytes_held if self._next_index else 0)

    def value(self, number: int) -> int:
        """Return what was stored beside a key."""
        return int(self._values[number])

    def find(self, keys: Uint64s) -> Numbers:
        """Return the entry of each key, -1 where there is none. `keys` has shape (n, 2)."""
        high, low = np.ascontiguousarray(keys[:, 0]), np.ascontiguousarray(keys[:, 1])
        found = np.full(len(high), -1, np.int64)
        index, tags, strides = self._index, _tags(low), _strides(low)
        rows = np.arange(len(high))
        slots = index.homes(high)
        while rows.size:
            seen = index.tags[slots]
            open_ = seen != 0
            self._match(rows, slots, seen == tags[rows], high, low, found)
            open_ &= found[rows] < 0
            rows = rows[open_]
            slots = index.after(slots[open_], strides[rows])
        return found

    def add(self, keys: Uint64s, values: Uint64s) -> Added:
        """Add the keys that are not there, in order, each with its value; what is there keeps its own.

        `keys` has shape (n, 2), `values` (n,).
        """
        size = len(values)
        self._make_room(size)
        base = self._count
        high, low = self._high[base : base + size], self._low[base : base + size]
        high[:], low[:] = keys[:, 0], keys[:, 1]
        numbers, slots_of_new = self._claim(base, high, low)
        is_new = slots_of_new >= 0
        ranks = np.cumsum(is_new) - 1
        in_batch = numbers >= base
        numbers[in_batch] = base + ranks[numbers[in_batch] - base]
        new = np.flatnonzero(is_new)
        self._index.numbers[slots_of_new[new]] = numbers[new]
        end = base + len(new)
        self._high[base:end], self._low[base:end] = high[new], low[new]
        self._values[base:end] = values[new]
        self._count = end
        return Added(numbers, is_new)

    def dump(self, first: int, end: int) -> tuple[bytes, bytes]:
        """Return entries as bytes for `load`: keys (all high halves, then all low ones) and values."""
        return self._high[first:end].tobytes() + self._low[first:end].tobytes(), self._values[first:end].tobytes()

    def load(self, keys: bytes, values: bytes) -> None:
        """Append what `dump` returned, in order; none of the keys is there yet."""
        halves = np.frombuffer(keys, np.uint64).reshape(2, -1)
        loaded = np.frombuffer(values, np.uint64)
        for start in range(0, len(loaded), _MIN_MIGRATED):
            part = slice(start, start + _MIN_MIGRATED)
            size = len(loaded[part])
            self._make_room(size)
            end = self._count + size
            self._high[self._count : end], self._low[self._count : end] = halves[0, part], halves[1, part]
            self._values[self._count : end] = loaded[part]
            self._index.insert(self._high[self._count : end], self._low[self._count : end], self._count)
            self._count = end

    def _claim(self, base: int, high: Uint64s, low: Uint64s) -> tuple[Numbers, Numbers]:
        """Find or take a slot for each key; key i of the batch is entry `base + i` for now.

        All keys probe in step, so equal ones meet the same slots in the same round; a free slot that
        several reach at once goes to the first of them. Returns the entry of each key, and the slot it
        took (-1 where it found itself).
        """
        index, tags, strides = self._index, _tags(low), _strides(low)
        numbers = np.full(len(high), -1, np.int64)
        taken = np.full(len(high), -1, np.int64)
        rows = np.arange(len(high))
        slots = index.homes(high)
        while rows.size:
            free = np.flatnonzero(index.tags[slots] == 0)
            if free.size:
                contenders, wanted = rows[free], slots[free]
                index.tags[wanted[::-1]] = tags[contenders[::-1]]
                index.numbers[wanted[::-1]] = base + contenders[::-1]
                won = np.flatnonzero(index.numbers[wanted] == base + contenders)
                winners = contenders[won]
                taken[winners], numbers[winners] = wanted[won], base + winners
                rows, slots = _without(free[won], rows, slots)
            self._match(rows, slots, index.tags[slots] == tags[rows], high, low, numbers)
            unsettled = np.flatnonzero(numbers[rows] < 0)
            rows = rows[unsettled]
            slots = index.after(slots[unsettled], strides[rows])
        return numbers, taken

    def _match(self, rows: Numbers, slots: Numbers, alike: Flags, high: Uint64s, low: Uint64s, found: Numbers) -> None:
        """Note in `found` the entries of those rows whose slot holds their very key; `alike` says where to look."""
        candidates = np.flatnonzero(alike)
        if candidates.size:
            rows = rows[candidates]
            entries = self._index.numbers[slots[candidates]]
            equal = (self._high[entries] == high[rows]) & (self._low[entries] == low[rows])
            found[rows[equal]] = entries[equal]

    def _make_room(self, size: int) -> None:
        """Grow entries in place, and the index by building its successor beside it, a piece with every batch."""
        needed = self._count + size
        if needed > len(self._values):
            capacity = max(needed, int(len(self._values) * _CAPACITY_GROWTH))
            for column in (self._high, self._low, self._values):
                column.resize(capacity, refcheck=False)
        if self._next_index is None and needed > self._index.slots * _START_TO_GROW_AT:
            self._next_index = _Index(1 << (2 * needed).bit_length())
            self._migrated = 0
        if self._next_index is not None:
            self._migrate(self._next_index, max(_MIGRATED_PER_ADDED * size, _MIN_MIGRATED))
        while self._next_index is not None and needed > self._index.slots * _MAX_LOAD:
            self._migrate(self._next_index, _MIN_MIGRATED)

    def _migrate(self, successor: "_Index", size: int) -> None:
        end = min(self._migrated + size, self._count)
        successor.insert(self._high[self._migrated : end], self._low[self._migrated : end], self._migrated)
        self._migrated = end
        if end == self._count:
            self._index, self._next_index = successor, None


class _Index:
    """Slots: a tag (0 where free) and the number of an entry."""

    def __init__(self, slots: int) -> None:
        """`slots` is a power of two."""
        self.slots = slots
        self._mask = np.uint64(slots - 1)
        self.tags = np.zeros(slots, np.uint8)
        self.numbers = np.zeros(slots, np.uint32)

    @property
    def bytes_held(self) -> int:
        return self.tags.nbytes + self.numbers.nbytes

    def homes(self, high: Uint64s) -> Numbers:
        """Return where to look first."""
        return (high & self._mask).astype(np.int64)

    def after(self, slots: Numbers, strides: Numbers) -> Numbers:
        """Return where to look next; odd strides reach every one of a power of two of slots."""
        return (slots + strides) & (self.slots - 1)

    def insert(self, high: Uint64s, low: Uint64s, first_number: int) -> None:
        """Enter keys that differ from each other and from all that are there."""
        tags, strides = _tags(low), _strides(low)
        rows = np.arange(len(high))
        slots = self.homes(high)
        while rows.size:
            free = np.flatnonzero(self.tags[slots] == 0)
            contenders, wanted = rows[free], slots[free]
            self.tags[wanted] = tags[contenders]
            self.numbers[wanted] = first_number + contenders
            won = free[self.numbers[wanted] == first_number + contenders]
            rows, slots = _without(won, rows, slots)
            slots = self.after(slots, strides[rows])


def _without(positions: Numbers, rows: Numbers, slots: Numbers) -> tuple[Numbers, Numbers]:
    kept = np.ones(len(rows), np.bool_)
    kept[positions] = False
    return rows[kept], slots[kept]


def _strides(low: Uint64s) -> Numbers:
    return ((low >> _STRIDE_SHIFT) & _STRIDE_BITS).astype(np.int64) * 2 + 1


def _tags(low: Uint64s) -> NDArray[np.uint8]:
    return (low & _TAG_BITS).astype(np.uint8) | _TAKEN

"""Message ids in eight bytes each: the stem that all ids of a submission share is kept once."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_STEM_BYTES = 16
_POSITION_BITS = 32
_POSITION_MASK = (1 << _POSITION_BITS) - 1
_ODD = _POSITION_MASK
"""Stands in place of a stem for ids of another form, which are kept as they are."""
_MAX_RECENT = 4096
_STEM = re.compile(r"[0-9a-f]{32}")
_MAX_POSITION_DIGITS = 9
_POWERS = 10 ** np.arange(1, _MAX_POSITION_DIGITS, dtype=np.uint64)
_NO_STEM = -1

References = NDArray[np.uint64]


class MessagePool:
    """Turns ids into references and back, exactly. A reference is valid as long as the pool."""

    def __init__(self) -> None:
        self.stems = bytearray()
        """16 bytes each."""
        self.odd_ids: list[str] = []
        self._recent: dict[str, int] = {}

    def refer(self, message_ids: Sequence[str]) -> References:
        """Return a reference for each id."""
        parts = ".".join(message_ids).split(".")
        if len(parts) != 2 * len(message_ids):
            return self._refer_one_by_one(message_ids)
        stems, positions = parts[0::2], parts[1::2]
        stem_of = {stem: self._stem(stem) for stem in set(stems)}
        numbers = _positions(positions)
        if numbers is None or _NO_STEM in stem_of.values():
            return self._refer_one_by_one(message_ids)
        return np.array(list(map(stem_of.__getitem__, stems)), np.uint64) << np.uint64(_POSITION_BITS) | numbers

    def text(self, reference: int) -> str:
        """Return the id that a reference stands for."""
        stem, position = reference >> _POSITION_BITS, reference & _POSITION_MASK
        if stem == _ODD:
            return self.odd_ids[position]
        return f"{self.stems[stem * _STEM_BYTES : (stem + 1) * _STEM_BYTES].hex()}.{position}"

    def _refer_one_by_one(self, message_ids: Sequence[str]) -> References:
        return np.array([self._refer_to_one(message_id) for message_id in message_ids], np.uint64)

    def _refer_to_one(self, message_id: str) -> int:
        stem, _, position = message_id.partition(".")
        number = self._stem(stem)
        if number == _NO_STEM or _positions([position]) is None:
            self.odd_ids.append(message_id)
            return _ODD << _POSITION_BITS | (len(self.odd_ids) - 1)
        return number << _POSITION_BITS | int(position)

    def _stem(self, stem: str) -> int:
        """Return the number of a stem, a new one if it was not seen recently; `_NO_STEM` if it is none."""
        number = self._recent.get(stem)
        if number is not None:
            return number
        if not _STEM.fullmatch(stem):
            return _NO_STEM
        if len(self._recent) >= _MAX_RECENT:
            self._recent.clear()
        number = self._recent[stem] = len(self.stems) // _STEM_BYTES
        self.stems += bytes.fromhex(stem)
        return number


def _positions(texts: Sequence[str]) -> References | None:
    """Read small numbers; None unless all are as `str` writes them.

    A number has no more digits than its text, so when the sums are equal no text has a leading zero.
    """
    together = "".join(texts)
    if not (together.isascii() and together.isdigit()) or not all(texts) or max(map(len, texts)) > _MAX_POSITION_DIGITS:
        return None
    numbers = np.array(list(map(int, texts)), np.uint64)
    digits = len(texts) + int(np.searchsorted(_POWERS, numbers, side="right").sum())
    return numbers if digits == len(together) else None

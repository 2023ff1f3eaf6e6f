"""Message ids in eight bytes each: the stem that all ids of a submission share is kept once."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_STEM_CHARS = 32
_STEM_BYTES = 16
_POSITION_BITS = 32
_POSITION_MASK = (1 << _POSITION_BITS) - 1
_ODD = _POSITION_MASK
"""Stands in place of a stem for ids of another form, which are kept as they are."""
_MAX_RECENT = 4096
_STEM = re.compile(r"[0-9a-f]{32}")
_POSITIONS = re.compile(r"(?:\.(?:0|[1-9][0-9]{0,8}))*")
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
        stems = [message_id[:_STEM_CHARS] for message_id in message_ids]
        positions = [message_id[_STEM_CHARS:] for message_id in message_ids]
        stem_of = {stem: self._stem(stem) for stem in set(stems)}
        if _NO_STEM in stem_of.values() or not _are_positions(positions):
            return np.array([self._refer_to_one(message_id) for message_id in message_ids], np.uint64)
        numbers = np.array([stem_of[stem] for stem in stems], np.uint64)
        return numbers << np.uint64(_POSITION_BITS) | np.array([int(text[1:]) for text in positions], np.uint64)

    def text(self, reference: int) -> str:
        """Return the id that a reference stands for."""
        stem, position = reference >> _POSITION_BITS, reference & _POSITION_MASK
        if stem == _ODD:
            return self.odd_ids[position]
        return f"{self.stems[stem * _STEM_BYTES : (stem + 1) * _STEM_BYTES].hex()}.{position}"

    def _refer_to_one(self, message_id: str) -> int:
        stem, position = message_id[:_STEM_CHARS], message_id[_STEM_CHARS:]
        number = self._stem(stem)
        if number == _NO_STEM or not _are_positions([position]):
            self.odd_ids.append(message_id)
            return _ODD << _POSITION_BITS | (len(self.odd_ids) - 1)
        return number << _POSITION_BITS | int(position[1:])

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


def _are_positions(texts: Sequence[str]) -> bool:
    """Say whether texts are all a point and a small number as `str` writes it."""
    together = "".join(texts)
    return (
        _POSITIONS.fullmatch(together) is not None
        and together.count(".") == len(texts)
        and {text[:1] for text in texts} <= {"."}
    )

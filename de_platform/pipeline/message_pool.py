"""Message ids in eight bytes each: the stem that all ids of a submission share is kept once."""

_STEM_CHARS = 32
_STEM_BYTES = 16
_POSITION_BITS = 32
_POSITION_MASK = (1 << _POSITION_BITS) - 1
_ODD = _POSITION_MASK
"""Stands in place of a stem for ids of another form, which are kept as they are."""
_MAX_POSITION_DIGITS = 9
_MAX_RECENT = 4096
_HEX = frozenset("0123456789abcdef")


class MessagePool:
    """Turns ids into references and back, exactly. A reference is valid as long as the pool."""

    def __init__(self) -> None:
        self.stems = bytearray()
        """16 bytes each."""
        self.odd_ids: list[str] = []
        self._recent: dict[str, int] = {}

    def refer(self, message_ids: list[str]) -> list[int]:
        """Return a reference for each id."""
        recent = self._recent
        references: list[int] = []
        for message_id in message_ids:
            text, _, position = message_id.partition(".")
            stem = recent.get(text)
            if stem is not None and _is_position(position):
                references.append(stem | int(position))
            else:
                references.append(self._refer_to_unusual(message_id))
        return references

    def text(self, reference: int) -> str:
        """Return the id that a reference stands for."""
        stem, position = reference >> _POSITION_BITS, reference & _POSITION_MASK
        if stem == _ODD:
            return self.odd_ids[position]
        return f"{self.stems[stem * _STEM_BYTES : (stem + 1) * _STEM_BYTES].hex()}.{position}"

    def _refer_to_unusual(self, message_id: str) -> int:
        stem, _, position = message_id.partition(".")
        if not _is_stem(stem) or not _is_position(position):
            self.odd_ids.append(message_id)
            return _ODD << _POSITION_BITS | (len(self.odd_ids) - 1)
        return self._stem(stem) | int(position)

    def _stem(self, stem: str) -> int:
        shifted = self._recent.get(stem)
        if shifted is None:
            if len(self._recent) >= _MAX_RECENT:
                self._recent.clear()
            shifted = self._recent[stem] = len(self.stems) // _STEM_BYTES << _POSITION_BITS
            self.stems += bytes.fromhex(stem)
        return shifted


def _is_stem(text: str) -> bool:
    return len(text) == _STEM_CHARS and _HEX.issuperset(text)


def _is_position(text: str) -> bool:
    return text.isdigit() and text.isascii() and len(text) <= _MAX_POSITION_DIGITS and (text[0] != "0" or text == "0")

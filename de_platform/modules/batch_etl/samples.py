"""Steps to start from: JSON Lines in, fields chosen, JSON Lines out."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from de_platform.modules.batch_etl.steps import Extractor, Item, Loader, Transformer

_decode_line = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class JsonLinesExtractor(Extractor):
    """Yields the JSON object of each line; blank lines are skipped."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def extract(self) -> Iterator[Item]:
        with self._path.open("rb") as lines:
            for line in lines:
                if line.strip():
                    yield {name: bytes(value) for name, value in _decode_line(line).items()}


class FieldChooser(Transformer):
    """Keeps the named fields; drops an object that lacks one of them."""

    def __init__(self, fields: Sequence[str]) -> None:
        self._fields = tuple(fields)

    def transform(self, item: Item) -> Item | None:
        if not isinstance(item, dict):
            raise TypeError(f"expected the fields of an object, got {type(item).__name__}")
        if any(name not in item for name in self._fields):
            return None
        return {name: item[name] for name in self._fields}


class JsonLinesLoader(Loader):
    """Appends each batch to a file; the first batch of a run replaces what an earlier run left."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._begun = False

    async def load(self, batch: Sequence[Item]) -> None:
        lines: list[bytes] = []
        for item in batch:
            if not isinstance(item, dict):
                raise TypeError(f"expected the fields of an object, got {type(item).__name__}")
            lines.append(_encode({name: msgspec.Raw(value) for name, value in item.items()}) + b"\n")
        with self._path.open("ab" if self._begun else "wb") as file:
            file.write(b"".join(lines))
            file.flush()
            os.fsync(file.fileno())
        self._begun = True

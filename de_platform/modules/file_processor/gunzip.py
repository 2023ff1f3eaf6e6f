"""Decompress gzip piece by piece, and stop what unpacks to far more than any real file does."""

import zlib
from collections.abc import Iterable, Iterator

OUTPUT_BYTES = 256 * 1024
"""Most that comes out in one go."""

MAX_RATIO = 300
FREE_BYTES = 64 * 1024 * 1024
"""The ratio is looked at once this much was unpacked. Events as text pack to a third or, at best, to a hundredth."""

_GZIP_WINDOW = 31


class TornFile(Exception):
    """The rest of a file cannot be read; what came before is sound."""


def gunzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what gzip data (one member after the other) unpacks to, in bounded memory.

    Raises TornFile, behind everything that could be unpacked, for data that are cut, broken or a bomb.
    """
    member = zlib.decompressobj(_GZIP_WINDOW)
    taken = given = 0
    for chunk in chunks:
        taken += len(chunk)
        rest = chunk
        while rest:
            if member.eof:
                rest = rest.lstrip(b"\0")
                if not rest:
                    break
                member = zlib.decompressobj(_GZIP_WINDOW)
            try:
                unpacked = member.decompress(rest, OUTPUT_BYTES)
            except zlib.error as error:
                raise TornFile(f"the gzip data are broken: {error}") from error
            given += len(unpacked)
            if given > max(FREE_BYTES, taken * MAX_RATIO):
                raise TornFile(f"the gzip data unpack to more than {MAX_RATIO} times their size")
            if unpacked:
                yield unpacked
            rest = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        raise TornFile("the gzip data end before they are complete")

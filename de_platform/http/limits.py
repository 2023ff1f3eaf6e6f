"""Reading a request's body without trusting it: bounded in size, in time, and in memory over all requests."""

import asyncio
import zlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec

from de_platform.http.problems import RETRY_AFTER_SECONDS, HttpError
from de_platform.http.routing import Request

MAX_BODY_BYTES = 32 * 1024 * 1024
REFUSED_SAMPLE_BYTES = 64 * 1024
MAX_GZIP_MEMBERS = 1000
_GZIP_WITH_HEADER = 16 + zlib.MAX_WBITS


class BodyLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes hold for the body as sent and as decompressed, alike."""

    max_bytes: int = MAX_BODY_BYTES
    max_idle_seconds: float = 10.0
    max_total_seconds: float = 120.0
    max_held_bytes: int = 8 * MAX_BODY_BYTES
    """Over all requests that are being worked on; beyond it new ones are told to come back."""
    drain_seconds: float = 5.0
    """How long the rest of an oversize body is read and dropped, so that the client gets to see the answer."""


class BodyRefused(HttpError):
    """The body itself is at fault. `sample` is the start of what was read, for the error record."""

    def __init__(self, status: int, detail: str, *, sample: bytes, close: bool = False) -> None:
        super().__init__(status, detail, headers={"connection": "close"} if close else None)
        self.sample = sample


class ClientGone(Exception):
    """The client hung up before its request was complete; nobody is there to be answered."""


def require_json(request: Request) -> None:
    """Raise HttpError 415 unless the body claims to be JSON in UTF-8. No claim at all counts as JSON."""
    claimed = request.headers.get("content-type")
    if claimed is None or claimed == "application/json":
        return
    media_type, _, parameters = (part.strip() for part in claimed.lower().partition(";"))
    is_json = media_type.startswith("application/") and media_type.endswith(("/json", "+json"))
    charset = parameters.removeprefix("charset=").strip('" ')
    if not is_json or charset not in {"", "utf-8", "utf8"}:
        raise HttpError(
            415, f"send application/json in UTF-8, not {claimed[:80]!r}", headers={"accept": "application/json"}
        )


class BodyReader:
    """Hands out bodies within the limits; one object for all requests of a server."""

    def __init__(self, limits: BodyLimits | None = None) -> None:
        self._limits = limits or BodyLimits()
        self._held_bytes = 0

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncGenerator[bytes]:
        """Yield the whole body, decompressed; its memory counts as held until the block ends.

        Raises BodyRefused (413 too large, 408 too slow, 400 broken gzip), HttpError (415 unknown encoding,
        503 too much held already) and ClientGone.
        """
        held = _Held(self)
        try:
            yield await self._whole(request, held)
        finally:
            self._held_bytes -= held.count

    def hold(self, count: int) -> None:
        """Count bytes of a request's as held. Raises HttpError 503 when they are too many, counted all the same."""
        self._held_bytes += count
        if self._held_bytes > self._limits.max_held_bytes:
            raise HttpError(503, "too many large requests at once", headers={"retry-after": str(RETRY_AFTER_SECONDS)})

    async def _whole(self, request: Request, held: "_Held") -> bytes:
        encoding = request.headers.get("content-encoding", "").strip().lower()
        if encoding not in {"", "identity", "gzip", "x-gzip"}:
            raise HttpError(
                415, f"content-encoding {encoding[:40]!r} is not understood", headers={"accept-encoding": "gzip"}
            )
        incoming = _Incoming(request, self._limits)
        parts: list[bytes] = []
        if encoding.endswith("gzip"):
            await self._inflate(incoming, parts, held)
        else:
            while incoming.more:
                parts.append(held.keep(await incoming.chunk()))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _inflate(self, incoming: "_Incoming", parts: list[bytes], held: "_Held") -> None:
        inflater = _Inflater(self._limits.max_bytes)
        try:
            while incoming.more:
                parts.extend(map(held.keep, inflater.feed(await incoming.chunk())))
                if inflater.overflowed:
                    raise await incoming.too_large(inflater.sample)
        except zlib.error as error:
            raise BodyRefused(400, f"the body is not valid gzip: {error}", sample=inflater.sample) from error
        if not inflater.complete:
            raise BodyRefused(400, "the gzip body ends too early", sample=inflater.sample)


class _Held:
    """What of one body counts as held."""

    def __init__(self, reader: BodyReader) -> None:
        self._reader = reader
        self.count = 0

    def keep(self, part: bytes) -> bytes:
        """Count a part and return it. Raises HttpError 503."""
        self.count += len(part)
        self._reader.hold(len(part))
        return part


class _Incoming:
    """A body on its way in."""

    def __init__(self, request: Request, limits: BodyLimits) -> None:
        self._request = request
        self._limits = limits
        self._sample = b""
        self._size = 0
        self._deadline = asyncio.get_running_loop().time() + limits.max_total_seconds
        self.more = True

    async def chunk(self) -> bytes:
        """Return what comes next. Raises BodyRefused and ClientGone."""
        if self._declared_size() > self._limits.max_bytes:
            raise await self.too_large()
        idle_until = asyncio.get_running_loop().time() + self._limits.max_idle_seconds
        try:
            async with asyncio.timeout_at(min(self._deadline, idle_until)):
                chunk = await self._next()
        except TimeoutError as error:
            raise BodyRefused(408, "the body came too slowly", sample=self._sample, close=True) from error
        if self._size > self._limits.max_bytes:
            raise await self.too_large()
        return chunk

    async def too_large(self, sample: bytes | None = None) -> BodyRefused:
        """Let the client finish sending, within reason, and return the refusal."""
        patient = self._request.headers.get("expect") is None
        try:
            async with asyncio.timeout(self._limits.drain_seconds):
                while self.more and patient and self._size <= 2 * self._limits.max_bytes:
                    await self._next()
        except (TimeoutError, ClientGone):
            patient = False
        detail = f"the body is larger than {self._limits.max_bytes} bytes; send fewer events at a time"
        return BodyRefused(413, detail, sample=self._sample if sample is None else sample, close=self.more)

    async def _next(self) -> bytes:
        message = await self._request.receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        self.more = bool(message.get("more_body"))
        chunk: bytes = message.get("body") or b""  # pyright: ignore[reportAssignmentType]
        self._size += len(chunk)
        self._sample = self._sample or chunk[:REFUSED_SAMPLE_BYTES]
        return chunk

    def _declared_size(self) -> int:
        text = self._request.headers.get("content-length", "")
        return int(text[:20]) if text.isascii() and text.isdigit() else 0


class _Inflater:
    """Decompresses gzip, all its members, and stops as soon as it becomes more than allowed."""

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes
        self._member = zlib.decompressobj(_GZIP_WITH_HEADER)
        self._members = 1
        self.sample = b""
        self.overflowed = False

    @property
    def complete(self) -> bool:
        """Whether the input so far ends with a member."""
        return self._member.eof

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return what a chunk becomes. Raises zlib.error. Sets `overflowed` when it would be too much."""
        parts: list[bytes] = []
        while chunk and not self.overflowed:
            if self._member.eof:
                self._next_member()
            part = self._member.decompress(chunk, self._left + 1)
            self.overflowed = len(part) > self._left
            self._left -= len(part)
            self.sample = self.sample or part[:REFUSED_SAMPLE_BYTES]
            parts.append(part)
            chunk = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
        return parts

    def _next_member(self) -> None:
        self._members += 1
        if self._members > MAX_GZIP_MEMBERS:
            raise zlib.error(f"more than {MAX_GZIP_MEMBERS} members")
        self._member = zlib.decompressobj(_GZIP_WITH_HEADER)

"""Files as objects of a bucket on any S3 server.

An object is replaced as a whole, so a reader sees the old or the new one, and what `write` returned for is durable as
the server is. Large files travel in parts, which become an object at the end or not at all; parts of an upload that
was cut are invisible, and a lifecycle rule of the bucket should remove them.
"""

import asyncio
import re
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import obstore
from obstore import exceptions
from obstore.store import S3Store

from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.services.filesystem.interface import FileSystemInterface
from de_platform.services.filesystem.paths import check_path, check_prefix
from de_platform.services.filesystem.s3_bucket import create_bucket
from de_platform.services.filesystem.s3_settings import S3Settings

if TYPE_CHECKING:
    from obstore.store import S3Config

CONNECT_TIMEOUT_SECONDS = 5
REQUEST_TIMEOUT_SECONDS = 60
READ_STALL_SECONDS = 10
HEALTH_TIMEOUT_SECONDS = 1.5
"""Shorter than whoever asks waits, so that the answer says what is wrong."""
MAX_RETRIES = 3
RETRY_TIMEOUT_SECONDS = 30
PART_BYTES = 8 * 1024 * 1024
PARTS_AT_ONCE = 4
KEY_LIMIT_BYTES = 1024

_PROBE = ".probe"
_WRITER = "writer"
_CODE = re.compile(r"<Code>(\w+)</Code>")
_REASON_LIMIT = 300


class S3FileSystem(FileSystemInterface):
    """The bucket is made when it is first written to. Requests that change nothing are tried again by the client."""

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings
        self._store = _open(settings)
        self._may_write = False
        """Whether the health check has seen that it can."""

    async def read(self, path: str) -> bytes:
        _check(path)
        with _translated(path):
            found = await obstore.get_async(self._store, path)
            return bytes(await found.bytes_async())

    async def write(self, path: str, data: bytes) -> None:
        _check(path)
        with _translated(path):
            await self._write(path, data)

    async def create(self, path: str, data: bytes) -> bool:
        """Write under the condition that there is none.

        An answer may be lost, and the condition then fails by what this very call wrote when the request is tried
        again: so each call marks what it writes, and a refused one looks whose mark is there.
        """
        _check(path)
        mark = uuid4().hex
        with _translated(path):
            try:
                await self._create(path, data, mark)
            except exceptions.AlreadyExistsError:
                return await self._mark_of(path) == mark
            return True

    async def list(self, prefix: str) -> list[str]:
        """Return the paths below the directory part of `prefix` that start with it: the server lists directories."""
        check_prefix(prefix)
        with _translated(prefix):
            try:
                pages = obstore.list(self._store, prefix.rpartition("/")[0] or None)
                found = [entry["path"] async for page in pages for entry in page]
            except exceptions.GenericError as error:
                if _code(error) != "NoSuchBucket":
                    raise
                return []
        return sorted(path for path in found if path.startswith(prefix) and path != _PROBE)

    async def delete(self, path: str) -> bool:
        """Remove a file. Of several that delete at once, more than one may get True."""
        if not await self.exists(path):
            return False
        with _translated(path):
            await obstore.delete_async(self._store, path)
        return True

    async def exists(self, path: str) -> bool:
        _check(path)
        with _translated(path):
            try:
                await obstore.head_async(self._store, path)
            except FileNotFoundError:
                return False
            return True

    async def health_check(self) -> None:
        """Ask for a small object of our own; write it when it is not there, at first, and after every failure."""
        was_allowed, self._may_write = self._may_write, False
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT_SECONDS):
                await self._probe(was_allowed=was_allowed)
        except TimeoutError as error:
            raise Unavailable("file system", f"no answer within {HEALTH_TIMEOUT_SECONDS:g} s") from error
        self._may_write = True

    async def _probe(self, *, was_allowed: bool) -> None:
        with _translated(_PROBE):
            try:
                await obstore.head_async(self._store, _PROBE)
            except FileNotFoundError:
                was_allowed = False
            if not was_allowed:
                await self._write(_PROBE, b"")

    async def _write(self, path: str, data: bytes) -> None:
        try:
            await obstore.put_async(self._store, path, data, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE)
        except FileNotFoundError:
            await create_bucket(self._store, self._settings)
            await obstore.put_async(self._store, path, data, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE)

    async def _create(self, path: str, data: bytes, mark: str) -> None:
        try:
            await obstore.put_async(self._store, path, data, mode="create", attributes={_WRITER: mark})
        except FileNotFoundError:
            await create_bucket(self._store, self._settings)
            await obstore.put_async(self._store, path, data, mode="create", attributes={_WRITER: mark})

    async def _mark_of(self, path: str) -> str | None:
        try:
            found = await obstore.get_async(self._store, path, options={"head": True})
        except FileNotFoundError:
            return None
        mark = found.attributes.get(_WRITER)
        return mark if isinstance(mark, str) else None


def _open(settings: S3Settings) -> S3Store:
    config: S3Config = {"bucket": settings.bucket, "region": settings.region}
    if settings.endpoint:
        config["endpoint"] = settings.endpoint
        config["virtual_hosted_style_request"] = False
    if settings.access_key:
        config["access_key_id"] = settings.access_key
        config["secret_access_key"] = settings.secret_key
    return S3Store(
        config=config,
        client_options={
            "allow_http": settings.endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT_SECONDS),
            "read_timeout": timedelta(seconds=READ_STALL_SECONDS),
            "timeout": timedelta(seconds=REQUEST_TIMEOUT_SECONDS),
        },
        retry_config={"max_retries": MAX_RETRIES, "retry_timeout": timedelta(seconds=RETRY_TIMEOUT_SECONDS)},
    )


def _check(path: str) -> None:
    check_path(path)
    length = len(path.encode())
    if length > KEY_LIMIT_BYTES:
        raise InvalidInput.single("path", f"must be at most {KEY_LIMIT_BYTES} bytes, was {length}")
    if path == _PROBE:
        raise InvalidInput.single("path", f"{_PROBE} is reserved")


@contextmanager
def _translated(path: str) -> Generator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(path) from error
    except ValueError as error:
        raise InvalidInput.single("path", f"cannot be the name of an object, was {path[:200]!r}") from error
    except exceptions.BaseError as error:
        raise Unavailable("file system", _reason(error)) from error


def _code(error: exceptions.BaseError) -> str:
    found = _CODE.search(str(error))
    return found[1] if found else ""


def _reason(error: exceptions.BaseError) -> str:
    """Return what happened in one line: the server's own word for it, without its document and the driver's dump."""
    sentence = str(error).partition("\n")[0].partition(": <?xml")[0][:_REASON_LIMIT]
    code = _code(error)
    return f"{sentence} ({code})" if code else sentence

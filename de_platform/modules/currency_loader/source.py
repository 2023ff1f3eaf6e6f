"""The bytes of rates: from a file or over HTTP, unzipped, with limits on size, time and redirects."""

import asyncio
import http.client
import io
import zipfile
import zlib
from pathlib import Path
from typing import IO
from urllib import error as urllib_error
from urllib import parse as urllib_parse
from urllib import request as urllib_request

from de_platform.pipeline.errors import InvalidInput, Unavailable

MAX_BYTES = 64 * 1024 * 1024
"""Of a file or response, and again of what a ZIP unpacks to; the bank's whole history is 2 MiB."""

TIMEOUT_SECONDS = 30.0

_SCHEMES = ("http", "https")
_ZIP_MAGIC = b"PK\x03\x04"


def read_file(path: Path) -> bytes:
    """Return a file of rates, unzipped. Raises InvalidInput."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidInput.single("--rates-file", f"{path}: {error.strerror or error}") from error
    return unzipped(_limited(data, "--rates-file"), "--rates-file")


async def fetch(url: str) -> bytes:
    """Return the rates at an address, unzipped; runs in a thread. Raises InvalidInput and Unavailable."""
    check_url(url)
    return unzipped(await asyncio.to_thread(_get, url), "--rates-url")


def check_url(url: str) -> None:
    """Raise InvalidInput unless the address is http(s) with a host."""
    parts = urllib_parse.urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise InvalidInput.single("--rates-url", f"must be http(s)://host/..., was {url!r}")


def unzipped(data: bytes, argument: str) -> bytes:
    """Return the only CSV or JSON of a ZIP archive, or other data as it is. Raises InvalidInput."""
    if not data.startswith(_ZIP_MAGIC):
        return data
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [name for name in archive.namelist() if name.lower().endswith((".csv", ".json"))]
            if len(names) != 1:
                raise InvalidInput.single(argument, f"the ZIP archive holds {len(names)} tables, must be one")
            with archive.open(names[0]) as member:
                return _limited(member.read(MAX_BYTES + 1), argument)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InvalidInput.single(argument, f"not a readable ZIP archive: {error}") from error


class _SameSchemeRedirects(urllib_request.HTTPRedirectHandler):
    """Follow redirects to http(s) only, and never from https to http."""

    def redirect_request(
        self, req: urllib_request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib_request.Request | None:  # fmt: skip
        check_url(newurl)
        if req.type == "https" and not newurl.lower().startswith("https:"):
            raise InvalidInput.single("--rates-url", f"redirects from https to {newurl!r}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _get(url: str) -> bytes:
    opener = urllib_request.build_opener(_SameSchemeRedirects)
    request = urllib_request.Request(url, headers={"User-Agent": "de-platform"})  # noqa: S310 - the scheme is checked
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as response:
            return _limited(response.read(MAX_BYTES + 1), "--rates-url")
    except urllib_error.HTTPError as error:
        with error:
            if error.code >= 500 or error.code == 429:
                raise Unavailable(url, f"answers {error.code}") from error
            raise InvalidInput.single("--rates-url", f"{url} answers {error.code}") from error
    except (urllib_error.URLError, http.client.HTTPException, OSError) as error:
        raise Unavailable(url, str(getattr(error, "reason", error))) from error


def _limited(data: bytes, argument: str) -> bytes:
    if len(data) > MAX_BYTES:
        raise InvalidInput.single(argument, f"is larger than {MAX_BYTES} bytes")
    return data

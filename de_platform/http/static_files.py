"""Serves the files of a built single-page application from memory."""

import hashlib
import mimetypes
from collections.abc import Mapping
from pathlib import Path

import msgspec

from de_platform.http.problems import HttpError
from de_platform.http.responses import Response
from de_platform.http.routing import Endpoint, Handler, HTTPMethod, Request

_FOREVER = "public, max-age=31536000, immutable"
_REVALIDATE = "no-cache"


class _File(msgspec.Struct, frozen=True):
    body: bytes
    media_type: str
    etag: str
    cache_control: str


def application_endpoints(base: str, directory: Path, placeholder: str) -> list[Endpoint]:
    """Serve `directory` below `base`; paths without a file extension get `index.html`, so that deep links work.

    Files are read once, so a request never reaches the file system. Names below `assets/` carry a hash of
    their content and are cached for good. Without an `index.html` the HTML `placeholder` is all there is.
    """
    files = _load(directory)
    if "index.html" not in files:
        files = {"index.html": _file("index.html", placeholder.encode())}
    serve = _serving(files)
    paths = (f"{base}/{{path...}}", base)
    return [Endpoint(method=HTTPMethod.GET, path=path, handle=serve) for path in paths]


def _load(directory: Path) -> Mapping[str, _File]:
    if not directory.is_dir():
        return {}
    found = sorted(path for path in directory.rglob("*") if path.is_file() and not path.is_symlink())
    names = {path.relative_to(directory).as_posix(): path for path in found}
    return {name: _file(name, path.read_bytes()) for name, path in names.items()}


def _file(name: str, body: bytes) -> _File:
    guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
    is_text = guessed.startswith("text/") or guessed in {"application/javascript", "image/svg+xml"}
    return _File(
        body=body,
        media_type=f"{guessed}; charset=utf-8" if is_text else guessed,
        etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"',
        cache_control=_FOREVER if name.startswith("assets/") else _REVALIDATE,
    )


def _serving(files: Mapping[str, _File]) -> Handler:
    async def serve(request: Request) -> Response:
        name = str(request.path_params.get("path", "")).strip("/")
        is_page = "." not in name.rsplit("/", 1)[-1]
        file = files.get("index.html" if is_page else name)
        if file is None:
            raise HttpError(404, "there is no such file")
        headers = {"etag": file.etag, "cache-control": file.cache_control}
        if request.headers.get("if-none-match") == file.etag:
            return Response(status=304, headers=headers)
        return Response(body=file.body, media_type=file.media_type, headers=headers)

    return serve

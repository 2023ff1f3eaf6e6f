"""Answers that a real server gives rarely: an error after the work was done, and no leave to make a bucket."""

import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from de_platform.pipeline.errors import Unavailable
from de_platform.services.filesystem.s3_filesystem import S3FileSystem
from de_platform.services.filesystem.s3_settings import S3Settings


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, tuple[str | None, bytes]] = {}
        """By path: the writer's mark and the content."""
        self.failures_after_work = 0
        self.has_bucket = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        path = self.path.partition("?")[0]
        if not self.server.has_bucket:
            is_bucket = path.strip("/") == "bucket"
            self._answer(403 if is_bucket else 404, b"<Error><Code>NoSuchBucket</Code></Error>")
        elif self.headers["If-None-Match"] == "*" and path in self.server.objects:
            self._answer(412)
        else:
            self.server.objects[path] = (self.headers["x-amz-meta-writer"], body)
            self.server.failures_after_work -= 1
            self._answer(500 if self.server.failures_after_work >= 0 else 200)

    def do_HEAD(self) -> None:
        self._find(with_body=False)

    def do_GET(self) -> None:
        self._find(with_body=True)

    def _find(self, *, with_body: bool) -> None:
        mark, body = self.server.objects.get(self.path, (None, b""))
        self._answer(200 if self.path in self.server.objects else 404, body, mark=mark, with_body=with_body)

    def _answer(self, status: int, body: bytes = b"", *, mark: str | None = None, with_body: bool = True) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"tag"')
        self.send_header("Last-Modified", "Thu, 15 Jan 2026 12:00:00 GMT")
        if mark:
            self.send_header("x-amz-meta-writer", mark)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server() -> Generator[_Server]:
    server = _Server()
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    yield server
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.fixture
def files(server: _Server) -> S3FileSystem:
    endpoint = f"http://127.0.0.1:{server.server_port}"
    return S3FileSystem(S3Settings(endpoint=endpoint, access_key="a", secret_key="hunter22", bucket="bucket"))


async def test_a_file_whose_first_answer_was_an_error_was_created_by_whoever_wrote_it(
    files: S3FileSystem, server: _Server
) -> None:
    server.failures_after_work = 1
    assert await files.create("a", b"ours")
    assert await files.read("a") == b"ours"


async def test_a_file_of_somebody_else_was_not_created_here_even_if_it_is_the_same(
    files: S3FileSystem, server: _Server
) -> None:
    server.objects["/bucket/a"] = ("somebody", b"same")
    assert not await files.create("a", b"same")


async def test_a_file_that_bears_no_mark_was_not_created_here(files: S3FileSystem, server: _Server) -> None:
    server.objects["/bucket/a"] = (None, b"same")
    assert not await files.create("a", b"same")


async def test_no_leave_to_make_the_bucket_is_unavailable_and_says_so(files: S3FileSystem, server: _Server) -> None:
    server.has_bucket = False
    with pytest.raises(Unavailable, match="bucket bucket cannot be made: HTTP Error 403") as caught:
        await files.write("a", b"")
    assert "hunter22" not in str(caught.value)

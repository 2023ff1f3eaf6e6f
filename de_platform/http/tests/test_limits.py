import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from de_platform.http.limits import MAX_GZIP_MEMBERS, BodyLimits, BodyReader, ClientGone, require_json
from de_platform.http.responses import Response
from de_platform.http.routing import Request

MakeClient = Callable[..., httpx.AsyncClient]
LIMITS = BodyLimits(
    max_bytes=1000, max_idle_seconds=0.05, max_total_seconds=0.2, drain_seconds=0.05, max_held_bytes=1500
)


def echo(limits: BodyLimits = LIMITS) -> Callable[[Request], Any]:
    reader = BodyReader(limits)

    async def handle(request: Request) -> Response:
        require_json(request)
        async with reader.body(request) as body:
            return Response(body=body)

    return handle


async def chunks(*parts: bytes, pause_seconds: float = 0.0) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
        await asyncio.sleep(pause_seconds)


async def test_a_body_in_pieces_is_put_together(make_client: MakeClient) -> None:
    response = await make_client(echo()).post("/api/thing", content=chunks(b"a", b"b", b"", b"c"))
    assert response.content == b"abc"


@pytest.mark.parametrize("size", [0, 1, 1000])
async def test_a_body_up_to_the_limit_is_read(make_client: MakeClient, size: int) -> None:
    response = await make_client(echo()).post("/api/thing", content=b"x" * size)
    assert len(response.content) == size


async def test_a_declared_body_above_the_limit_is_refused(make_client: MakeClient) -> None:
    response = await make_client(echo()).post("/api/thing", content=b"x" * 1001)
    assert response.status_code == 413
    assert "1000 bytes" in response.json()["detail"]


async def test_an_undeclared_body_above_the_limit_is_refused(make_client: MakeClient) -> None:
    response = await make_client(echo()).post("/api/thing", content=chunks(*[b"x" * 100] * 12))
    assert response.status_code == 413
    assert "connection" not in response.headers


async def test_an_endless_body_is_refused_and_its_connection_closed(make_client: MakeClient) -> None:
    response = await make_client(echo()).post("/api/thing", content=chunks(*[b"x" * 100] * 100))
    assert response.status_code == 413
    assert response.headers["connection"] == "close"


async def test_a_slow_body_is_refused_and_its_connection_closed(make_client: MakeClient) -> None:
    response = await make_client(echo()).post("/api/thing", content=chunks(b"x", b"y", pause_seconds=0.1))
    assert response.status_code == 408
    assert response.headers["connection"] == "close"


async def test_a_body_that_trickles_is_refused_in_the_end(make_client: MakeClient) -> None:
    response = await make_client(echo()).post("/api/thing", content=chunks(*[b"x"] * 50, pause_seconds=0.02))
    assert response.status_code == 408


async def test_gzip_is_decompressed(make_client: MakeClient) -> None:
    response = await make_client(echo()).post(
        "/api/thing", content=gzip.compress(b"a" * 500), headers={"content-encoding": "gzip"}
    )
    assert response.content == b"a" * 500


async def test_gzip_of_several_members_is_decompressed(make_client: MakeClient) -> None:
    body = gzip.compress(b"ab") + gzip.compress(b"") + gzip.compress(b"cd")
    response = await make_client(echo()).post("/api/thing", content=body, headers={"content-encoding": "gzip"})
    assert response.content == b"abcd"


async def test_gzip_byte_by_byte_is_decompressed(make_client: MakeClient) -> None:
    body = gzip.compress(b"abc")
    pieces = chunks(*[body[i : i + 1] for i in range(len(body))])
    response = await make_client(echo()).post("/api/thing", content=pieces, headers={"content-encoding": "gzip"})
    assert response.content == b"abc"


async def test_a_gzip_bomb_is_refused_before_it_goes_off(make_client: MakeClient) -> None:
    bomb = gzip.compress(b"\0" * 500_000)
    assert len(bomb) < 1000
    response = await make_client(echo()).post("/api/thing", content=bomb, headers={"content-encoding": "gzip"})
    assert response.status_code == 413


async def test_a_gzip_body_of_countless_members_is_refused(make_client: MakeClient) -> None:
    limits = BodyLimits(max_bytes=100_000)
    body = gzip.compress(b"") * (MAX_GZIP_MEMBERS + 1)
    response = await make_client(echo(limits)).post("/api/thing", content=body, headers={"content-encoding": "gzip"})
    assert response.status_code == 400


@pytest.mark.parametrize(
    "body",
    [b"", b"not gzip", gzip.compress(b"abc")[:-4], gzip.compress(b"abc") + b"garbage", zlib.compress(b"abc")],
    ids=["empty", "plain", "truncated", "trailing garbage", "zlib"],
)
async def test_broken_gzip_is_a_bad_request(make_client: MakeClient, body: bytes) -> None:
    response = await make_client(echo()).post("/api/thing", content=body, headers={"content-encoding": "gzip"})
    assert response.status_code == 400
    assert "gzip" in response.json()["detail"]


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd"])
async def test_other_encodings_are_not_supported(make_client: MakeClient, encoding: str) -> None:
    response = await make_client(echo()).post("/api/thing", content=b"x", headers={"content-encoding": encoding})
    assert response.status_code == 415
    assert response.headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON;charset="UTF-8"',
        "application/vnd.x+json",
    ],
)
async def test_json_is_taken(make_client: MakeClient, content_type: str) -> None:
    response = await make_client(echo()).post("/api/thing", content=b"x", headers={"content-type": content_type})
    assert response.status_code == 200


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "application/json; charset=utf-16", "", "multipart/form-data"]
)
async def test_anything_but_json_is_not_supported(make_client: MakeClient, content_type: str) -> None:
    response = await make_client(echo()).post("/api/thing", content=b"x", headers={"content-type": content_type})
    assert response.status_code == 415


async def test_bodies_held_at_once_are_bounded(make_client: MakeClient) -> None:
    reader = BodyReader(LIMITS)
    both_in = asyncio.Barrier(2)

    async def handle(request: Request) -> Response:
        try:
            async with reader.body(request):
                await both_in.wait()
                return Response()
        finally:
            if both_in.n_waiting:
                await both_in.abort()

    client = make_client(handle)
    answers = await asyncio.gather(*(client.post("/api/thing", content=b"x" * 900) for _ in range(2)))
    assert 503 in {answer.status_code for answer in answers}


async def test_memory_is_given_back(make_client: MakeClient) -> None:
    client = make_client(echo())
    for _ in range(5):
        assert (await client.post("/api/thing", content=b"x" * 900)).status_code == 200


async def test_a_client_that_hangs_up_is_no_failure() -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    request: Request = Request({"type": "http", "headers": []}, receive)
    with pytest.raises(ClientGone):
        async with BodyReader(LIMITS).body(request):
            pass

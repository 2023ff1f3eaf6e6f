from pathlib import Path

import httpx
import pytest

from de_platform.http.static_files import application_endpoints


@pytest.fixture
def client(tmp_path: Path, make_app) -> httpx.AsyncClient:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<title>app</title>")
    (tmp_path / "assets" / "main-1a2b.js").write_text("1")
    (tmp_path / "linked.txt").symlink_to("/etc/hostname")
    app = make_app(application_endpoints("/ui", tmp_path, "not built"))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


@pytest.mark.parametrize("path", ["/ui", "/ui/", "/ui/alerts", "/ui/alerts/5", "/ui/index.html"])
async def test_pages_get_the_application(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert response.text == "<title>app</title>"
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"


async def test_hashed_assets_are_cached_for_good(client: httpx.AsyncClient) -> None:
    response = await client.get("/ui/assets/main-1a2b.js")
    assert response.text == "1"
    assert "immutable" in response.headers["cache-control"]


async def test_an_unchanged_file_is_not_sent_again(client: httpx.AsyncClient) -> None:
    etag = (await client.get("/ui/")).headers["etag"]
    response = await client.get("/ui/", headers={"if-none-match": etag})
    assert response.status_code == 304
    assert response.content == b""


@pytest.mark.parametrize(
    "path", ["/ui/nope.js", "/ui/linked.txt", "/ui/%2e%2e/%2e%2e/etc/passwd.txt", "/ui/..%2fsecret.txt"]
)
async def test_nothing_else_is_served(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(f"http://test{path}")
    assert 400 <= response.status_code < 500


async def test_without_a_build_the_page_says_so(tmp_path: Path, make_app) -> None:
    app = make_app(application_endpoints("/ui", tmp_path / "missing", "not built"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert (await client.get("/ui/")).text == "not built"

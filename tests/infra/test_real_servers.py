"""What a test gets when a server is not to be had, and what `REQUIRE_INFRA` makes of that."""

from collections.abc import Generator
from pathlib import Path

import pytest

from scripts.infra_servers.infra import KINDS, Infra
from tests.helpers.real_servers import RealServers, required_names
from tests.infra.small_server import Absent, Small

GIVEN = {
    "DB_POSTGRES_HOST": "db.example",
    "DB_POSTGRES_PORT": "6432",
    "CACHE_REDIS_URL": "redis://cache.example:6379/0",
    "FS_MINIO_ENDPOINT": "files.example:9000",
    "FS_MINIO_BUCKET": "events",
}


def servers(tmp_path: Path, **environ: str) -> RealServers:
    return RealServers(Infra(tmp_path / "data", tmp_path / "downloads", environ, (*KINDS, Small, Absent)), environ)


@pytest.fixture
def started(tmp_path: Path) -> Generator[RealServers]:
    yield servers(tmp_path)
    Small(tmp_path / "data" / "small", tmp_path).kill()


def test_required_names_are_a_list_with_commas() -> None:
    assert required_names({"REQUIRE_INFRA": "postgres, kafka,,chromium"}) == {"postgres", "kafka", "chromium"}


def test_nothing_is_required_by_default() -> None:
    assert required_names({}) == frozenset()


def test_misspelt_requirement_is_refused() -> None:
    with pytest.raises(ValueError, match="postgress"):
        required_names({"REQUIRE_INFRA": "postgress"})


def test_missing_server_skips_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(pytest.skip.Exception, match="absent: the network is down"):
        servers(tmp_path).env("absent")


def test_missing_server_that_is_required_fails(tmp_path: Path) -> None:
    found = servers(tmp_path, REQUIRE_INFRA="kafka")
    with pytest.raises(pytest.fail.Exception, match="REQUIRE_INFRA lists kafka: no Java"):
        found.skip_or_fail("kafka", "no Java")


def test_missing_server_is_looked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = servers(tmp_path)
    with pytest.raises(pytest.skip.Exception):
        found.env("absent")
    monkeypatch.setattr(Absent, "install", Small.install)
    with pytest.raises(pytest.skip.Exception, match="the network is down"):
        found.env("absent")


def test_server_is_started_by_the_first_who_asks(started: RealServers) -> None:
    assert started.env("small")["SMALL_URL"].startswith("tcp://127.0.0.1:")


def test_given_database_is_told_as_its_settings(tmp_path: Path) -> None:
    found = servers(tmp_path, **GIVEN).postgres
    assert (found.host, found.port) == ("db.example", 6432)


def test_given_cache_is_told_by_its_url(tmp_path: Path) -> None:
    assert servers(tmp_path, **GIVEN).redis == GIVEN["CACHE_REDIS_URL"]


def test_given_bucket_is_told_as_its_settings(tmp_path: Path) -> None:
    assert servers(tmp_path, **GIVEN).s3.endpoint == "https://files.example:9000"

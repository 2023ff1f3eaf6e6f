"""Servers that speak TLS are reached if their certificate is right, and refused if it is not."""

from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import msgspec
import pytest

from de_platform.pipeline.errors import Unavailable
from de_platform.services.cache.redis_cache import RedisCache
from de_platform.services.cache.redis_settings import RedisSettings
from de_platform.services.database.clickhouse import ClickHouseDatabase
from de_platform.services.database.postgres import PostgresDatabase
from de_platform.services.database.settings import ClickHouseSettings, PostgresSettings, SslMode
from scripts.infra_servers.server import Server
from tests.helpers.real_servers import RealServers
from tests.helpers.tls import Certificate, self_signed, tls_door

pytestmark = pytest.mark.real_infra


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return self_signed(tmp_path)


@pytest.fixture
def stranger(tmp_path: Path) -> Certificate:
    directory = tmp_path / "stranger"
    directory.mkdir()
    return self_signed(directory)


@pytest.fixture
def postgres(private_server: Callable[[str], Server], certificate: Certificate) -> PostgresSettings:
    """A server with that certificate."""
    server = private_server("postgres")
    data = server.directory / "data"
    with (data / "postgresql.conf").open("a") as configuration:
        configuration.write(
            f"\nssl = on\nssl_cert_file = '{certificate.certificate}'\nssl_key_file = '{certificate.key}'\n"
        )
    server.restart()
    values = {name.removeprefix("DB_POSTGRES_").lower(): value for name, value in server.env().items()}
    return msgspec.convert(values, PostgresSettings, strict=False)


@pytest.fixture
async def clickhouse(infra: RealServers, certificate: Certificate) -> AsyncGenerator[ClickHouseSettings]:
    async with tls_door(certificate, infra.clickhouse.port) as port:
        yield msgspec.structs.replace(infra.clickhouse, port=port, secure=True)


@pytest.fixture
async def redis_port(infra: RealServers, certificate: Certificate) -> AsyncGenerator[int]:
    async with tls_door(certificate, int(infra.redis.rpartition(":")[2].partition("/")[0])) as port:
        yield port


async def test_postgres_is_reached_when_its_certificate_is_right(
    postgres: PostgresSettings, certificate: Certificate, stranger: Certificate
) -> None:
    strict = msgspec.structs.replace(postgres, sslmode=SslMode.VERIFY_FULL, sslrootcert=str(certificate.certificate))
    database = PostgresDatabase(strict)
    found = await database.fetch_one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    assert found == {"ssl": True}
    await database.disconnect()
    with pytest.raises(Unavailable, match="certificate verify failed"):
        await PostgresDatabase(msgspec.structs.replace(strict, sslrootcert=str(stranger.certificate))).connect()


async def test_clickhouse_is_reached_when_its_certificate_is_right(
    clickhouse: ClickHouseSettings, certificate: Certificate, stranger: Certificate
) -> None:
    database = ClickHouseDatabase(msgspec.structs.replace(clickhouse, ca_cert=str(certificate.certificate)))
    assert await database.fetch_one("SELECT 1 AS one") == {"one": 1}
    await database.disconnect()
    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        await ClickHouseDatabase(msgspec.structs.replace(clickhouse, ca_cert=str(stranger.certificate))).connect()


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
async def test_clickhouse_is_reached_with_any_certificate_where_none_is_demanded(
    clickhouse: ClickHouseSettings,
) -> None:
    database = ClickHouseDatabase(msgspec.structs.replace(clickhouse, verify=False))
    assert await database.fetch_one("SELECT 1 AS one") == {"one": 1}
    await database.disconnect()


async def test_redis_is_reached_when_its_certificate_is_right(
    redis_port: int, certificate: Certificate, stranger: Certificate
) -> None:
    url = f"rediss://127.0.0.1:{redis_port}/0?ssl_ca_certs="
    cache = RedisCache(RedisSettings(url=f"{url}{certificate.certificate}"))
    await cache.connect()
    await cache.health_check()
    await cache.disconnect()
    cache = RedisCache(RedisSettings(url=f"{url}{stranger.certificate}"))
    await cache.connect()
    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        await cache.health_check()
    await cache.disconnect()

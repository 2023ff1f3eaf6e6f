"""What can be said without a server; the rest is tried on a real one among the integration tests."""

import pytest

from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.services.cache.redis_cache import RedisCache
from de_platform.services.cache.redis_settings import RedisSettings
from de_platform.services.secrets.env_secrets import EnvSecrets


@pytest.mark.parametrize("url", ["", "http://user:hunter22@host", "redis://host:port:hunter22", "host:6379"])
def test_a_bad_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(InvalidInput, match="CACHE_REDIS_URL") as caught:
        RedisCache(RedisSettings(url=url))
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize("url", ["redis://:hunter22@127.0.0.1:1/0", "unix:///nowhere/redis.sock?password=hunter22"])
async def test_a_server_that_is_not_there_is_unavailable_and_secrets_stay_unsaid(url: str) -> None:
    cache = RedisCache(RedisSettings(url=url))
    await cache.connect()
    with pytest.raises(Unavailable, match="cache") as caught:
        await cache.health_check()
    assert "hunter22" not in str(caught.value)
    await cache.disconnect()


async def test_connecting_asks_nothing_of_the_server() -> None:
    cache = RedisCache(RedisSettings(url="redis://127.0.0.1:1"))
    await cache.connect()
    await cache.disconnect()


def test_a_url_must_be_set() -> None:
    with pytest.raises(InvalidInput, match="CACHE_REDIS_URL"):
        RedisSettings.from_secrets(EnvSecrets({}))


def test_settings_do_not_show_the_url() -> None:
    assert "hunter22" not in repr(RedisSettings(url="redis://:hunter22@host"))

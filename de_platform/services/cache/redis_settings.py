"""Where Redis is; the URL, which may have a password in it, never shows."""

from typing import Self

import msgspec

from de_platform.services.secrets.interface import SecretsInterface

URL_SETTING = "CACHE_REDIS_URL"
_DEFAULT_PREFIX = "de_platform:"


class RedisSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A server and what is ours on it. `url` begins with redis://, rediss:// (TLS) or unix://."""

    url: str
    prefix: str = _DEFAULT_PREFIX
    """What every key and channel begins with."""

    def __repr__(self) -> str:
        return f"RedisSettings(prefix={self.prefix!r})"

    @classmethod
    def from_secrets(cls, secrets: SecretsInterface) -> Self:
        """Read `CACHE_REDIS_URL` and `CACHE_REDIS_PREFIX`. Raises InvalidInput when there is no URL."""
        return cls(
            url=secrets.require(URL_SETTING), prefix=secrets.get_or_default("CACHE_REDIS_PREFIX", _DEFAULT_PREFIX)
        )

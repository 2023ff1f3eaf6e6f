"""Secrets from the process's settings, which the environment, an env file or `--env` filled."""

from collections.abc import Mapping

from de_platform.pipeline.errors import InvalidInput
from de_platform.services.secrets.interface import SecretsInterface


class EnvSecrets(SecretsInterface):
    """A view of a mapping taken once; an empty value counts as absent."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._values = {name: value for name, value in environ.items() if value}

    def get(self, name: str) -> str | None:
        return self._values.get(name)

    def get_or_default(self, name: str, default: str) -> str:
        return self._values.get(name, default)

    def require(self, name: str) -> str:
        value = self._values.get(name)
        if value is None:
            raise InvalidInput.single(name, "is not set; set it in the environment, with --env-file or with --env")
        return value

    def __repr__(self) -> str:
        return f"EnvSecrets({len(self._values)} values)"

"""EnvSecrets keeps the contract."""

import pytest

from de_platform.services.secrets.contract import SecretsContract
from de_platform.services.secrets.env_secrets import EnvSecrets


class TestEnvSecrets(SecretsContract):
    @pytest.fixture
    def secrets(self) -> EnvSecrets:
        return EnvSecrets({"NAME": "value", "EMPTY": ""})


def test_later_changes_of_the_environment_are_not_seen() -> None:
    environ = {"NAME": "value"}
    secrets = EnvSecrets(environ)
    environ["NAME"] = "other"
    assert secrets.get("NAME") == "value"

"""Where the object store is, from settings."""

import pytest

from de_platform.pipeline.errors import InvalidInput
from de_platform.services.filesystem.s3_settings import S3Settings
from de_platform.services.secrets.env_secrets import EnvSecrets


def settings(**values: str) -> S3Settings:
    environ = {f"FS_MINIO_{name}": value for name, value in {"BUCKET": "b", **values}.items()}
    return S3Settings.from_secrets(EnvSecrets(environ))


@pytest.mark.parametrize(
    ("endpoint", "secure", "expected"),
    [
        ("host:9000", "true", "https://host:9000"),
        ("host:9000", "false", "http://host:9000"),
        ("http://host:9000/", "true", "http://host:9000"),
        ("", "true", ""),
    ],
)
def test_an_endpoint_without_a_scheme_is_secure_unless_said_otherwise(
    endpoint: str, secure: str, expected: str
) -> None:
    assert settings(ENDPOINT=endpoint, SECURE=secure).endpoint == expected


def test_the_connection_is_secure_by_default() -> None:
    assert settings(ENDPOINT="host").endpoint == "https://host"


def test_a_bucket_must_be_named() -> None:
    with pytest.raises(InvalidInput, match="FS_MINIO_BUCKET"):
        S3Settings.from_secrets(EnvSecrets({}))


def test_secrets_do_not_show() -> None:
    assert "hunter22" not in repr(settings(ACCESS_KEY="a", SECRET_KEY="hunter22"))

"""Where an object store is and how to log in; the secret never shows."""

from typing import Self

import msgspec

from de_platform.services.secrets.interface import SecretsInterface

_DEFAULT_REGION = "us-east-1"


class S3Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket. Without an endpoint it is Amazon's; without an access key the credentials are the surroundings'."""

    bucket: str
    endpoint: str = ""
    """A URL with its scheme."""
    access_key: str = ""
    secret_key: str = ""
    region: str = _DEFAULT_REGION

    def __repr__(self) -> str:
        return f"S3Settings(endpoint={self.endpoint!r}, region={self.region!r}, bucket={self.bucket!r})"

    @property
    def needs_location(self) -> bool:
        """Whether a new bucket has to be told its region."""
        return self.region != _DEFAULT_REGION

    @classmethod
    def from_secrets(cls, secrets: SecretsInterface) -> Self:
        """Read `FS_MINIO_*`. An endpoint without a scheme gets one by `FS_MINIO_SECURE`."""
        endpoint = secrets.get_or_default("FS_MINIO_ENDPOINT", "").rstrip("/")
        if endpoint and "://" not in endpoint:
            is_secure = secrets.get_or_default("FS_MINIO_SECURE", "true") == "true"
            endpoint = f"{'https' if is_secure else 'http'}://{endpoint}"
        return cls(
            endpoint=endpoint,
            access_key=secrets.get_or_default("FS_MINIO_ACCESS_KEY", ""),
            secret_key=secrets.get_or_default("FS_MINIO_SECRET_KEY", ""),
            bucket=secrets.require("FS_MINIO_BUCKET"),
            region=secrets.get_or_default("FS_MINIO_REGION", _DEFAULT_REGION),
        )

"""An S3 server in memory: moto, from the development extra."""

import importlib.util
import os
import sys
from collections.abc import Mapping

from scripts.infra_servers import web
from scripts.infra_servers.errors import CannotBeHad
from scripts.infra_servers.ports import HOST
from scripts.infra_servers.server import Launch, Server

ACCESS_KEY = "local"
SECRET_KEY = "local-secret"  # noqa: S105 - the server checks no signature
BUCKET = "de-platform"
_UNCHECKED = (
    f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
)


class S3(Server):
    """Loses everything with its process: freeze or cut it to test a loss of the connection; a restart loses files."""

    name = "s3"
    setting = "FS_MINIO_ENDPOINT"

    def install(self) -> None:
        if importlib.util.find_spec("moto") is None:
            raise CannotBeHad(self.name, "it is a package of the development environment: make setup")

    def prepare(self) -> Launch:
        argv = (sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(self.port))
        return Launch(argv=argv, environment=dict(os.environ))

    def answers(self) -> bool:
        """It serves once it has the bucket, which asking for it creates."""
        return web.status(self.port, f"/{BUCKET}", method="PUT", headers={"Authorization": _UNCHECKED}) == 200

    def env(self) -> Mapping[str, str]:
        return {
            "FS_MINIO_ENDPOINT": f"{HOST}:{self.port}",
            "FS_MINIO_ACCESS_KEY": ACCESS_KEY,
            "FS_MINIO_SECRET_KEY": SECRET_KEY,
            "FS_MINIO_BUCKET": BUCKET,
            "FS_MINIO_SECURE": "false",
        }

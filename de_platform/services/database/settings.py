"""Where databases are and how to log in; passwords never show."""

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec.structs import asdict

_MASK = "***"


ANSWER_TIMEOUT_SECONDS = 60.0

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
QuorumSize = Annotated[str, msgspec.Meta(pattern="^(|auto|[0-9]+)$")]


class SslMode(StrEnum):
    """How much libpq insists on TLS; the names are its own."""

    DISABLE = "disable"
    ALLOW = "allow"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


class _Connection(msgspec.Struct, frozen=True, kw_only=True):
    host: str
    port: Port
    user: str
    password: str
    database: str
    answer_timeout_seconds: Seconds = ANSWER_TIMEOUT_SECONDS
    """How long a statement may take before its connection is given up; raise it for a long migration."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._shown())})"

    def __rich_repr__(self) -> list[tuple[str, object]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._shown()

    def _shown(self) -> list[tuple[str, object]]:
        return list({**asdict(self), "password": _MASK if self.password else ""}.items())


class PostgresSettings(_Connection, frozen=True, kw_only=True, repr_omit_defaults=False):
    """A PostgreSQL database. A `host` that starts with `/` is the directory of its Unix socket."""

    host: str = "127.0.0.1"
    port: Port = 5432
    user: str = "de_platform"
    password: str = ""
    database: str = "de_platform"
    sslmode: SslMode = SslMode.PREFER
    sslrootcert: str = ""
    """File of the authorities that may have signed the server's certificate; empty: libpq's own place."""


class ClickHouseSettings(_Connection, frozen=True, kw_only=True):
    """A ClickHouse database, reached by HTTP; the store process of the embedded platform is one too."""

    host: str = "127.0.0.1"
    port: Port = 8123
    user: str = "default"
    password: str = ""
    database: str = "fraud_pipeline"
    secure: bool = False
    """Whether to speak TLS; the port is then usually 8443."""
    verify: bool = True
    """Whether the server's certificate must be right."""
    ca_cert: str = ""
    """File of the authorities that may have signed it; empty: those that the machine trusts."""
    cluster: str = ""
    """Name of the cluster that tables are spread over; empty: one server."""
    insert_quorum: QuorumSize = ""
    """How many replicas have a row before its insert returns: a number, `auto` for most, empty for the server's way."""

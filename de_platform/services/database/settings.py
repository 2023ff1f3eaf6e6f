"""Where databases are and how to log in; passwords never show."""

import msgspec
from msgspec.structs import asdict

_MASK = "***"


class _Connection(msgspec.Struct, frozen=True, kw_only=True):
    host: str
    port: int
    user: str
    password: str
    database: str

    def __repr__(self) -> str:
        shown = {**asdict(self), "password": _MASK if self.password else ""}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def __rich_repr__(self) -> list[tuple[str, object]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return list({**asdict(self), "password": _MASK if self.password else ""}.items())


class PostgresSettings(_Connection, frozen=True, kw_only=True, repr_omit_defaults=False):
    """A PostgreSQL database. A `host` that starts with `/` is the directory of its Unix socket."""

    host: str = "127.0.0.1"
    port: int = 5432
    user: str = "de_platform"
    password: str = ""
    database: str = "de_platform"


class ClickHouseSettings(_Connection, frozen=True, kw_only=True):
    """A ClickHouse database, reached by HTTP; the store process of the embedded platform is one too."""

    host: str = "127.0.0.1"
    port: int = 8123
    user: str = "default"
    password: str = ""
    database: str = "fraud_pipeline"

"""Every setting of the platform: its name in the environment, what it does and its default."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

import msgspec

OWN_PREFIX = "DE_PLATFORM_"
"""Names with this prefix are ours alone, so an unknown one is an error."""
TEST_PREFIX = "DE_PLATFORM_TEST_"
"""Names with this prefix are for the tests; the platform itself ignores them."""


class SettingType(StrEnum):
    """What the text of a setting stands for."""

    TEXT = "text"
    WHOLE_NUMBER = "whole number"
    SECONDS = "seconds"
    NAMES = "names, separated by commas"
    CHOICE = "choice"
    OBJECTS = "JSON object of objects"


class SettingSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One setting. An empty default means that it is not set unless somebody sets it."""

    name: str
    description: str
    default: str = ""
    type: SettingType = SettingType.TEXT
    choices: tuple[str, ...] = ()
    is_secret: bool = False


SETTINGS: tuple[SettingSpec, ...] = (
    SettingSpec(name="DE_PLATFORM_DATA_DIR", description="directory of the embedded platform's data"),
    SettingSpec(
        name="DE_PLATFORM_PORT_OFFSET",
        description="added to every port that `up` listens on",
        default="0",
        type=SettingType.WHOLE_NUMBER,
    ),
    SettingSpec(
        name="DE_PLATFORM_BIND_HOST",
        description="address that HTTP servers listen on",
        default="127.0.0.1",
    ),
    SettingSpec(
        name="DE_PLATFORM_HEALTH_URL",
        description="health server that answers for the whole platform (set by `up` for its processes)",
    ),
    SettingSpec(
        name="DE_PLATFORM_PIPELINE_MODULES",
        description="modules that `up` runs in its process for normalising and judging",
        default="normalizer,algos",
        type=SettingType.NAMES,
    ),
    SettingSpec(
        name="DE_PLATFORM_EDGE_MODULES",
        description="modules that `up` runs in its process for intake, HTTP and keeping what was taken in",
        default="rest_starter,data_api,kafka_starter,persistence,archive",
        type=SettingType.NAMES,
    ),
    SettingSpec(
        name="DE_PLATFORM_MODULE_ARGUMENTS",
        description='arguments of modules in `up`, as JSON: {"MODULE": {"ARGUMENT": VALUE}}',
        default="{}",
        type=SettingType.OBJECTS,
    ),
    SettingSpec(
        name="DE_PLATFORM_DRAIN_TIMEOUT_SECONDS",
        description="how long an orderly end may take before it is cut short",
        default="30",
        type=SettingType.SECONDS,
    ),
    SettingSpec(
        name="DE_PLATFORM_LOG_LEVEL",
        description="least urgent level that is logged",
        default="info",
        type=SettingType.CHOICE,
        choices=("debug", "info", "warn", "error", "critical"),
    ),
    SettingSpec(
        name="DE_PLATFORM_LOG_FORMAT",
        description="lines for people or for machines; auto: JSON unless standard error is a terminal",
        default="auto",
        type=SettingType.CHOICE,
        choices=("auto", "pretty", "json"),
    ),
    SettingSpec(name="MQ_LOCAL_PATH", description="file of the `local` message queue"),
    SettingSpec(
        name="MQ_KAFKA_BOOTSTRAP_SERVERS",
        description="some brokers of the `kafka` message queue: HOST:PORT, separated by commas",
    ),
    SettingSpec(
        name="MQ_KAFKA_GROUP_ID",
        description="what the names of consumer groups in Kafka begin with (modules name their groups themselves)",
    ),
    SettingSpec(
        name="MQ_KAFKA_TOPIC_PREFIX",
        description="what the names of topics in Kafka begin with, so that several platforms may share a cluster",
    ),
    SettingSpec(
        name="MQ_KAFKA_AUTO_OFFSET_RESET",
        description="where consumer groups that never committed begin; `latest` passes over what is there already",
        default="earliest",
        type=SettingType.CHOICE,
        choices=("earliest", "latest"),
    ),
    SettingSpec(
        name="MQ_KAFKA_REPLICATION_FACTOR",
        description="copies of topics that the platform creates; empty: as the cluster's default says",
        type=SettingType.WHOLE_NUMBER,
    ),
    SettingSpec(
        name="MQ_KAFKA_SESSION_TIMEOUT_SECONDS",
        description="after so long without a sign of life a process loses its partitions",
        default="15",
        type=SettingType.SECONDS,
    ),
    SettingSpec(
        name="MQ_KAFKA_MAX_POLL_INTERVAL_SECONDS",
        description="after so long without progress a consumer loses its partitions; a hand-over takes at most this",
        default="300",
        type=SettingType.SECONDS,
    ),
    SettingSpec(
        name="MQ_KAFKA_SECURITY_PROTOCOL",
        description="how brokers are talked to",
        default="plaintext",
        type=SettingType.CHOICE,
        choices=("plaintext", "ssl", "sasl_plaintext", "sasl_ssl"),
    ),
    SettingSpec(
        name="MQ_KAFKA_SASL_MECHANISM",
        description="how the platform logs in to brokers: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
    ),
    SettingSpec(name="MQ_KAFKA_SASL_USERNAME", description="name that it logs in by"),
    SettingSpec(name="MQ_KAFKA_SASL_PASSWORD", description="password of that name", is_secret=True),
    SettingSpec(name="MQ_KAFKA_SSL_CA_LOCATION", description="file of the authorities that brokers are checked by"),
    SettingSpec(
        name="MQ_KAFKA_SSL_CERTIFICATE_LOCATION", description="file of the certificate that is shown to brokers"
    ),
    SettingSpec(name="MQ_KAFKA_SSL_KEY_LOCATION", description="file of that certificate's key"),
    SettingSpec(name="MQ_KAFKA_SSL_KEY_PASSWORD", description="password of that file", is_secret=True),
    SettingSpec(name="FS_LOCAL_ROOT", description="root directory of the `local` file system"),
    SettingSpec(
        name="FS_MINIO_ENDPOINT",
        description="address of the `s3` file system's server, with or without http(s)://; empty: Amazon's",
    ),
    SettingSpec(
        name="FS_MINIO_ACCESS_KEY",
        description="name that the `s3` file system logs in by; empty: credentials of the surroundings",
        is_secret=True,
    ),
    SettingSpec(name="FS_MINIO_SECRET_KEY", description="secret of that name", is_secret=True),
    SettingSpec(
        name="FS_MINIO_BUCKET",
        description="bucket of the `s3` file system, made if it is not there",
        default="de-platform",
    ),
    SettingSpec(
        name="FS_MINIO_SECURE",
        description="whether an endpoint without a scheme is reached by TLS",
        default="true",
        type=SettingType.CHOICE,
        choices=("true", "false"),
    ),
    SettingSpec(name="FS_MINIO_REGION", description="region of the bucket", default="us-east-1"),
    SettingSpec(
        name="CACHE_REDIS_URL",
        description="server of the `redis` cache: redis://, rediss:// (TLS) or unix://",
        is_secret=True,
    ),
    SettingSpec(
        name="CACHE_REDIS_PREFIX",
        description="what keys and channels in Redis begin with, so that several platforms may share a server",
        default="de_platform:",
    ),
)

SETTING_BY_NAME: Mapping[str, SettingSpec] = {spec.name: spec for spec in SETTINGS}

_BOOLEANS = ("true", "false")


class _DatabasePart(NamedTuple):
    what: str
    type: SettingType = SettingType.TEXT
    choices: tuple[str, ...] = ()


_DATABASE_PARTS: Mapping[str, _DatabasePart] = {
    "HOST": _DatabasePart("host, or directory of the Unix socket,"),
    "PORT": _DatabasePart("port", SettingType.WHOLE_NUMBER),
    "USER": _DatabasePart("user"),
    "PASSWORD": _DatabasePart("password"),
    "DATABASE": _DatabasePart("name on its server"),
    "ANSWER_TIMEOUT_SECONDS": _DatabasePart("longest time for a statement", SettingType.SECONDS),
    "SSLMODE": _DatabasePart(
        "PostgreSQL's demand for TLS",
        SettingType.CHOICE,
        ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    ),
    "SSLROOTCERT": _DatabasePart("PostgreSQL's file of trusted authorities"),
    "SECURE": _DatabasePart("ClickHouse's use of TLS", SettingType.CHOICE, _BOOLEANS),
    "VERIFY": _DatabasePart("ClickHouse's check of the server's certificate", SettingType.CHOICE, _BOOLEANS),
    "CA_CERT": _DatabasePart("ClickHouse's file of trusted authorities"),
    "CLUSTER": _DatabasePart("ClickHouse cluster"),
    "INSERT_QUORUM": _DatabasePart("number of ClickHouse replicas (or auto) that acknowledge an insert"),
}
_DATABASE = re.compile(rf"DB_(?P<database>[A-Z][A-Z0-9_]*)_(?P<part>{'|'.join(_DATABASE_PARTS)})")


def spec_of(name: str) -> SettingSpec | None:
    """Return the declaration of a setting, those of named databases included, or None."""
    if name in SETTING_BY_NAME:
        return SETTING_BY_NAME[name]
    found = _DATABASE.fullmatch(name)
    if found is None:
        return None
    part = _DATABASE_PARTS[found["part"]]
    return SettingSpec(
        name=name,
        description=f"{part.what} of the database {found['database'].lower()}",
        type=part.type,
        choices=part.choices,
        is_secret=found["part"] == "PASSWORD",
    )

"""Which implementations there are: flag and name to a dotted path that is imported only when it is chosen."""

import importlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from de_platform.config.suggestions import suggestion
from de_platform.pipeline.errors import InvalidInput


class ServiceFlag(StrEnum):
    """Flags that choose an implementation."""

    DB = "db"
    FS = "fs"
    CACHE = "cache"
    MQ = "mq"
    METRICS = "metrics"
    LOG = "log"


_SERVICES = "de_platform.services"

IMPLEMENTATIONS: Mapping[ServiceFlag, Mapping[str, str]] = {
    ServiceFlag.DB: {
        "memory": f"{_SERVICES}.database.factory.NamedDatabaseFactory",
        "embedded": f"{_SERVICES}.database.factory.NamedDatabaseFactory",
        "chdb": f"{_SERVICES}.database.factory.NamedDatabaseFactory",
        "postgres": f"{_SERVICES}.database.factory.NamedDatabaseFactory",
        "clickhouse": f"{_SERVICES}.database.factory.NamedDatabaseFactory",
    },
    ServiceFlag.FS: {
        "memory": f"{_SERVICES}.filesystem.memory_filesystem.MemoryFileSystem",
        "local": f"{_SERVICES}.filesystem.local_filesystem.LocalFileSystem",
        "s3": f"{_SERVICES}.filesystem.s3_filesystem.S3FileSystem",
        "minio": f"{_SERVICES}.filesystem.s3_filesystem.S3FileSystem",
    },
    ServiceFlag.CACHE: {
        "memory": f"{_SERVICES}.cache.memory_cache.MemoryCache",
        "embedded": f"{_SERVICES}.cache.embedded_cache.EmbeddedCache",
        "redis": f"{_SERVICES}.cache.redis_cache.RedisCache",
    },
    ServiceFlag.MQ: {
        "memory": f"{_SERVICES}.message_queue.memory_queue.MemoryQueue",
        "local": f"{_SERVICES}.message_queue.local_queue.LocalQueue",
        "kafka": f"{_SERVICES}.message_queue.kafka_queue.KafkaQueue",
    },
    ServiceFlag.METRICS: {
        "noop": f"{_SERVICES}.metrics.noop_metrics.NoopMetrics",
        "memory": f"{_SERVICES}.metrics.memory_metrics.MemoryMetrics",
        "prometheus": f"{_SERVICES}.metrics.prometheus_metrics.PrometheusMetrics",
    },
    ServiceFlag.LOG: {
        "pretty": f"{_SERVICES}.logger.pretty_logger.PrettyLogger",
        "memory": f"{_SERVICES}.logger.memory_logger.MemoryLogger",
    },
}


def check_known(flag: ServiceFlag, name: str) -> None:
    """Raise InvalidInput with a suggestion for an implementation that there is not."""
    known = IMPLEMENTATIONS[flag]
    if name not in known:
        listing = ", ".join(known)
        raise InvalidInput.single(
            f"--{flag}", f"unknown implementation {name}; {suggestion(name, known)} (one of {listing})"
        )


def implementation(flag: ServiceFlag, name: str) -> Any:
    """Import and return the class behind a name. Raises InvalidInput for a name that there is not."""
    check_known(flag, name)
    return load(IMPLEMENTATIONS[flag][name])


def load(dotted_path: str) -> Any:
    """Import `package.module.Name`. The path comes from this code base, never from a request."""
    module, _, name = dotted_path.rpartition(".")
    return getattr(importlib.import_module(module), name)

"""What librdkafka's errors mean to us, and where its log lines go."""

import logging
from collections.abc import Generator
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException

from de_platform.pipeline.errors import InvalidInput, PlatformError, Unavailable

DEPENDENCY = "kafka"

REFUSED_MESSAGE = frozenset(
    {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE, KafkaError.INVALID_RECORD, KafkaError.INVALID_MSG}
)
"""The cluster will never take such a message."""

NOT_A_MEMBER = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError.STALE_MEMBER_EPOCH,
    }
)
"""A commit came from a member whose partitions may be another's by now."""


class LibraryLog:
    """Takes librdkafka's log lines. What they mean to us is an exception that we raise, so none is an error here."""

    def __init__(self) -> None:
        self._logger = logging.getLogger("librdkafka")

    def log(self, level: int, message: str, *arguments: object) -> None:
        """Write one line, at most as a warning."""
        self._logger.log(min(level, logging.WARNING), message, *arguments)

    def note(self, error: KafkaError) -> None:
        """Write down an error that concerns no operation in particular (a broker that went away, say)."""
        self._logger.warning("%s: %s", error.name(), error.str())


def error_of(exception: KafkaException) -> KafkaError:
    """Return what an exception carries."""
    error = exception.args[0]
    assert isinstance(error, KafkaError), "librdkafka's exceptions carry its errors"
    return error


def as_platform_error(error: KafkaError) -> PlatformError:
    """Say what an error means to callers: a message that can never pass, or a cluster that does not do its part."""
    if error.code() in REFUSED_MESSAGE:
        return InvalidInput.single("value", error.str())
    return Unavailable(DEPENDENCY, f"{error.str()} ({error.name()})")


@contextmanager
def translated() -> Generator[None]:
    """Raise the platform's errors in place of librdkafka's."""
    try:
        yield
    except KafkaException as exception:
        raise as_platform_error(error_of(exception)) from exception

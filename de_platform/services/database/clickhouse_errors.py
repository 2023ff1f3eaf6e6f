"""What clickhouse-connect raises, as the platform's errors."""

import logging
from collections.abc import Generator
from contextlib import contextmanager

from clickhouse_connect.driver import exceptions

from de_platform.pipeline.errors import Unavailable
from de_platform.services.database.interface import DatabaseError

DEPENDENCY = "clickhouse"

UNKNOWN_DATABASE = "81"

logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())  # what it would print, it also raises

_PASSING = frozenset(
    (
        159,  # TIMEOUT_EXCEEDED
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        236,  # ABORTED: the server is shutting down
        241,  # MEMORY_LIMIT_EXCEEDED
        242,  # TABLE_IS_READ_ONLY: a replica without its coordinator
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS: merges are behind
        279,  # ALL_CONNECTION_TRIES_FAILED
        285,  # TOO_FEW_LIVE_REPLICAS
        286,  # UNSATISFIED_QUORUM
        319,  # UNKNOWN_STATUS_OF_INSERT
        439,  # CANNOT_SCHEDULE_TASK
        999,  # KEEPER_EXCEPTION
    )
)
"""Codes of a server that may well accept the same statement later."""


@contextmanager
def clickhouse_errors() -> Generator[None]:
    """Turn no answer, and answers that say "not now", into Unavailable; what the server refuses into DatabaseError."""
    try:
        yield
    except exceptions.Error as error:
        reason = str(error).strip() or type(error).__name__
        is_answer = error.code is not None
        if error.code in _PASSING or (isinstance(error, exceptions.OperationalError) and not is_answer):
            raise Unavailable(DEPENDENCY, reason) from error
        raise DatabaseError(reason, code=str(error.code) if is_answer else None) from error

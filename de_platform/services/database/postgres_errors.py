"""What psycopg raises, as the platform's errors."""

import logging
from collections.abc import Generator
from contextlib import contextmanager

import psycopg

from de_platform.pipeline.errors import Unavailable
from de_platform.services.database.interface import DatabaseError

DEPENDENCY = "postgres"

logging.getLogger("psycopg").addHandler(logging.NullHandler())  # what it would print, callers are told by an exception


@contextmanager
def postgres_errors() -> Generator[None]:
    """Turn lost connections, full pools, deadlocks and a full disk into Unavailable, all else into DatabaseError."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise Unavailable(DEPENDENCY, str(error).strip() or type(error).__name__) from error
    except psycopg.Error as error:
        raise DatabaseError(str(error), code=error.sqlstate) from error

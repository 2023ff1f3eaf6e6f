"""Libraries log through our logger."""

import logging
from collections.abc import Iterator

import pytest

from de_platform.cli.library_logs import take_over_library_logs
from de_platform.services.logger.level import Level
from de_platform.services.logger.memory_logger import MemoryLogger


@pytest.fixture
def log() -> Iterator[MemoryLogger]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    log = MemoryLogger()
    take_over_library_logs(log)
    yield log
    root.handlers = handlers
    root.setLevel(level)


def test_error_of_a_library_is_an_error(log: MemoryLogger) -> None:
    logging.getLogger("asyncio").error("task failed", exc_info=ValueError("x"))
    (entry,) = log.entries
    assert entry.level is Level.ERROR
    assert isinstance(entry.fields["exc_info"], ValueError)


def test_warning_of_a_library_is_for_debugging(log: MemoryLogger) -> None:
    logging.getLogger("psycopg.pool").warning("connection %s lost", 3)
    (entry,) = log.entries
    assert entry.level is Level.DEBUG
    assert entry.fields == {"library": "psycopg.pool", "said": "connection 3 lost"}


def test_chatter_of_a_library_is_left_out(log: MemoryLogger) -> None:
    logging.getLogger("urllib3").info("hello")
    assert log.entries == []
